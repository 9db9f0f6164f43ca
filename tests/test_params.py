import numpy as np
import pytest
from hypothesis import strategies as st

from minigrid.nn.params import Params, initial_values

SHAPES = {"embedding.weight": (3, 2), "lstm.0.bias": (8,), "decoder.bias": (3,)}

shapes_strategy = st.dictionaries(
    st.text("abc.", min_size=1, max_size=4), st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=4
)


def counting() -> Params:
    return Params(SHAPES, np.arange(17.0))


def test_names_shapes_and_order():
    params = counting()
    assert list(params) == list(SHAPES)
    assert len(params) == 3
    assert {name: view.shape for name, view in params.items()} == SHAPES
    assert np.array_equal(np.concatenate([view.ravel() for view in params.values()]), params.flat)


def test_the_vector_and_the_views_share_memory():
    params = counting()
    params.flat[7] = -1
    assert params["lstm.0.bias"][1] == -1
    params["decoder.bias"][...] = 100
    assert np.array_equal(params.flat[-3:], [100, 100, 100])
    assert all(np.shares_memory(view, params.flat) for view in params.values())


def test_the_mapping_is_read_only():
    with pytest.raises(TypeError):
        counting()["decoder.bias"] = np.zeros(3)
    with pytest.raises(KeyError):
        counting()["decoder.weight"]
    assert counting().get("decoder.weight") is None
    with pytest.raises(AttributeError):
        counting().flat = np.zeros(17)  # the views would still show the old vector


@pytest.mark.parametrize("size", [16, 18])
def test_a_vector_of_the_wrong_size(size):
    with pytest.raises(ValueError, match=f"17.*{size}|{size}.*17"):
        Params(SHAPES, np.zeros(size))


def test_with_flat_keeps_names_and_shapes():
    params = counting()
    other = params.with_flat(np.zeros(17))
    other["decoder.bias"][...] = 5
    assert other.shapes == params.shapes
    assert np.array_equal(params.flat, np.arange(17.0))


@pytest.mark.parametrize("kind", ["lstm", "time", "depth"])
@pytest.mark.parametrize("name", ["{}.0.bias", "{}.bias"])
def test_the_forget_gates_start_open(kind, name):
    H = 50
    bias = initial_values({name.format(kind): (4 * H,)}, seed=1)
    i, f, o, g = bias.reshape(4, H)
    assert f.min() >= 0.92
    assert f.max() < 1.08
    assert np.abs([i, o, g]).max() <= 0.08


@pytest.mark.parametrize("name", ["lstm.0.W_h", "gru.0.bias", "rnn.0.bias", "decoder.bias", "embedding.weight"])
def test_everything_else_is_uniform(name):
    values = initial_values({name: (100, 120)}, seed=1)
    assert values.dtype == np.float64
    assert values.min() >= -0.08
    assert values.max() < 0.08
    assert abs(values.mean()) < 5 * 0.08 / np.sqrt(3 * values.size)
    assert abs(values.std() / (0.08 / np.sqrt(3)) - 1) < 0.02


def test_the_seed_determines_the_values():
    assert np.array_equal(initial_values(SHAPES, 5), initial_values(SHAPES, 5))
    assert not np.array_equal(initial_values(SHAPES, 5), initial_values(SHAPES, 6))
