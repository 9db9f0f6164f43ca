from math import tanh

import numpy as np
import pytest
from helpers import assert_close
from naive import sigmoid

from minigrid.analysis.gradcheck import check_entries
from minigrid.nn.gates import Update, activate, by_gate, lstm_backward, lstm_forward, lstm_slopes
from minigrid.nn.options import CHOICES

H, B = 3, 2
OUTPUTS = CHOICES["lstm_output"]


def draw(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal(shape)


def update(a: np.ndarray, c_prev: np.ndarray, output: str) -> Update:
    """Run one update, or several, on copies."""
    made = Update(np.full(a.shape, np.nan), c_prev.copy(), *(np.full(c_prev.shape, np.nan) for _ in "csh"))
    lstm_forward(a / 4, a - a / 4, made, output)
    return made


def test_activate():
    a = draw(4, B, H, scale=3)
    gates = a.copy()
    activate(gates)
    assert_close(gates[:3], np.vectorize(sigmoid)(a[:3]), 1e-14)
    assert_close(gates[3], np.tanh(a[3]), 1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_out_the_gates_are_shut_or_open_and_nothing_overflows(dtype):
    a = np.array([-1e4, -100, 100, 1e4], dtype)[None, :, None].repeat(4, axis=0)
    with np.errstate(all="raise"):
        activate(a)
    assert a.dtype == dtype
    assert np.array_equal(a[0, :, 0], [0, 0, 1, 1])
    assert np.array_equal(a[3, :, 0], [-1, -1, 1, 1])


@pytest.mark.parametrize("output", OUTPUTS)
def test_one_unit_at_a_time(output):
    a, c_prev = draw(4, B, H, seed=1), draw(B, H, seed=2)
    result = update(a, c_prev, output)
    for unit in np.ndindex(B, H):
        i, f, o = (sigmoid(a[gate][unit]) for gate in range(3))
        c = f * c_prev[unit] + i * tanh(a[3][unit])
        h = {"standard": o * tanh(c), "paper": tanh(o * c)}[output]
        assert result.c[unit] == pytest.approx(c, rel=1e-14)
        assert result.h[unit] == pytest.approx(h, rel=1e-14)


def test_the_two_outputs_differ():
    a, c_prev = draw(4, B, H, seed=1), draw(B, H, seed=2)
    assert np.abs(update(a, c_prev, "standard").h - update(a, c_prev, "paper").h).max() > 0.01


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_open_forget_gate_carries_the_cell_on_and_a_shut_output_hides_it(output):
    a = np.zeros((4, B, H))
    a[0], a[1], a[2] = -1000, 1000, -1000  # i = 0, f = 1, o = 0
    c_prev = draw(B, H)
    result = update(a, c_prev, output)
    assert np.array_equal(result.c, c_prev)
    assert not result.h.any()


def slopes_of(forward: Update, output: str):
    slopes = np.full((5, *forward.c.shape), np.nan)
    lstm_slopes(forward, output, out=slopes)
    return slopes


def gradients(a, c_prev, dh, dc, output):
    forward = update(a, c_prev, output)
    da, dc_prev = np.full_like(a, np.nan), np.full_like(c_prev, np.nan)
    lstm_backward(dh, dc, forward.gates[1], slopes_of(forward, output), da, dc_prev)
    return {"a": da, "c_prev": dc_prev}


@pytest.mark.parametrize("output", OUTPUTS)
def test_backward_is_the_gradient_of_forward(output):
    arrays = {"a": draw(4, B, H, seed=1), "c_prev": draw(B, H, seed=2)}
    dh, dc = draw(B, H, seed=3), draw(B, H, seed=4)

    def loss():
        result = update(*arrays.values(), output)
        return (result.h * dh).sum() + (result.c * dc).sum()

    report = check_entries(loss, arrays, gradients(*arrays.values(), dh, dc, output))
    assert report.passed(1e-9), report.worst


@pytest.mark.parametrize("output", OUTPUTS)
def test_several_steps_at_once_are_each_step_alone(output):
    T = 3
    a, c_prev, dh, dc = draw(4, T, B, H), *(draw(T, B, H, seed=seed) for seed in (1, 2, 3))
    together = gradients(a, c_prev, dh, dc, output)
    for t in range(T):
        alone = gradients(a[:, t], c_prev[t], dh[t], dc[t], output)
        assert np.array_equal(together["a"][:, t], alone["a"])
        assert np.array_equal(together["c_prev"][t], alone["c_prev"])


@pytest.mark.parametrize("output", OUTPUTS)
def test_backward_changes_nothing_but_what_it_says(output):
    a, c_prev, dh, dc = draw(4, B, H, seed=1), draw(B, H, seed=2), draw(B, H, seed=3), draw(B, H, seed=4)
    forward = update(a, c_prev, output)
    slopes = slopes_of(forward, output)
    read = [dh, dc, *forward, slopes[:4]]
    before = [array.copy() for array in read]
    dc_total = dc + dh * slopes[4]
    lstm_backward(dh, dc, forward.gates[1], slopes, np.empty_like(a), np.empty_like(dc))
    assert all(np.array_equal(array, copy) for array, copy in zip(read, before, strict=True))
    assert np.array_equal(slopes[4], dc_total)


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_gradient_of_the_memory_cell_may_take_the_place_of_the_one_that_arrives(output):
    a, c_prev, dh, dc = draw(4, B, H, seed=1), draw(B, H, seed=2), draw(B, H, seed=3), draw(B, H, seed=4)
    expected = gradients(a, c_prev, dh, dc, output)
    forward, da = update(a, c_prev, output), np.empty_like(a)
    lstm_backward(dh, dc, forward.gates[1], slopes_of(forward, output), da, dc_prev=dc)
    assert np.array_equal(dc, expected["c_prev"])
    assert np.array_equal(da, expected["a"])


def test_by_gate_is_a_view_of_the_packed_quarters():
    packed = draw(5, B, 4 * H)
    gates = by_gate(packed)
    assert gates.shape == (4, 5, B, H)
    assert np.shares_memory(gates, packed)
    for k in range(4):
        assert np.array_equal(gates[k], packed[..., k * H : (k + 1) * H])
