"""PyTorch as a second oracle: its own LSTM, and every model written once more for its automatic differentiation."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from helpers import CELL_OPTIONS, Minibatch, Options, assert_close, make_model, minibatch
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrid import CharModel
from minigrid.nn.ops import cross_entropy_backward, cross_entropy_forward

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

TOLERANCE = 1e-10
Tensors = dict[str, Any]

seeds = st.integers(0, 2**31 - 1)
sizes = st.fixed_dictionaries(
    {"vocab_size": st.integers(2, 7), "hidden": st.integers(1, 6), "layers": st.integers(1, 3)}
)
lengths = st.fixed_dictionaries({"steps": st.integers(1, 5), "batch": st.integers(1, 4)})


@st.composite
def configurations(draw) -> Options:
    """Any model with any of its options."""
    options = dict(draw(st.sampled_from(CELL_OPTIONS)))
    if options["model"] != "grid":
        options["embedding"] = draw(st.sampled_from([None, 0, 1, 3]))
    return options | {"dropout": draw(st.sampled_from([0.0, 0.3]))}


def leaves(arrays: dict[str, np.ndarray]) -> Tensors:
    """Copies of arrays as tensors that collect gradients."""
    return {name: torch.tensor(a, requires_grad=True) for name, a in arrays.items()}


def values(tensors: Tensors) -> dict[str, np.ndarray]:
    return {name: t.detach().numpy() for name, t in tensors.items()}


def gradients(tensors: Tensors) -> dict[str, np.ndarray]:
    """What arrived at the leaves; zero where nothing did."""
    return {name: (torch.zeros_like(t) if t.grad is None else t.grad).numpy() for name, t in tensors.items()}


# -- every model, differentiated automatically


class Reference:
    """A CharModel in PyTorch: one time step after the other, one product for each line of the equations."""

    def __init__(self, options: Options, params: Tensors):
        self.options, self.params = options, params

    def weights(self, kind: str, layer: int, *names: str) -> list[Any]:
        one_for_all = f"{kind}.bias" in self.params
        return [self.params[f"{kind}.{name}" if one_for_all else f"{kind}.{layer}.{name}"] for name in names]

    def run(self, x: np.ndarray, state: Tensors, masks: dict[str, np.ndarray]) -> tuple[Any, Tensors]:
        masks = {name: torch.tensor(mask) for name, mask in masks.items()}
        cell, logits = getattr(self, self.options["model"]), []
        for t, characters in enumerate(torch.tensor(x)):
            if "embedding.weight" in self.params:
                below = self.params["embedding.weight"][characters]
            else:
                below = torch.nn.functional.one_hot(characters, self.options["vocab_size"]).double()
            memory, after = torch.zeros(len(characters), self.options["hidden"], dtype=torch.double), {}
            for layer in range(self.options["layers"]):
                if f"layer.{layer}" in masks:
                    below = below * masks[f"layer.{layer}"][t]
                below, memory = cell(layer, below, memory, state, after)
            if "top" in masks:
                below = below * masks["top"][t]
            logits.append(below @ self.params["decoder.weight"] + self.params["decoder.bias"])
            state = after
        return torch.stack(logits), state

    def update(self, a, c_prev):
        i, f, o, g = a.chunk(4, dim=1)
        c = f.sigmoid() * c_prev + i.sigmoid() * g.tanh()
        h = (o.sigmoid() * c).tanh() if self.options["lstm_output"] == "paper" else o.sigmoid() * c.tanh()
        return h, c

    def grid(self, layer, below, memory, state, after):
        h, c = state[f"time.{layer}.h"], state[f"time.{layer}.c"]
        W_time, W_depth, bias = self.weights("time", layer, "W_time", "W_depth", "bias")
        h_time, c_time = self.update(h @ W_time + below @ W_depth + bias, c)
        read = h_time if self.options["priority"] == "depth" else h
        W_time, W_depth, bias = self.weights("depth", layer, "W_time", "W_depth", "bias")
        after[f"time.{layer}.h"], after[f"time.{layer}.c"] = h_time, c_time
        return self.update(read @ W_time + below @ W_depth + bias, memory)

    def lstm(self, layer, below, memory, state, after):
        W_x, W_h, bias = self.weights("lstm", layer, "W_x", "W_h", "bias")
        h, c = self.update(below @ W_x + state[f"lstm.{layer}.h"] @ W_h + bias, state[f"lstm.{layer}.c"])
        after[f"lstm.{layer}.h"], after[f"lstm.{layer}.c"] = h, c
        return h, memory

    def gru(self, layer, below, memory, state, after):
        W_x, W_h, bias = self.weights("gru", layer, "W_x", "W_h", "bias")
        h, H = state[f"gru.{layer}.h"], self.options["hidden"]
        z, r = (below @ W_x[:, : 2 * H] + h @ W_h[:, : 2 * H] + bias[: 2 * H]).sigmoid().chunk(2, dim=1)
        n = (below @ W_x[:, 2 * H :] + (r * h) @ W_h[:, 2 * H :] + bias[2 * H :]).tanh()
        after[f"gru.{layer}.h"] = z * n + (1 - z) * h
        return after[f"gru.{layer}.h"], memory

    def rnn(self, layer, below, memory, state, after):
        W_x, W_h, bias = self.weights("rnn", layer, "W_x", "W_h", "bias")
        after[f"rnn.{layer}.h"] = (below @ W_x + state[f"rnn.{layer}.h"] @ W_h + bias).tanh()
        return after[f"rnn.{layer}.h"], memory


def draw_case(options: Options, sizes: dict, lengths: dict, seed: int) -> tuple[CharModel, Minibatch, Tensors, Tensors]:
    """A model and a minibatch, and the same parameters and state as tensors."""
    model = make_model(**options, **sizes)
    model.params.flat[...] = np.random.default_rng(seed).uniform(-0.8, 0.8, model.params.flat.size)
    case = minibatch(model, **lengths, seed=seed)
    return model, case, leaves(model.params), leaves(case.state)


@given(configurations(), sizes, lengths, seeds)
@settings(max_examples=60)
def test_forward_and_backward(options, sizes, lengths, seed):
    """Logits, final states, and the gradients of everything from random ones at the logits and the final states."""
    model, case, params, state0 = draw_case(options, sizes, lengths, seed)
    logits, state, cache = model.forward(case.x, case.state, case.masks)
    grads, dstate0 = model.backward(cache, case.dlogits, case.dstate)

    their_logits, their_state = Reference(asdict(model.options), params).run(case.x, state0, case.masks or {})
    torch.autograd.backward(
        [their_logits, *(their_state[name] for name in case.dstate)],
        [torch.tensor(d) for d in (case.dlogits, *case.dstate.values())],
    )
    assert_close(logits, their_logits.detach().numpy(), TOLERANCE)
    assert_close(state, values(their_state), TOLERANCE)
    assert_close(grads, gradients(params), TOLERANCE)
    assert_close(dstate0, gradients(state0), TOLERANCE)


@given(configurations(), sizes, lengths, seeds)
@settings(max_examples=30)
def test_loss_and_grads(options, sizes, lengths, seed):
    model, case, params, state0 = draw_case(options, sizes, lengths, seed)
    loss, grads, state = model.loss_and_grads(case.x, case.y, case.state, case.masks or {})

    logits, their_state = Reference(asdict(model.options), params).run(case.x, state0, case.masks or {})
    criterion = torch.nn.CrossEntropyLoss(ignore_index=-1)
    their_loss = criterion(logits.flatten(0, 1), torch.tensor(case.y).flatten())
    their_loss.backward()
    assert_close(loss, their_loss.detach().numpy(), TOLERANCE)
    assert_close(grads, gradients(params), TOLERANCE)
    assert_close(state, values(their_state), TOLERANCE)


# -- PyTorch's own


def torch_order(blocks: np.ndarray) -> np.ndarray:
    """Reorder the 4H columns of packed gates: ours are i f o g, PyTorch's i f g o."""
    i, f, o, g = np.split(blocks, 4, axis=-1)
    return np.concatenate([i, f, g, o], axis=-1)


our_order = torch_order  # exchanging the last two once more brings them back


@given(sizes, lengths, seeds, st.sampled_from([None, 0, 1, 3]))
@settings(max_examples=30)
def test_the_stacked_lstm_is_nn_lstm(sizes, lengths, seed, embedding):
    model, case, _, _ = draw_case({"model": "lstm", "embedding": embedding}, sizes, lengths, seed)
    V, L, N = model.vocab_size, model.layers, model.options.embedding
    generator = np.random.default_rng(seed)

    lstm = torch.nn.LSTM(N or V, model.hidden, L).double()
    with torch.no_grad():
        for layer in range(L):
            W_x, W_h, bias = (model.params[f"lstm.{layer}.{name}"] for name in ("W_x", "W_h", "bias"))
            share = generator.standard_normal(bias.shape)  # two biases there, which add up to ours
            for name, value in {
                "weight_ih": W_x.T,
                "weight_hh": W_h.T,
                "bias_ih": share,
                "bias_hh": bias - share,
            }.items():
                getattr(lstm, f"{name}_l{layer}").copy_(torch.tensor(torch_order(value.T).T))
    outer = leaves({name: p for name, p in model.params.items() if not name.startswith("lstm.")})
    h0, c0 = (
        torch.tensor(np.stack([case.state[f"lstm.{layer}.{name}"] for layer in range(L)]), requires_grad=True)
        for name in "hc"
    )

    x = torch.tensor(case.x)
    read = outer["embedding.weight"][x] if N else torch.nn.functional.one_hot(x, V).double()
    out, (h, c) = lstm(read, (h0, c0))
    their_logits = out @ outer["decoder.weight"] + outer["decoder.bias"]
    arriving = [np.stack([case.dstate[f"lstm.{layer}.{name}"] for layer in range(L)]) for name in "hc"]
    torch.autograd.backward([their_logits, h, c], [torch.tensor(d) for d in (case.dlogits, *arriving)])

    logits, state, cache = model.forward(case.x, case.state)
    grads, dstate0 = model.backward(cache, case.dlogits, case.dstate)
    assert_close(logits, their_logits.detach().numpy(), TOLERANCE)
    assert_close({name: grads[name] for name in outer}, gradients(outer), TOLERANCE)
    for layer in range(L):
        theirs = {
            "W_x": getattr(lstm, f"weight_ih_l{layer}").grad.numpy().T,
            "W_h": getattr(lstm, f"weight_hh_l{layer}").grad.numpy().T,
            "bias": getattr(lstm, f"bias_ih_l{layer}").grad.numpy(),
        }
        for name, gradient in theirs.items():
            assert_close(grads[f"lstm.{layer}.{name}"], our_order(gradient), TOLERANCE)
        assert_close(state[f"lstm.{layer}.h"], h[layer].detach().numpy(), TOLERANCE)
        assert_close(state[f"lstm.{layer}.c"], c[layer].detach().numpy(), TOLERANCE)
        assert_close(dstate0[f"lstm.{layer}.h"], h0.grad[layer].numpy(), TOLERANCE)
        assert_close(dstate0[f"lstm.{layer}.c"], c0.grad[layer].numpy(), TOLERANCE)


@given(lengths, st.integers(2, 7), seeds)
def test_cross_entropy(lengths, V, seed):
    generator = np.random.default_rng(seed)
    T, B = lengths.values()
    y = generator.integers(-1, V, (T, B))
    y[0, 0] = 0  # PyTorch's mean over no target at all is not a number
    logits = torch.tensor(5 * generator.standard_normal((T, B, V)), requires_grad=True)
    theirs = torch.nn.CrossEntropyLoss(ignore_index=-1)(logits.flatten(0, 1), torch.tensor(y).flatten())
    theirs.backward()
    loss, cache = cross_entropy_forward(logits.detach().numpy(), y)
    assert_close(loss, theirs.detach().numpy(), 1e-13)
    assert_close(cross_entropy_backward(cache), logits.grad.numpy(), 1e-13)
