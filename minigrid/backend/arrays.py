"""Arrays of either library. Compute code names neither: it asks an array, ``xp = array_module(x)``, and uses that."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

BLOCK = 1 << 16
"""How many numbers to process at a time if several passes follow each other: few enough for a CPU's cache."""

Array = Any
"""A NumPy or a CuPy array."""


def array_module(x: Array) -> ModuleType:
    """Return the module that `x` belongs to: ``numpy``, or ``cupy`` for an array on a GPU."""
    # Look cupy up instead of importing it: if x is a CuPy array, somebody has imported cupy already.
    cupy = sys.modules.get("cupy")
    return cupy if cupy is not None and isinstance(x, cupy.ndarray) else np


def on_gpu(x: Array) -> bool:
    """Return whether `x` is on a GPU."""
    return array_module(x) is not np


def to_host(x: Array) -> np.ndarray:
    """Return `x` as a NumPy array, copied from the GPU if it is there."""
    return x if isinstance(x, np.ndarray) else array_module(x).asnumpy(x)


def blocks(x: Array, part: slice = slice(None), numbers: int = BLOCK) -> Iterator[slice]:
    """Cut a part of x, along its first axis, into blocks that stay in a CPU's cache through several passes.

    A block has about `numbers` numbers, but at least one entry of the axis. On a GPU the whole part is one block.
    """
    start, stop, _ = part.indices(len(x))
    length = max(1, numbers * len(x) // x.size) if isinstance(x, np.ndarray) else len(x)
    return (slice(k, min(k + length, stop)) for k in range(start, stop, length))
