import numpy as np
import pytest
from helpers import CELL_OPTIONS, assert_close, label, make_model, minibatch

from minigrid import UserError
from minigrid.analysis.gradient_flow import norms_by_lag, norms_by_layer
from minigrid.nn.ops import DenseInput


def last_losses(model, x, target, state):
    """The loss of each sequence at the last step, (B,)."""
    logits, _ = model.predict(x, state)
    scores = logits[-1] - logits[-1].max(axis=1, keepdims=True)
    return np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(target)), target]


def norms_by_differences(model, x, target, state, step=1e-5):
    """The norm of each sequence's gradient with respect to every initial state: name -> (B,)."""
    norms = {}
    for name, values in state.items():
        squares = np.zeros(len(target))
        for unit in range(values.shape[1]):
            up, down = (state | {name: values + sign * step * np.eye(values.shape[1])[unit]} for sign in (1, -1))
            slope = (last_losses(model, x, target, up) - last_losses(model, x, target, down)) / (2 * step)
            squares += slope**2
        norms[name] = np.sqrt(squares)
    return norms


@pytest.mark.parametrize("options", CELL_OPTIONS, ids=label)
def test_the_norms_are_those_of_finite_differences(options):
    model = make_model(**options, layers=3)
    batch = minibatch(model, steps=4)
    x, target, state = batch.x, batch.y[0], batch.state
    norms = norms_by_lag(model, x, target, state)
    kind = model.cell.prefix
    assert {name: norm.shape for name, norm in norms.items()} == {
        f"{kind}.{name}": (3, 4, 2) for name in model.cell.states
    }
    for lag in range(4, 0, -1):  # the state before the last `lag` characters
        expected = norms_by_differences(model, x[-lag:], target, state)
        for name, norm in norms.items():
            for layer in range(3):
                state_name = f"{kind}.{layer}.{name.removeprefix(f'{kind}.')}"
                assert_close(norm[layer, lag - 1], expected[state_name], 1e-7, f"{state_name}, lag {lag}")
        _, state = model.predict(x[4 - lag : 5 - lag], state)


def losses_from(model, layer, h, c, batch, target):
    """The loss of each sequence at the last step, if `layer` (from 0) had passed up h (B, H) and c (B, H): (B,)."""
    _, state = model.predict(batch.x[:-1], batch.state)
    c_below = None if c is None else c[None]
    for above in range(layer + 1, model.layers):
        h = h * batch.masks[f"layer.{above}"][0]
        own = {name: state[f"{model.cell.prefix}.{above}.{name}"] for name in model.cell.states}
        weights = model.weights_by_layer()[above]
        (h,), c_below, _, _ = model.cell.forward(DenseInput(h[None]), c_below, own, weights, model.workspace())
    scores = h * batch.masks["top"][0] @ model.params["decoder.weight"] + model.params["decoder.bias"]
    return np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(target)), target]


@pytest.mark.parametrize("options", CELL_OPTIONS, ids=label)
def test_the_norms_by_layer_are_those_of_finite_differences(options):
    model = make_model(**options, layers=3, dropout=0.4)
    batch, target = minibatch(model, steps=3), np.array([2, 0])
    batch = batch._replace(masks={name: mask[-1:] for name, mask in batch.masks.items()})
    norms = norms_by_layer(model, batch.x, target, batch.state, batch.masks)
    kind, is_grid = ("depth", True) if options["model"] == "grid" else (options["model"], False)
    assert set(norms) == ({"depth.h", "depth.c"} if is_grid else {f"{kind}.h"})

    _, state = model.predict(batch.x[:-1], batch.state)
    layers = model.forward(batch.x[-1:], state, batch.masks)[2].layers
    named = [model.cell.named_arrays(cache) for cache in layers]
    for layer in range(3):
        handed = {name: named[layer][f"{kind}.{name}"][-1] for name in (("h", "c") if is_grid else ("h",))}
        for name, values in handed.items():
            squares = 0
            for nudge in 1e-5 * np.eye(values.shape[1]):
                up, down = (
                    losses_from(model, layer, batch=batch, target=target, **{"c": None} | handed | {name: changed})
                    for changed in (values + nudge, values - nudge)
                )
                squares = squares + ((up - down) / 2e-5) ** 2
            assert_close(norms[f"{kind}.{name}"][layer], np.sqrt(squares), 1e-7, f"{name} of layer {layer}")


def test_one_step_of_a_grid_reaches_its_lowest_layer_without_a_state():
    model = make_model(model="grid", layers=3)
    batch = minibatch(model, steps=1)
    norms = norms_by_layer(model, batch.x, np.array([1, 3]))
    assert norms["depth.h"].shape == norms["depth.c"].shape == (3, 2)
    assert (norms["depth.c"][-1] == 0).all()
    assert (norms["depth.c"][:-1] > 0).all()


def test_sequences_are_independent_and_start_from_zeros():
    model = make_model(model="grid")
    batch = minibatch(model, steps=4, batch=3)
    both = norms_by_lag(model, batch.x, batch.y[0])
    alone = norms_by_lag(model, batch.x[:, 1:2], batch.y[0, 1:2], model.initial_state(1))
    assert_close({name: norm[:, :, 1:2] for name, norm in both.items()}, alone, 1e-12)


def test_every_sequence_needs_a_target():
    model = make_model(model="rnn")
    batch = minibatch(model)
    for measure in (norms_by_lag, norms_by_layer):
        with pytest.raises(UserError, match=r"`target` must have one character per sequence, shape \(2,\), not \(1,\)"):
            measure(model, batch.x, batch.y[0, :1])


def test_a_gradient_too_small_to_square_in_float32_has_a_norm():
    model = make_model(model="lstm", layers=2, dtype="float32")
    model.params["lstm.1.W_x"][...] *= 1e-30
    norms = norms_by_layer(model, np.array([[1]]), np.array([2]))["lstm.h"]
    assert 0 < norms[0, 0] < 1e-25
