"""Each cell alone, as a layer between whatever is below and above; what a whole model computes is in test_model.py."""

from itertools import product

import numpy as np
import pytest
from helpers import MODELS, assert_close, assert_equal, snapshot

from minigrid.analysis.gradcheck import check_entries
from minigrid.backend import Workspace
from minigrid.nn.cells import CELLS, Cell
from minigrid.nn.ops import DenseInput, TokenInput
from minigrid.nn.options import ModelOptions

T, B, H, V = 3, 2, 4, 5
FORMS = [
    *(
        ("grid", {"lstm_output": output, "priority": p})
        for output, p in product(("standard", "paper"), ("depth", "none"))
    ),
    ("lstm", {"lstm_output": "standard"}),
    ("lstm", {"lstm_output": "paper"}),
    ("gru", {}),
    ("rnn", {}),
]


class Layer:
    """One layer with random weights, state and input, and random gradients that arrive at everything it gives."""

    def __init__(self, model: str, options: dict, inputs: int = H, steps: int = T, reuse: bool = False):
        generator = np.random.default_rng(0)

        def draw(*shape):
            return 0.5 * generator.standard_normal(shape)

        self.cell: Cell = CELLS[model](ModelOptions(model=model, vocab_size=V, hidden=H, **options))
        self.weights = {name: draw(*shape) for name, shape in self.cell.weight_shapes(inputs).items()}
        self.state = {name: draw(B, H) for name in self.cell.states}
        self.x = draw(steps, B, inputs)
        self.c_below = draw(steps, B, H) if model == "grid" else None
        self.dout, self.dstate = draw(steps, B, H), {name: draw(B, H) for name in self.cell.states}
        self.dc = draw(steps, B, H) if model == "grid" else None
        self.workspace = Workspace(np, "float64", reuse)

    def forward(self):
        return self.cell.forward(
            DenseInput(self.x), self.c_below, self.state, self.weights, self.workspace.scope("layer")
        )

    def backward(self, cache, grads):
        return self.cell.backward(self.dout, self.dc, self.dstate, cache, grads, self.workspace.scope("layer"))

    def loss(self) -> float:
        out, c_above, state, _ = self.forward()
        value = (out * self.dout).sum() + sum((state[name] * d).sum() for name, d in self.dstate.items())
        return value if c_above is None else value + (c_above * self.dc).sum()

    def inputs(self) -> dict[str, np.ndarray]:
        """Everything that the layer depends on."""
        c_below = {} if self.c_below is None else {"c_below": self.c_below}
        return {"x": self.x} | c_below | self.weights | {f"state/{name}": s for name, s in self.state.items()}

    def gradients(self) -> dict[str, np.ndarray]:
        """Gradients of :meth:`loss` for :meth:`inputs`."""
        grads = {name: np.zeros_like(W) for name, W in self.weights.items()}
        dx, dc_below, dstate = self.backward(self.forward()[3], grads)
        c_below = {} if self.c_below is None else {"c_below": dc_below}
        return {"x": dx} | c_below | grads | {f"state/{name}": d for name, d in dstate.items()}


forms = pytest.mark.parametrize(
    ("model", "options"), FORMS, ids=["-".join([model, *options.values()]) for model, options in FORMS]
)


def test_there_is_a_cell_for_every_model():
    assert tuple(CELLS) == MODELS


@forms
def test_shapes(model, options):
    layer = Layer(model, options, inputs=7)
    if model == "grid":
        layer = Layer(model, options)
    out, c_above, state, _ = layer.forward()
    assert out.shape == (T, B, H)
    assert (c_above is None) == (model != "grid")
    assert {name: s.shape for name, s in state.items()} == dict.fromkeys(layer.cell.states, (B, H))


@pytest.mark.parametrize(("model", "gates"), [("lstm", 4), ("gru", 3), ("rnn", 1)])
def test_weight_shapes_of_the_stacked_cells(model, gates):
    assert CELLS[model](ModelOptions(model=model, vocab_size=V, hidden=H)).weight_shapes(7) == {
        f"{model}.W_x": (7, gates * H),
        f"{model}.W_h": (H, gates * H),
        f"{model}.bias": (gates * H,),
    }


def test_weight_shapes_of_the_grid():
    shapes = CELLS["grid"](ModelOptions(model="grid", vocab_size=V, hidden=H)).weight_shapes(H)
    one = {"W_time": (H, 4 * H), "W_depth": (H, 4 * H), "bias": (4 * H,)}
    assert shapes == {f"{kind}.{name}": shape for kind in ("time", "depth") for name, shape in one.items()}


@forms
def test_gradients_of_everything_a_layer_is_given(model, options):
    layer = Layer(model, options)
    report = check_entries(layer.loss, layer.inputs(), layer.gradients())
    assert report.passed(1e-8), report.worst


@forms
def test_gradients_are_added_to_what_is_there(model, options):
    layer = Layer(model, options)
    cache = layer.forward()[3]
    once, thrice = ({name: np.zeros_like(W) for name, W in layer.weights.items()} for _ in range(2))
    layer.backward(cache, once)
    for _ in range(3):
        layer.backward(cache, thrice)
    assert_close(thrice, {name: 3 * g for name, g in once.items()}, 1e-14)


@forms
def test_arrays_that_are_used_again_make_no_difference(model, options):
    fresh, reused = Layer(model, options), Layer(model, options, reuse=True)
    expected = fresh.gradients()
    reused.gradients()
    assert_equal(reused.gradients(), expected)


@forms
def test_nothing_that_was_given_is_changed(model, options):
    layer = Layer(model, options)
    given = {"inputs": layer.inputs(), "arriving": [layer.dout, layer.dc, layer.dstate]}
    before = snapshot(given)
    cache = layer.forward()[3]
    kept = snapshot(cache)
    layer.backward(cache, {name: np.zeros_like(W) for name, W in layer.weights.items()})
    assert_equal(snapshot(given), before)
    assert_equal(snapshot(cache), kept)


@forms
def test_one_step_after_the_other_is_the_whole_sequence(model, options):
    layer = Layer(model, options)
    out, c_above, state, _ = layer.forward()
    x, below = layer.x, layer.c_below
    for t in range(T):
        layer.x, layer.c_below = x[t : t + 1], None if below is None else below[t : t + 1]
        out_t, c_above_t, layer.state, _ = layer.forward()
        assert_close(out_t[0], out[t], 1e-14)
        if c_above is not None:
            assert_close(c_above_t[0], c_above[t], 1e-14)
    assert_close(layer.state, state, 1e-14)


@forms
def test_the_elements_of_a_batch_do_not_meet(model, options):
    layer = Layer(model, options)
    out = layer.forward()[0].copy()
    layer.x[:, 0] += 1
    layer.state["h"][0] += 1
    moved = layer.forward()[0]
    assert np.array_equal(moved[:, 1], out[:, 1])
    assert not np.isclose(moved[:, 0], out[:, 0]).any()


@forms
def test_the_final_state_is_a_copy(model, options):
    layer = Layer(model, options)
    out, _, state, cache = layer.forward()
    for s in state.values():
        assert not any(np.shares_memory(s, array) for array in [out, *layer.state.values()])
        before = snapshot(cache)
        s += 1
        assert_equal(snapshot(cache), before)


def test_no_memory_from_below_is_a_memory_of_zeros():
    layer = Layer("grid", {"lstm_output": "standard", "priority": "depth"})
    layer.c_below[...] = 0
    with_zeros = layer.forward()[:3]
    layer.c_below = None
    assert_equal(snapshot(layer.forward()[:3]), snapshot(with_zeros))


@pytest.mark.parametrize("model", ["lstm", "gru", "rnn"])
def test_stacked_cells_hand_the_memory_on(model):
    layer = Layer(model, {"lstm_output": "standard"} if model == "lstm" else {})
    layer.c_below, layer.dc = np.ones((T, H, B)), np.full((T, H, B), 2.0)
    _, c_above, _, cache = layer.forward()
    assert c_above is layer.c_below
    _, dc_below, _ = layer.backward(cache, {name: np.zeros_like(W) for name, W in layer.weights.items()})
    assert dc_below is layer.dc


@forms
def test_characters_are_the_rows_of_their_embedding(model, options):
    layer = Layer(model, options)
    ids = np.array([[1, 4], [0, 1], [1, 2]])
    embedding = np.random.default_rng(3).standard_normal((V, H))
    layer.x = embedding[ids]
    expected = layer.forward()
    result = layer.cell.forward(
        TokenInput(ids, embedding), layer.c_below, layer.state, layer.weights, Workspace(np, "float64")
    )
    assert_close(snapshot(result[:3]), snapshot(expected[:3]), 1e-13)


def test_tensorflows_grid_lstm():
    """The figures of TensorFlow's former contrib.grid_rnn, Grid2BasicLSTMCell(2) with all weights 0.2, over two steps.

    There the input, times 0.2 and summed, enters along depth both as hidden state and as memory cell, so this is the
    one oracle from elsewhere in which the memory cell from below is not zero.
    """
    H, steps = 2, 2
    cell = CELLS["grid"](ModelOptions(model="grid", vocab_size=1, hidden=H, priority="depth"))
    weights = {name: np.full(shape, 0.2) for name, shape in cell.weight_shapes(H).items()}
    for kind in ("time", "depth"):
        weights[f"{kind}.bias"] = np.repeat([0.0, 1.0, 0.0, 0.0], H)  # forget bias 1
    entering = 0.2 * np.array([3.0, 6.0])[:, None, None] * np.ones((steps, 1, H))  # x = (1, 1, 1), then (2, 2, 2)
    state = {"h": np.array([[0.7, 0.8]]), "c": np.array([[0.5, 0.6]])}
    h_depth, c_depth, _, cache = cell.forward(DenseInput(entering), entering, state, weights, Workspace(np, "float64"))
    expected = {
        "h_depth": [[0.36617181, 0.36617181], [0.58847463, 0.58847463]],
        "c_depth": [[0.71053141, 0.71053141], [1.40469193, 1.40469193]],
        "c_time": [[0.72320831, 0.80555487], [0.97726452, 1.04626071]],
        "h_time": [[0.39102408, 0.42150158], [0.4927212, 0.51137757]],
    }
    found = {"h_depth": h_depth, "c_depth": c_depth, "c_time": cache.time.c[1:], "h_time": cache.time.h[1:]}
    for name, figures in expected.items():
        assert np.abs(found[name][:, 0] - figures).max() <= 5e-7, name
