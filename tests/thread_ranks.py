"""Ranks that are threads of one process, with a communicator that does what mpi4py's does.

They take milliseconds to start, where processes take most of a second. test_mpi.py does the same things with MPI.

The communicator is stricter than MPI: it says so if ranks do different things at the same time, or if a rank ends while
another waits for it. With MPI they would wait forever, or get numbers of something else.
"""
# ruff: noqa: N802  (the names of mpi4py)

import contextvars
import pickle
import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np

from minigrid.backend.ranks import Ranks

LONGEST = 60
"""Seconds after which ranks that wait for each other give up."""


class DesertedError(Exception):
    """A rank has ended, and this one would wait for it forever."""


class _Board:
    """Where the ranks post what the others read, once in every round.

    A rank that is ahead posts in the next round already, which is kept apart, so nobody waits until all have read.
    """

    def __init__(self, size: int):
        self.size = size
        self._rounds: dict[int, dict[int, tuple[str, Any]]] = defaultdict(dict)
        self._entered = [0] * size
        self._has_ended = False
        self._changed = threading.Condition()

    def exchange(self, rank: int, operation: str, value: Any) -> list[Any]:
        with self._changed:
            number = self._entered[rank]
            self._entered[rank] += 1
            posted = self._rounds[number]
            posted[rank] = operation, value
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(posted) == self.size or self._has_ended, LONGEST)
            self._rounds.pop(number - 1, None)  # all have read it, since they have come here
        if len(posted) < self.size:
            raise DesertedError(f"rank {rank} waits in {operation}, and only ranks {sorted(posted)} have come there")
        operations = [posted[other][0] for other in range(self.size)]
        assert len(set(operations)) == 1, f"the ranks do different things: {operations}"
        return [posted[other][1] for other in range(self.size)]

    def leave(self) -> None:
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()


class ThreadComm:
    """The communicator of one rank, with the methods of mpi4py that minigrid uses."""

    def __init__(self, rank: int, board: _Board, gpu_aware: bool = False):
        self.rank, self.size = rank, board.size
        self._board, self._gpu_aware = board, gpu_aware

    # -- Python objects

    def allgather(self, value: Any, operation: str = "allgather") -> list[Any]:
        return [pickle.loads(sent) for sent in self._board.exchange(self.rank, operation, pickle.dumps(value))]

    def gather(self, value: Any) -> list[Any] | None:
        values = self.allgather(value, "gather")
        return values if self.rank == 0 else None

    def bcast(self, value: Any) -> Any:
        received = self.allgather(value, "bcast")[0]
        return value if self.rank == 0 else received

    # -- arrays

    def _exchange(self, operation: str, *arrays: Any) -> list[list[Any]]:
        """Return copies of every rank's arrays."""
        self._check(*arrays)
        return self._board.exchange(self.rank, operation, [array.copy() for array in arrays])

    def _check(self, *arrays: Any) -> None:
        for array in arrays:
            assert isinstance(array, np.ndarray) or self._gpu_aware, "MPI cannot read an array on a GPU"
            assert getattr(array, "host", array).flags.c_contiguous

    def Allgather(self, own: np.ndarray, of_all: np.ndarray) -> None:
        self._check(of_all)
        for row, (sent,) in zip(of_all, self._exchange("Allgather", own), strict=True):
            row[...] = sent

    def Alltoallv(self, sent: list[Any], received: list[Any]) -> None:
        vector, lengths = sent
        if isinstance(lengths, tuple):  # and where each part begins
            places = [slice(start, start + length) for length, start in zip(*lengths, strict=True)]
        else:
            places = _parts(vector, lengths)
        parts = self._exchange("Alltoallv", *(vector[place] for place in places))
        _fill(received, [of_rank[self.rank] for of_rank in parts], self._check)

    def Gatherv(self, own: np.ndarray, whole: list[Any] | None) -> None:
        parts = self._exchange("Gatherv", own)
        assert (whole is None) == (self.rank > 0)
        if whole is not None:
            _fill(whole, [part.reshape(-1) for (part,) in parts], self._check)


class MuteComm:
    """The communicator of the last rank of several, where the others seem to send zeros. It allocates nothing."""

    def __init__(self, size: int):
        self.rank, self.size = size - 1, size

    def Allgather(self, own: np.ndarray, of_all: np.ndarray) -> None:
        of_all[...] = own

    def Alltoallv(self, sent: list[Any], received: list[Any]) -> None:
        received[0][...] = 0


def _parts(vector: Any, lengths: list[int]) -> list[slice]:
    """Return where the parts of a vector are that have these lengths."""
    edges = [sum(lengths[:k]) for k in range(len(lengths) + 1)]
    assert edges[-1] == vector.size
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _fill(into: list[Any], parts: list[Any], check: Callable[[Any], None]) -> None:
    """Write parts of the lengths that the receiver has given one after the other."""
    array, lengths = into
    check(array)
    flat = array.reshape(-1)
    for place, part, length in zip(_parts(flat, lengths), parts, lengths, strict=True):
        assert (part.size, part.dtype) == (length, flat.dtype), "the sender and the receiver disagree"
        flat[place] = part


def on_ranks(count: int, function: Callable[[Ranks], Any], gpu_aware: bool = False) -> list[Any]:
    """Call a function on each of `count` ranks, at the same time, and return what each returns.

    If some raise errors, that of the lowest rank is raised, unless a rank was only waiting for another one that failed.
    """
    board = _Board(count)

    def of_rank(number: int) -> Any:
        try:
            return function(Ranks(ThreadComm(number, board, gpu_aware), gpu_aware))
        finally:
            board.leave()

    with ThreadPoolExecutor(count, thread_name_prefix="rank") as pool:
        # a context carries the caller's np.errstate into the thread
        futures = [pool.submit(contextvars.copy_context().run, of_rank, number) for number in range(count)]
    errors = [error for future in futures if (error := future.exception()) is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, DesertedError)):
        raise error
    return [future.result() for future in futures]
