from math import sqrt

import numpy as np
import pytest
from helpers import assert_close
from hypothesis import given
from hypothesis import strategies as st

from minigrid import UserError
from minigrid.training.optim import (
    OPTIMIZERS,
    Adam,
    RMSprop,
    clip_elements,
    clip_norm,
    decayed_rate,
    global_norm,
    make_optimizer,
)

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 20)
limits = st.floats(1e-3, 1e3)
scales = st.sampled_from([1e-6, 1.0, 1e3])


def draw(size: int, seed: int, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal(size)


# -- clipping


@given(sizes, seeds, scales, limits)
def test_clip_elements(size, seed, scale, limit):
    before = draw(size, seed, scale)
    g = before.copy()
    clip_elements(g, limit)
    for new, old in zip(g, before, strict=True):
        assert new == max(-limit, min(limit, old))


@given(sizes, seeds, scales)
def test_global_norm(size, seed, scale):
    g = draw(size, seed, scale)
    norm = global_norm(g)
    assert np.shape(norm) == ()
    assert float(norm) == pytest.approx(sqrt(sum(float(v) ** 2 for v in g)), rel=1e-12)


@given(sizes, seeds, scales, limits)
def test_clip_norm(size, seed, scale, limit):
    before = draw(size, seed, scale)
    norm = global_norm(before)
    g = before.copy()
    clip_norm(g, limit, norm)
    if norm <= limit:
        assert np.array_equal(g, before)
    else:
        assert float(global_norm(g)) == pytest.approx(limit, rel=1e-12)
        assert_close(g / limit, before / norm, 1e-12)


def test_clip_norm_leaves_zeros_alone():
    g = np.zeros(3)
    clip_norm(g, 1.0, global_norm(g))
    assert not g.any()


@pytest.mark.parametrize("clip", [lambda g: clip_elements(g, 1.0), lambda g: clip_norm(g, 1.0, global_norm(g))])
def test_what_is_not_a_number_is_not_hidden_by_clipping(clip):
    g = np.array([1.0, np.nan, 100.0])
    clip(g)
    assert np.isnan(g[1])


# -- learning rate


def test_the_rate_decays_after_the_tenth_epoch():
    rates = [decayed_rate(2e-3, epoch, 0.97, 10) for epoch in range(1, 14)]
    assert rates[:10] == [2e-3] * 10
    assert rates[10] == pytest.approx(2e-3 * 0.97)
    assert rates[12] == pytest.approx(2e-3 * 0.97**3)


@given(st.integers(1, 200), st.integers(0, 100), st.floats(0.5, 1.0))
def test_each_epoch_after_has_the_rate_of_the_one_before_times_the_decay(epoch, after, decay):
    now, then = (decayed_rate(1.0, number, decay, after) for number in (epoch, epoch + 1))
    assert then == (now if epoch < after else pytest.approx(now * decay))


# -- RMSprop and Adam


@given(sizes, seeds, scales, st.floats(1e-4, 0.1), st.sampled_from([0.0, 0.5, 0.95, 0.99]))
def test_rmsprop_number_by_number(size, seed, scale, lr, alpha):
    p = draw(size, seed)
    optimizer = RMSprop(p, alpha)
    expected, mean_square = p.tolist(), [0.0] * size
    for number in range(1, 5):
        g = draw(size, seed + number, scale)
        for k in range(size):
            mean_square[k] = alpha * mean_square[k] + (1 - alpha) * g[k] ** 2
            expected[k] -= lr * g[k] / (sqrt(mean_square[k]) + 1e-8)
        optimizer.update(p, g, lr, number)
    np.testing.assert_allclose(p, expected, rtol=1e-12, atol=1e-14)  # a difference of numbers near 1 may be near 0
    assert_close(optimizer.state["mean_square"], mean_square, 1e-12)


@given(sizes, seeds, scales, st.floats(1e-4, 0.1))
def test_adam_number_by_number(size, seed, scale, lr):
    p = draw(size, seed)
    optimizer = Adam(p)
    expected, m, v = p.tolist(), [0.0] * size, [0.0] * size
    for number in range(1, 5):
        g = draw(size, seed + number, scale)
        for k in range(size):
            m[k] = 0.9 * m[k] + 0.1 * g[k]
            v[k] = 0.999 * v[k] + 0.001 * g[k] ** 2
            expected[k] -= lr * (m[k] / (1 - 0.9**number)) / (sqrt(v[k] / (1 - 0.999**number)) + 1e-8)
        optimizer.update(p, g, lr, number)
    np.testing.assert_allclose(p, expected, rtol=1e-12, atol=1e-14)  # a difference of numbers near 1 may be near 0


@given(sizes, seeds, scales)
def test_adam_is_pytorchs(size, seed, scale):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    p = draw(size, seed)
    theirs = torch.tensor(p, requires_grad=True)
    oracle = torch.optim.Adam([theirs], lr=0.01)
    optimizer = Adam(p)
    for number in range(1, 8):
        g = draw(size, seed + number, scale)
        theirs.grad = torch.tensor(g)
        oracle.step()
        optimizer.update(p, g, 0.01, number)
    np.testing.assert_allclose(p, theirs.detach().numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_follows_the_signs_and_leaves_what_has_no_gradient(name):
    p = np.zeros(3)
    make_optimizer(name, p, alpha=0.95).update(p, np.array([2.0, 0.0, -3.0]), 0.01, 1)
    assert p[0] < 0 == p[1] < p[2]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_keeps_its_type(name, dtype):
    p = np.ones(3, dtype)
    optimizer = make_optimizer(name, p, alpha=0.95)
    assert all(not array.any() for array in optimizer.state.values())
    optimizer.update(p, np.ones(3, dtype), 0.01, 1)
    assert p.dtype == dtype
    assert {array.dtype for array in optimizer.state.values()} == {np.dtype(dtype)}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_is_all_that_is_carried(name):
    p = draw(5, 1)
    first, second = (make_optimizer(name, p, alpha=0.9) for _ in range(2))
    first.update(p, draw(5, 2), 0.01, 1)
    for key, array in first.state.items():
        second.state[key][...] = array
    q = p.copy()
    first.update(p, draw(5, 3), 0.01, 2)
    second.update(q, draw(5, 3), 0.01, 2)
    assert np.array_equal(p, q)


def test_alpha_reaches_rmsprop():
    assert make_optimizer("rmsprop", np.zeros(1), alpha=0.5).alpha == 0.5


@pytest.mark.parametrize("alpha", [-0.1, 1.0, float("nan")])
def test_a_decay_rate_that_is_none(alpha):
    with pytest.raises(UserError, match="alpha"):
        make_optimizer("rmsprop", np.zeros(1), alpha=alpha)


def test_an_unknown_optimiser_is_named_with_its_alternatives():
    with pytest.raises(UserError, match=r"rmsprop or adam, not 'sgd'"):
        make_optimizer("sgd", np.zeros(1), alpha=0.95)
