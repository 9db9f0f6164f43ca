"""Inverted dropout: the masks, and their use."""

import math
from types import ModuleType
from typing import Any

import numpy as np

from minigrid.backend import Array
from minigrid.backend.cuda.kernels import PER_COUNTER, kernels_for


def dropout_forward(x: Array, mask: Array | None) -> Array:
    """Return ``x * mask``, the mask holding 0 or 1 / (1 - p). None leaves x as it is."""
    return x if mask is None else x * mask


def dropout_backward(dout: Array, mask: Array | None) -> Array:
    """Backward of :func:`dropout_forward`: the gradient passes where the value passed, times the same factor."""
    return dout if mask is None else dout * mask


def draw_masks(
    xp: ModuleType,
    dtype: Any,
    shape: tuple[int, int, int, int],
    rate: float,
    key: tuple[int, int],
    columns: slice = slice(None),
) -> Array:
    """Draw dropout masks: 0 with probability `rate`, 1 / (1 - rate) otherwise.

    Parameters
    ----------
    xp : module
        numpy or cupy.
    dtype : dtype
        Dtype of the masks.
    shape : tuple of int
        (masks, T, B, H): several masks, for a whole batch.
    rate : float
        Probability of 0, in [0, 1).
    key : pair of int
        The same key draws the same masks, on a GPU too: the generator, Philox, is counter-based.
    columns : slice
        Which columns of the batch to return. They are the same numbers, whoever draws the others.
    """
    count, T, B, H = shape
    start, stop, _ = columns.indices(B)
    if xp is not np:
        masks = xp.empty(shape, dtype)
        kernels_for(masks).dropout_masks(masks, key, rate)
        return masks if stop - start == B else masks[:, :, columns].copy()
    masks = np.empty((count, T, stop - start, H), dtype)
    scale = masks.dtype.type(1 / (1 - rate))
    numbers = _Uniform(key)
    for m in range(count):
        if stop - start == B:
            np.multiply(numbers.at(m * T * B * H, (T, B, H)) >= rate, scale, out=masks[m])
            continue
        for t in range(T):
            uniform = numbers.at(((m * T + t) * B + start) * H, (stop - start, H))
            np.multiply(uniform >= rate, scale, out=masks[m, t])
    return masks


class _Uniform:
    """A sequence of random float32 in [0, 1), any part of which can be drawn without those before it.

    Parameters
    ----------
    key : pair of int
        Determines the sequence.
    """

    def __init__(self, key: tuple[int, int]):
        self._philox = np.random.Philox(key=np.array(key, dtype=np.uint64))
        self._generator = np.random.Generator(self._philox)
        self._position = 0

    def at(self, position: int, shape: tuple[int, ...]) -> np.ndarray:
        """Return as many numbers as the shape has, beginning with number `position` of the sequence."""
        if position != self._position:
            blocks_drawn = -(-self._position // PER_COUNTER)
            self._philox.advance(position // PER_COUNTER - blocks_drawn)  # it also drops the rest of the last block
            self._generator.random(position % PER_COUNTER, dtype=np.float32)
        self._position = position + math.prod(shape)
        return self._generator.random(shape, dtype=np.float32)
