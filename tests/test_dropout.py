import numpy as np
import pytest

from minigrid.nn.dropout import draw_masks, dropout_backward, dropout_forward

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
