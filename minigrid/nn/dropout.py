"""Inverted dropout: the masks, and their use."""

from types import ModuleType
from typing import Any

import numpy as np

from minigrid.backend import Array, on_gpu
from minigrid.backend.cuda.kernels import kernels_for


def dropout_forward(x: Array, mask: Array | None) -> Array:
    """Return ``x * mask``, the mask holding 0 or 1 / (1 - p). None leaves x as it is."""
    return x if mask is None else x * mask


def dropout_backward(dout: Array, mask: Array | None) -> Array:
    """Backward of :func:`dropout_forward`: the gradient passes where the value passed, times the same factor."""
    return dout if mask is None else dout * mask


def draw_masks(xp: ModuleType, dtype: Any, shape: tuple[int, ...], rate: float, key: tuple[int, int]) -> Array:
    """Draw dropout masks: 0 with probability `rate`, 1 / (1 - rate) otherwise.

    Parameters
    ----------
    xp : module
        numpy or cupy.
    dtype : dtype
        Dtype of the masks.
    shape : tuple of int
        Several masks, along the first axis.
    rate : float
        Probability of 0, in [0, 1).
    key : pair of int
        The same key draws the same masks, on a GPU too: the generator, Philox, is counter-based.
    """
    masks = xp.empty(shape, dtype)
    if on_gpu(masks):
        kernels_for(masks).dropout_masks(masks, key, rate)
        return masks
    generator = np.random.Generator(np.random.Philox(key=np.array(key, dtype=np.uint64)))
    scale = masks.dtype.type(1 / (1 - rate))
    for mask in masks:
        np.multiply(generator.random(mask.shape, dtype=np.float32) >= rate, scale, out=mask)
    return masks
