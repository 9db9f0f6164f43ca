"""Compute code never names a library: it asks an array for its module, ``xp = array_module(x)``, and calls that."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

BLOCK = 1 << 16
"""Numbers to work on at a time where several passes follow each other: so few that they stay in a CPU's cache."""

Array = Any
"""A NumPy or a CuPy array."""


def array_module(x: Array) -> ModuleType:
    """Return the module that `x` belongs to: ``numpy``, or ``cupy`` for an array on a GPU."""
    # cupy is looked up, not imported: an array of its own cannot exist before somebody has imported it.
    cupy = sys.modules.get("cupy")
    return cupy if cupy is not None and isinstance(x, cupy.ndarray) else np


def to_host(x: Array) -> np.ndarray:
    """Return `x` as a NumPy array, copied from the GPU if that is where it is."""
    return x if isinstance(x, np.ndarray) else array_module(x).asnumpy(x)


def blocks(x: Array, part: slice = slice(None), numbers: int = BLOCK) -> Iterator[slice]:
    """Cut a part of x, along its first axis, into blocks that stay in a CPU's cache through several passes.

    A block has about as many numbers as it says, at least one entry of the axis. On a GPU the whole part is one block.
    """
    start, stop, _ = part.indices(len(x))
    length = max(1, numbers * len(x) // x.size) if isinstance(x, np.ndarray) else len(x)
    return (slice(k, min(k + length, stop)) for k in range(start, stop, length))
