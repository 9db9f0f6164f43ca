import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrid.backend import to_host
from minigrid.backend.cuda.kernels import PER_COUNTER
from minigrid.nn.dropout import _Uniform, draw_masks, dropout_backward, dropout_forward

SHAPE = (2, 3, 50, 40)


def test_the_same_mask_forward_and_backward():
    x, mask = np.random.default_rng(0).standard_normal((2, *SHAPE))
    assert np.array_equal(dropout_forward(x, mask), x * mask)
    assert np.array_equal(dropout_backward(x, mask), x * mask)
    assert dropout_forward(x, None) is x
    assert dropout_backward(x, None) is x


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9])
def test_a_mask_drops_the_share_that_it_should_and_makes_up_for_it(rate):
    masks = draw_masks(np, "float64", SHAPE, rate, key=(1, 2))
    assert set(np.unique(masks)) <= {0.0, 1 / (1 - rate)}
    deviation = (rate * (1 - rate) / masks.size) ** 0.5
    assert abs((masks == 0).mean() - rate) <= 5 * deviation


def test_the_key_decides_and_nothing_else():
    first = draw_masks(np, "float32", SHAPE, 0.5, key=(1, 2))
    assert np.array_equal(first, draw_masks(np, "float32", SHAPE, 0.5, key=(1, 2)))
    for other in ((1, 3), (2, 2), (2**64 - 1, 2)):
        assert not np.array_equal(first, draw_masks(np, "float32", SHAPE, 0.5, key=other))


# -- some columns only

shapes = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 7), st.integers(1, 9))


@given(shapes, st.integers(0, 7), st.integers(0, 7), st.sampled_from(["float32", "float64"]))
def test_columns_are_those_of_the_whole(shape, start, stop, dtype):
    start, stop = sorted(min(edge, shape[2]) for edge in (start, stop))
    whole = draw_masks(np, dtype, shape, 0.5, key=(1, 2))
    columns = draw_masks(np, dtype, shape, 0.5, (1, 2), slice(start, stop))
    assert columns.dtype == dtype
    assert np.array_equal(columns, whole[:, :, start:stop])


@pytest.mark.parametrize("columns", [slice(0, 2), slice(2, 3), slice(1, 5), slice(0, 5)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_on_a_gpu_are_those_on_the_host(fake_cupy, columns, dtype):
    shape = (2, 3, 5, 7)
    drawn = draw_masks(fake_cupy, dtype, shape, 0.3, (5, 6), columns)
    assert np.array_equal(to_host(drawn), draw_masks(np, dtype, shape, 0.3, (5, 6))[:, :, columns])


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 30)), min_size=1, max_size=6))
def test_numbers_depend_on_their_position_only(parts):
    numbers, whole = _Uniform((3, 4)), _Uniform((3, 4)).at(0, (80,))
    for position, size in parts:
        assert np.array_equal(numbers.at(position, (size,)), whole[position : position + size])


def test_hardly_more_is_drawn_than_the_columns_need(monkeypatch):
    class Counted(np.random.Generator):
        drawn = 0

        def random(self, size, dtype):
            Counted.drawn += math.prod(size) if isinstance(size, tuple) else size
            return super().random(size, dtype)

    monkeypatch.setattr(np.random, "Generator", Counted)
    count, steps, _, H = shape = (2, 3, 100, 41)
    draw_masks(np, "float32", shape, 0.5, (1, 2), slice(50, 60))
    needed = count * steps * 10 * H
    assert needed <= Counted.drawn < needed + count * steps * PER_COUNTER
