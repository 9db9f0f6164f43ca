"""Work on a CPU side by side: parts of a batch, each in a thread of its own with one BLAS thread.

One product of a recurrent step is small. Two cores that share it spend as much time on handing numbers over as on
computing, and everything between the products leaves the second core idle. Two halves of the batch never meet before
their gradients are added up.
"""

import contextvars
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from minigrid.backend import BLOCK, Workspace
from minigrid.backend.blas import one_thread, threads
from minigrid.nn.model import CharModel

NARROWEST = 16
"""Columns that a part of a batch has at least: BLAS works on that many at a time."""

Result = TypeVar("Result")


class Shards:
    """The parts that a model's batches are computed in, with the arrays that each of them re-uses.

    There are as many parts as BLAS may use threads (``OPENBLAS_NUM_THREADS``; by default one for each core), one on a
    GPU, and one where parts of at least `NARROWEST` columns would keep no more than half of the cores busy.

    Parameters
    ----------
    model : CharModel
        Whose batches they are.
    """

    def __init__(self, model: CharModel):
        self._model = model
        self._workspaces: list[Workspace] = []

    def columns(self, batch: int) -> list[slice]:
        """Cut a batch into the columns of each part."""
        threads = self._threads()
        count = min(threads, batch // NARROWEST)
        return _cut(batch, count if 2 * count > threads else 1)

    def ranges(self, size: int) -> list[slice]:
        """Cut a vector into the ranges that are worked on side by side: one where it is short."""
        return _cut(size, self._threads() if size >= 4 * BLOCK else 1)

    def map(self, function: Callable[[slice, Workspace], Result], parts: list[slice]) -> list[Result]:
        """Return ``function(part, workspace)`` for every part, in their order, each with a workspace of its own."""
        while len(self._workspaces) < len(parts):
            self._workspaces.append(self._model.workspace(reuse=True))
        return side_by_side(function, list(zip(parts, self._workspaces, strict=False)))

    def _threads(self) -> int:
        return threads() if self._model.xp is np else 1


def side_by_side(function: Callable[..., Result], arguments: list[tuple[Any, ...]]) -> list[Result]:
    """Return ``function(*a)`` for each of `arguments`, computed at the same time, with one BLAS thread each.

    BLAS has one number of threads for the whole process: of two trainings at once, in two threads, each may find that
    of the other, and what depends on it differs in the last digits.
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


def _cut(size: int, count: int) -> list[slice]:
    edges = [size * k // count for k in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="minigrid")
