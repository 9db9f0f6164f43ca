"""Data parallelism on a CPU: one thread and one BLAS thread per part of the batch.

One product of a recurrent step is small. Two cores that share it spend as much time exchanging numbers as computing,
and everything between the products leaves the second core idle. Two halves of the batch are independent until their
gradients are added.
"""

import contextvars
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import Any, TypeVar

import numpy as np

from minigrid.backend import CHUNK, Workspace, cut
from minigrid.backend.blas import one_thread, threads
from minigrid.nn.model import CharModel

NARROWEST = 16
"""Fewest columns in a part of a batch: BLAS works on that many at a time."""

Result = TypeVar("Result")


class Shards:
    """The parts in which a model's batches are computed, and the arrays that each part reuses.

    There is one part per thread that BLAS may use (``OPENBLAS_NUM_THREADS``; by default one per core). There is only
    one on a GPU, or if parts of at least `NARROWEST` columns would occupy no more than half of the cores.

    Parameters
    ----------
    model : CharModel
        The model whose batches are computed.
    """

    def __init__(self, model: CharModel):
        self._model = model
        self._workspaces: list[Workspace] = []

    def columns(self, batch: int) -> list[slice]:
        """Cut a batch into the columns of each part."""
        threads = self._threads()
        count = min(threads, batch // NARROWEST)
        return cut(batch, count if 2 * count > threads else 1)

    def ranges(self, size: int) -> list[slice]:
        """Cut a vector into ranges that are processed in parallel: a single one if it is short."""
        return cut(size, self._threads() if size >= 4 * CHUNK else 1)

    def map_columns(self, function: Callable[[slice, Workspace], Result], batch: int) -> list[Result]:
        """Return ``function(columns, workspace)`` for every part of a batch, in order, each with its own workspace."""
        parts = self.columns(batch)
        while len(self._workspaces) < len(parts):
            self._workspaces.append(self._model.workspace(reuse=True))
        return in_parallel(function, list(zip(parts, self._workspaces, strict=False)))

    def map_ranges(self, function: Callable[[slice], Result], size: int) -> list[Result]:
        """Return ``function(part)`` for every range of a vector, in order."""
        return in_parallel(function, [(part,) for part in self.ranges(size)])

    def _threads(self) -> int:
        return threads() if self._model.xp is np else 1


def in_parallel(function: Callable[..., Result], arguments: list[tuple[Any, ...]]) -> list[Result]:
    """Return ``function(*a)`` for each of `arguments`, computed at the same time, with one BLAS thread each.

    The whole process has one number of BLAS threads. If you train two models at once in two threads of your own, each
    may see the other's number, and results that depend on it may differ in the last digits.
    """
    if len(arguments) == 1:
        return [function(*arguments[0])]
    with one_thread():
        others: list[Future] = [
            # a context carries the caller's np.errstate into the thread
            _pool().submit(contextvars.copy_context().run, function, *a)
            for a in arguments[1:]
        ]
        try:
            return [function(*arguments[0]), *(other.result() for other in others)]
        finally:
            wait(others)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="minigrid")
