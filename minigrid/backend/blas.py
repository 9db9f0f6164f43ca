"""What is asked of the BLAS library under NumPy: how many threads it takes, and small products in the form it likes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from minigrid.backend.arrays import Array, array_module
from minigrid.backend.workspace import Workspace

SMALL = 10**6
"""Multiplications up to which OpenBLAS computes a product from its operands as they lie in memory.

For a larger one it first copies them into an order of its own, at every call: with 25 rows x, a quarter to two fifths
of the time of ``x @ W``.
"""

NARROWEST_TILE = 32
"""Columns of W that a tile has at least: fewer would not keep a core busy."""

FEW_STEPS = 8
"""Products below which it does not pay to copy W first."""


def threads() -> int:
    """Threads that BLAS may use now; 1 where it cannot be told to use fewer (Accelerate on a Mac)."""
    return min((library.num_threads for library in _libraries().lib_controllers), default=1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS to one thread, in the whole process."""
    with _libraries().limit(limits=1):
        yield


def tiles_pay() -> bool:
    """Whether products are computed by OpenBLAS on one thread: what is said of :data:`SMALL` is true of it alone."""
    return threads() == 1 and any(library.internal_api == "openblas" for library in _libraries().lib_controllers)


@cache
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController  # looks at every library of the process: not at import time

    return ThreadpoolController().select(user_api="blas")


def product_at_each_step(x: Array, W: Array, out: Array, workspace: Workspace) -> Callable[[int], None]:
    """Return a function of t that writes ``x[t] @ W`` into `out`: the product in the middle of a recurrence.

    W is copied once, and where it pays cut into tiles that are small enough for :data:`SMALL`.

    Parameters
    ----------
    x : (T, B, K) array
        May be filled step by step, as the recurrence goes on.
    W : (K, N) array
        Must stay as it is.
    out : (B, N) array
        Written at each call.
    workspace : Workspace
        Gives the copy, which must not be asked for by anybody else before the last call.
    """
    xp = array_module(x)
    if xp is not np or len(x) < FEW_STEPS:
        return lambda t: xp.matmul(x[t], W, out=out)
    (T, B, K), N = x.shape, W.shape[1]
    down, across = _tiles(B, K, N) if tiles_pay() else (1, 1)
    depth, width = K // down, N // across
    tiles = workspace.scratch("tiles", (down, across, depth, width), padded=across == 1)
    tiles[...] = W.reshape(down, depth, across, width).swapaxes(1, 2)
    x_tiles = x.reshape(T, B, down, 1, depth).transpose(0, 2, 3, 1, 4)
    sums = out[None] if down == 1 else workspace.scratch("sums", (down, B, N))
    sums_tiles = sums.reshape(down, B, across, width).swapaxes(1, 2)

    def multiply(t: int) -> None:
        np.matmul(x_tiles[t], tiles, out=sums_tiles)
        if down > 1:
            np.add.reduce(sums, axis=0, out=out)

    return multiply


@cache
def _tiles(B: int, K: int, N: int) -> tuple[int, int]:
    """Return into how many tiles W (K, N) is cut, down and across, for products with B rows; (1, 1) if none fit."""
    for down in (1, 2, 4):
        for across in range(1, N // NARROWEST_TILE + 1):
            if K % down == N % across == 0 and B * (K // down) * (N // across) <= SMALL:
                return down, across
    return 1, 1
