"""Arrays of NumPy or CuPy. Code that works with both takes the library from an array: ``xp = array_module(x)``."""

import sys
from collections.abc import Iterator
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np

CHUNK = 1 << 16
"""How many numbers to process at a time in several passes: few enough to stay in a CPU's cache."""

Array = Any
"""A NumPy or a CuPy array."""


def array_module(x: Array) -> ModuleType:
    """Return the module that `x` belongs to: ``numpy``, or ``cupy`` for an array on a GPU."""
    # Look cupy up instead of importing it: if x is a CuPy array, cupy has been imported already.
    cupy = sys.modules.get("cupy")
    return cupy if cupy is not None and isinstance(x, cupy.ndarray) else np


def on_gpu(x: Array) -> bool:
    """Return whether `x` is on a GPU."""
    return array_module(x) is not np


def to_host(x: Array) -> np.ndarray:
    """Return `x` as a NumPy array; copy it if it is on a GPU."""
    return x if isinstance(x, np.ndarray) else array_module(x).asnumpy(x)


def chunks(x: Array, part: slice = slice(None), numbers: int = CHUNK) -> Iterator[slice]:
    """Split a part of x along its first axis into chunks that stay in a CPU's cache during several passes.

    A chunk holds about `numbers` numbers, but at least one entry along the axis. On a GPU the whole part is one chunk.
    An empty array has none.
    """
    start, stop, _ = part.indices(len(x))
    fitting = numbers * len(x) // x.size if isinstance(x, np.ndarray) and x.size else len(x)
    length = max(1, fitting)
    return (slice(k, min(k + length, stop)) for k in range(start, stop, length))


def cut(size: int, count: int) -> list[slice]:
    """Cut `size` entries into `count` parts whose lengths differ by at most one."""
    edges = [size * k // count for k in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]
