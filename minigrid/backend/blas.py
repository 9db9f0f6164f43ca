"""BLAS under NumPy: control of its threads, and small products cut into tiles."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from minigrid.backend.arrays import Array
from minigrid.backend.workspace import Scope, Workspace

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


def tiles_pay() -> bool:
    """Return whether OpenBLAS computes the products, on one thread; :data:`SMALL` applies to this case only."""
    return threads() == 1 and any(library.internal_api == "openblas" for library in _libraries().lib_controllers)


@cache
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController  # only when needed: it inspects every library of the process

    return ThreadpoolController().select(user_api="blas")


class Tiles(NamedTuple):
    """A matrix W (K, N), cut into tiles that OpenBLAS multiplies without copying them."""

    tiles: Array  # (down, across, K / down, N / across)
    sums: Array  # (down, B, N): products with each row of tiles, whose sum over `down` is the result


def tiled(W: Array, B: int, products: int, workspace: Workspace | Scope) -> Array | Tiles:
    """Prepare W (K, N) for several products ``x @ W`` with B rows in x; hand the result to :func:`matmul`.

    Parameters
    ----------
    W : (K, N) array
        Copied, unless there are too few products.
    B : int
        Number of rows of x.
    products : int
        Number of products.
    workspace : Workspace or Scope
        Provides the copy, as a scratch array.
    """
    if products < FEW_PRODUCTS:
        return W
    K, N = W.shape
    down, across = _tiles(B, K, N) if tiles_pay() else (1, 1)
    depth, width = K // down, N // across
    tiles = workspace.scratch("tiles", (down, across, depth, width), padded=across == 1)
    tiles[...] = W.reshape(down, depth, across, width).swapaxes(1, 2)
    return Tiles(tiles, workspace.scratch("sums", (down, B, N)) if down > 1 else None)


def matmul(x: Array, W: Array | Tiles, out: Array) -> None:
    """Write ``x @ W`` into `out` (B, N), for x (B, K) and a W that :func:`tiled` has prepared."""
    if not isinstance(W, Tiles):
        np.matmul(x, W, out=out)
        return
    B = len(x)
    down, across, depth, width = W.tiles.shape
    if down == 1:
        np.matmul(x, W.tiles[0], out=out.reshape(B, across, width).swapaxes(0, 1))
        return
    x_tiles = x.reshape(B, down, 1, depth).transpose(1, 2, 0, 3)
    np.matmul(x_tiles, W.tiles, out=W.sums.reshape(down, B, across, width).swapaxes(1, 2))
    np.add.reduce(W.sums, axis=0, out=out)


@cache
def _tiles(B: int, K: int, N: int) -> tuple[int, int]:
    """Return how many tiles to cut W (K, N) into, down and across, for products with B rows; (1, 1) if none fit."""
    for down in (1, 2, 4):
        for across in range(1, N // NARROWEST_TILE + 1):
            if K % down == N % across == 0 and B * (K // down) * (N // across) <= SMALL:
                return down, across
    return 1, 1
