"""BLAS under NumPy: control of its threads, and small products cut into tiles."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from minigrid.backend.arrays import Array
from minigrid.backend.ranks import Ranks
from minigrid.backend.workspace import Scope, Workspace

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

SMALL = 10**6
"""Up to this many multiplications, OpenBLAS computes a product without copying its factors first.

For a larger product it copies them into a layout of its own, every time. With 25 rows in x, the copying takes a quarter
to two fifths of the time of ``x @ W``.
"""

NARROWEST_TILE = 32
"""Minimum number of columns in a tile: fewer would not keep a core busy."""

FEW_PRODUCTS = 8
"""For fewer products than this, copying W first takes longer than it saves."""


def threads() -> int:
    """Return how many threads BLAS may use now; 1 if that number cannot be changed (Accelerate on a Mac)."""
    return min((library.num_threads for library in _libraries().lib_controllers), default=1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS to one thread, in the whole process."""
    with _libraries().limit(limits=1):
        yield


def share_cores(ranks: Ranks) -> int:
    """Limit this process to its share of the machine's cores, for good, and return that number of threads.

    $OPENBLAS_NUM_THREADS and the like take precedence. A core is shared among the ranks that may run on it: a launcher
    can bind each to cores of its own.
    """
    own = _cores()
    others, _ = ranks.neighbours(own)
    sharing = sum(not own.isdisjoint(cores) for cores in others)
    if not any(name in os.environ for name in THREAD_VARIABLES):
        _libraries().limit(limits=max(1, len(own) // sharing))
    return threads()


def _cores() -> set[int]:
    """Return the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def tiles_pay() -> bool:
    """Return whether OpenBLAS computes the products, on one thread; :data:`SMALL` applies to this case only."""
    return threads() == 1 and any(library.internal_api == "openblas" for library in _libraries().lib_controllers)


@cache
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController  # only when needed: it inspects every library of the process

    return ThreadpoolController().select(user_api="blas")


class Tiles(NamedTuple):
    """A matrix W (K, N), cut into tiles that OpenBLAS multiplies without copying them."""

    tiles: np.ndarray  # (down, across, K / down, N / across)
    down: int  # rows of tiles
    sums: np.ndarray  # (down, B, N): the products of each row of tiles, to be added up; `out` itself if down is 1
    sums_by_tile: np.ndarray  # (down, across, B, N / across), a view of the sums
    out: np.ndarray  # (B, N), where the products go


def tiled(W: Array, out: Array, products: int, workspace: Workspace | Scope) -> Tiles:
    """Prepare W (K, N) for several products ``x @ W``; hand the result to :func:`matmul`.

    Parameters
    ----------
    W : (K, N) array
        Copied, unless too few products follow.
    out : (B, N) array, contiguous
        Where the products will go.
    products : int
        How many products will follow.
    workspace : Workspace or Scope
        Provides the copy, as a scratch array.
    """
    (K, N), B = W.shape, len(out)
    if products < FEW_PRODUCTS:
        return Tiles(W[None, None], 1, out[None], out[None, None], out)  # one tile, W itself
    down, across = _tiles(B, K, N) if tiles_pay() else (1, 1)
    depth, width = K // down, N // across
    tiles = workspace.scratch("tiles", (down, across, depth, width), padded=across == 1)
    tiles[...] = W.reshape(down, depth, across, width).swapaxes(1, 2)
    sums = out[None] if down == 1 else workspace.scratch("sums", (down, B, N))
    return Tiles(tiles, down, sums, sums.reshape(down, B, across, width).swapaxes(1, 2), out)


def matmul(x: Array, W: Tiles, out: Array) -> None:
    """Write ``x @ W`` into `out` (B, N), for x (B, K) and a W that :func:`tiled` has prepared for this `out`."""
    assert out is W.out
    if W.down == 1:
        np.matmul(x, W.tiles, out=W.sums_by_tile)
        return
    depth = W.tiles.shape[2]
    np.matmul(x.reshape(len(x), W.down, 1, depth).transpose(1, 2, 0, 3), W.tiles, out=W.sums_by_tile)
    np.add.reduce(W.sums, axis=0, out=out)


@cache
def _tiles(B: int, K: int, N: int) -> tuple[int, int]:
    """Return how many tiles to cut W (K, N) into, down and across, for products with B rows; (1, 1) if none fit."""
    for down in (1, 2, 4):
        for across in range(1, N // NARROWEST_TILE + 1):
            if K % down == N % across == 0 and B * (K // down) * (N // across) <= SMALL:
                return down, across
    return 1, 1
