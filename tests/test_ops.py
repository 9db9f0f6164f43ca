import numpy as np
import pytest
from helpers import assert_close
from hypothesis import given
from hypothesis import strategies as st

from minigrid.analysis.gradcheck import check_entries
from minigrid.nn.ops import (
    FEW_SYMBOLS,
    DenseInput,
    TokenInput,
    cross_entropy_backward,
    cross_entropy_forward,
    embedding_backward,
    embedding_forward,
    linear_backward,
    linear_forward,
    rows,
)

T, B, V, N, O = 3, 2, 5, 4, 6  # noqa: E741
IDS = np.array([[1, 4], [0, 1], [1, 2]])  # 1 comes three times, 3 never


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def test_rows_is_a_view():
    x = draw(T, B, N)
    assert rows(x).shape == (T * B, N)
    assert np.shares_memory(rows(x), x)
    assert np.array_equal(rows(x)[1 * B + 1], x[1, 1])


def test_linear():
    x, W, bias = draw(T, B, N), draw(N, O, seed=1), draw(O, seed=2)
    expected = [[[x[t, b] @ W[:, k] + bias[k] for k in range(O)] for b in range(B)] for t in range(T)]
    assert_close(linear_forward(x, W, bias), expected, 1e-14)


def test_linear_backward():
    arrays = {"x": draw(T, B, N), "W": draw(N, O, seed=1), "bias": draw(O, seed=2)}
    dout = draw(T, B, O, seed=3)
    dW, dbias = np.zeros((N, O)), np.zeros(O)
    dx = linear_backward(dout, arrays["x"], arrays["W"], dW, dbias)
    report = check_entries(
        lambda: (linear_forward(*arrays.values()) * dout).sum(), arrays, {"x": dx, "W": dW, "bias": dbias}
    )
    assert report.passed(1e-9), report.worst


def test_linear_backward_adds():
    x, W, dout = draw(T, B, N), draw(N, O, seed=1), draw(T, B, O, seed=3)
    dW, dbias = np.zeros((N, O)), np.zeros(O)
    linear_backward(dout, x, W, dW, dbias)
    once = dW.copy(), dbias.copy()
    linear_backward(dout, x, W, dW, dbias)
    assert_close(dW, 2 * once[0], 1e-15)
    assert_close(dbias, 2 * once[1], 1e-15)


def test_embedding():
    table = draw(V, N)
    out = np.full((T, B, N), np.nan)
    embedding_forward(IDS, table, out)
    assert all(np.array_equal(out[place], table[IDS[place]]) for place in np.ndindex(T, B))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("vocab_size", [V, FEW_SYMBOLS, FEW_SYMBOLS + 1, 5000])
def test_embedding_backward_adds_up_where_a_character_repeats(vocab_size, dtype):
    ids = IDS * (vocab_size - 1) // IDS.max()  # the last one comes, the one before it never
    dout = draw(T, B, N).astype(dtype)
    expected = np.zeros((vocab_size, N))
    for place in np.ndindex(T, B):
        expected[ids[place]] += dout[place]
    dtable = embedding_backward(dout, ids, vocab_size)
    assert dtable.dtype == dtype
    assert_close(dtable, expected, {"float64": 1e-15, "float32": 1e-6}[dtype])
    assert not dtable[-2].any()


def test_many_symbols_are_added_up_as_few_are():
    ids = np.random.default_rng(0).integers(0, 300, (20, 30))
    dout = draw(20, 30, N)
    few = [embedding_backward(dout, np.where(ids // 100 == k, ids % 100, 100), 101)[:100] for k in range(3)]
    assert_close(embedding_backward(dout, ids, 300), np.concatenate(few), 1e-14)


def project(source, W, bias) -> np.ndarray:
    """What a source gives the first or a higher layer, into rows that do not touch."""
    out = np.full((T, B, O + 3), np.nan)[..., :O]
    source.project(W, bias, out=out)
    return out


SOURCES = {
    "embedding": lambda x: TokenInput(IDS, x),
    "few": lambda x: TokenInput(IDS, x),
    "one-hot": lambda x: TokenInput(IDS, None),
    "dense": DenseInput,
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_projects_and_goes_back(kind):
    x = {"embedding": draw(V, N), "few": draw(IDS.size + 1, N), "one-hot": np.eye(V), "dense": draw(T, B, N)}[kind]
    arrays = {"x": x, "W": draw(x.shape[-1], O, seed=1), "bias": draw(O, seed=2)}
    source = SOURCES[kind](x)
    seen = x if kind == "dense" else x[IDS]
    assert_close(project(source, arrays["W"], arrays["bias"]), seen @ arrays["W"] + arrays["bias"], 1e-14)

    dout = draw(T, B, O, seed=3)
    dW, dbias = np.ones(arrays["W"].shape), np.ones(O)  # the gradients are added to what is there
    dx = source.project_backward(dout, arrays["W"], dW, dbias)
    grads = {"W": dW - 1, "bias": dbias - 1}
    if kind == "one-hot":
        assert dx is None
    else:
        grads["x"] = dx
    report = check_entries(
        lambda: (project(source, arrays["W"], arrays["bias"]) * dout).sum(),
        {name: arrays[name] for name in grads},
        grads,
    )
    assert report.passed(1e-9), report.worst


# -- softmax cross-entropy


def test_cross_entropy_one_target_at_a_time():
    logits, y = draw(T, B, V), np.array([[0, 4], [-1, 2], [3, -1]])
    losses = [np.log(np.exp(logits[p]).sum()) - logits[p][y[p]] for p in np.ndindex(T, B) if y[p] >= 0]
    loss, _ = cross_entropy_forward(logits, y)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-14)


@pytest.mark.parametrize("y", [[[0, 4], [1, 2], [3, 0]], [[0, 4], [-1, 2], [3, -1]]], ids=["all", "some"])
def test_cross_entropy_backward(y):
    logits, y = draw(T, B, V), np.array(y)
    _, cache = cross_entropy_forward(logits, y)
    dlogits = cross_entropy_backward(cache)
    report = check_entries(lambda: cross_entropy_forward(logits, y)[0], {"logits": logits}, {"logits": dlogits})
    assert report.passed(1e-9), report.worst
    assert np.abs(dlogits.sum(axis=-1)).max() < 1e-15
    assert not dlogits[y < 0].any()


def test_knowing_nothing_costs_the_logarithm_of_the_vocabulary():
    loss, _ = cross_entropy_forward(np.full((T, B, V), 7.0), np.zeros((T, B), int))
    assert float(loss) == pytest.approx(np.log(V), rel=1e-15)


def test_where_no_target_counts_the_loss_is_zero_and_so_is_the_gradient():
    loss, cache = cross_entropy_forward(draw(T, B, V), np.full((T, B), -1))
    assert float(loss) == 0
    assert not cross_entropy_backward(cache).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_scores_neither_overflow_nor_lose_the_loss(dtype):
    logits = np.zeros((1, 2, 3), dtype)
    logits[0, 0, 1] = 1e4
    with np.errstate(all="raise", under="ignore"):
        loss, cache = cross_entropy_forward(logits, np.array([[0, 1]]))
        dlogits = cross_entropy_backward(cache)
    assert loss.dtype == dlogits.dtype == dtype
    assert float(loss) == pytest.approx((1e4 + np.log(3)) / 2, rel=1e-6)
    assert np.isfinite(dlogits).all()


@pytest.mark.parametrize("seed", range(3))
def test_many_float32_terms_are_summed_without_loss(seed):
    """The mean of 50 000 terms is as near to the exact one as a float32 can be; a float32 sum is not."""
    logits, y = draw(1000, 50, 3, seed=seed).astype(np.float32), np.zeros((1000, 50), int)
    exact, _ = cross_entropy_forward(logits.astype(np.float64), y)
    loss, _ = cross_entropy_forward(logits, y)
    assert float(loss) == pytest.approx(float(exact), rel=7e-8)  # half a unit in the last place


@given(st.integers(0, 2**32 - 1), st.floats(-50, 50))
def test_the_same_amount_on_all_scores_changes_nothing(seed, amount):
    logits, y = draw(T, B, V, seed=seed), np.random.default_rng(seed).integers(-1, V, (T, B))
    loss, cache = cross_entropy_forward(logits, y)
    shifted, shifted_cache = cross_entropy_forward(logits + amount, y)
    assert float(shifted) == pytest.approx(float(loss), rel=1e-12, abs=1e-13)
    assert np.abs(cross_entropy_backward(shifted_cache) - cross_entropy_backward(cache)).max() < 1e-14


def test_cross_entropy_changes_nothing_that_it_reads():
    logits, y = draw(T, B, V), np.array([[0, 4], [-1, 2], [3, -1]])
    kept = logits.copy(), y.copy()
    _, cache = cross_entropy_forward(logits, y)
    first = cross_entropy_backward(cache)
    assert np.array_equal(cross_entropy_backward(cache), first)
    assert np.array_equal(logits, kept[0])
    assert np.array_equal(y, kept[1])
