"""Ranks: the processes that ``mpiexec -n N`` starts, each of which runs the whole program.

Something may fail on one rank only: its disk is full, or its machine lacks the text. If that rank simply raised its
error, the others would wait for it forever. So do what may fail through the methods of :class:`Ranks`: they share the
outcome, and raise the error of one rank on all of them. Such an error is *agreed*. Any other one must end the program
on all ranks at once (``comm.Abort``).
"""

import os
import pickle
import platform
import traceback
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from minigrid.backend.arrays import Array, cut
from minigrid.errors import UserError

Result = TypeVar("Result")


class Outcome(NamedTuple):
    """What a function has returned, or the error that it has raised."""

    value: Any
    error: Exception | None


class Requests(NamedTuple):
    """What a rank asks all of them to do after a training step: to save, or to stop."""

    stop: bool = False
    save: bool = False


class Ranks:
    """All ranks, as one of them sees them.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm, optional
        Communicator of the ranks. None: this process works alone, and no method communicates.
    gpu_aware : bool
        Whether MPI takes arrays that are on a GPU. Otherwise they are copied to the host first.

    Attributes
    ----------
    comm, gpu_aware
        As given.
    number : int
        Number of this rank, from 0.
    count : int
        Number of ranks.
    requests : callable
        Returns what this rank asks for now. Each training step sends the answer along with its numbers; see
        :meth:`requested`.
    """

    def __init__(self, comm: Any = None, gpu_aware: bool = False):
        self.comm, self.gpu_aware = comm, gpu_aware
        self.number = 0 if comm is None else comm.rank
        self.count = 1 if comm is None else comm.size
        self.requests: Callable[[], Requests] = Requests
        self._requested = Requests()

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, the only one that writes files and prints."""
        return self.number == 0

    def columns(self, batch: int) -> slice:
        """Return the columns of a batch that this rank works on: none if there are more ranks than columns."""
        return cut(batch, self.count)[self.number]

    def require_columns(self, batch: int) -> None:
        """Raise a UserError if there are more ranks than sequences in a batch."""
        if self.count > batch:
            raise UserError(
                f"`batch` {batch} is too small for {self.count} processes, which share its sequences: start at most "
                f"{batch}, or use a larger `batch`"
            )

    def require_same(self, values: Mapping[str, Any]) -> None:
        """Raise a UserError on every rank if one of the values, which have names for the message, is not the same."""
        of_all = [values] if self.count == 1 else self.comm.allgather(dict(values))
        for rank, others in enumerate(of_all):
            for name in (*of_all[0], *others):
                if others.get(name) != of_all[0].get(name):
                    raise agreed(
                        UserError(
                            f"{name} is not the same in process {rank} as in process 0: start all of them with the "
                            "same options, text and checkpoint"
                        )
                    )

    # -- doing what may fail

    def first(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function on the first rank, and return on every rank what it returns, which must be picklable."""
        if self.count == 1:
            return function(*arguments)
        outcome = self.comm.bcast(self._outcome(function, arguments) if self.is_first else None)
        _raise_first([outcome.error])
        return outcome.value

    def each(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function on every rank, and return what it returns there. The function must not communicate."""
        if self.count == 1:
            return function(*arguments)
        outcome = self._outcome(function, arguments)
        _raise_first(self.comm.allgather(outcome.error))
        return outcome.value

    def first_then_others(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function on the first rank and then on the others, which find, say, what the first one has downloaded.

        Return what it returns on this rank. It must not communicate.
        """
        if self.count == 1:
            return function(*arguments)
        outcome = self._outcome(function, arguments) if self.is_first else Outcome(None, None)
        _raise_first([self.comm.bcast(outcome.error)])
        if not self.is_first:
            outcome = self._outcome(function, arguments)
        _raise_first(self.comm.allgather(outcome.error))
        return outcome.value

    def _outcome(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
        try:
            return Outcome(function(*arguments), None)
        except Exception as error:
            if isinstance(error, UserError) and not self.is_first:
                error.args = (f"on {platform.node()} (process {self.number}): {error}",)
            sent = error if _can_be_sent(error) else RuntimeError(f"{type(error).__name__}: {error}")
            sent.add_note(traceback.format_exc())  # the traceback itself stays behind
            return Outcome(None, sent)

    # -- agreeing

    def any(self, flag: bool) -> bool:
        """Return on every rank whether `flag` is true on any of them."""
        return flag if self.count == 1 else bool(self.rows(np.array([flag])).any())

    def sum(self, own: np.ndarray) -> np.ndarray:
        """Return on every rank the sum of all ranks' arrays, added up in their order."""
        return own if self.count == 1 else self.rows(own).sum(axis=0)

    def rows(self, own: np.ndarray) -> np.ndarray:
        """Return on every rank the vectors of all ranks, one row each."""
        of_all = np.empty((self.count, len(own)), own.dtype)
        self.comm.Allgather(own, of_all)
        return of_all

    def hear(self, requests: Array) -> None:
        """Take note of what the ranks ask for, an array with one row for each; a training step calls this."""
        self._requested = Requests(*requests.any(axis=0).tolist())

    def requested(self) -> Requests:
        """Return what any rank asked for in the last training step; alone, what this process asks for now."""
        return self.requests() if self.count == 1 else self._requested

    # -- machines

    def neighbours(self, value: Any) -> tuple[list[Any], int]:
        """Return the values of all ranks on this machine, in the order of the ranks, and the place of this rank's."""
        if self.count == 1:
            return [value], 0
        all_of_them = self.comm.allgather((platform.node(), self.number, value))
        here = [(rank, other) for node, rank, other in all_of_them if node == platform.node()]
        return [other for _, other in here], [rank for rank, _ in here].index(self.number)


ALONE = Ranks()
"""A process that works alone."""


def _raise_first(errors: list[Exception | None]) -> None:
    """Raise the first error, on every rank that calls this with the same list."""
    for error in errors:
        if error is not None:
            raise agreed(error)


def _can_be_sent(error: Exception) -> bool:
    """Return whether an error arrives as it was: its class may ask for other arguments than pickle gives it."""
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:
        return False


def agreed(error: Exception) -> Exception:
    """Mark an error that is raised on all ranks, or makes all of them end; see :func:`is_agreed`."""
    error.__dict__["agreed"] = True
    return error


def is_agreed(error: BaseException) -> bool:
    """Return whether an error is raised on every rank, so that none of them waits for another."""
    return getattr(error, "agreed", False)


def connect(size: int | None = None) -> Ranks:
    """Join the other ranks of a launch.

    Parameters
    ----------
    size : int, optional
        How many processes the launcher says it has started.

    Raises
    ------
    UserError
        mpi4py or its MPI library is missing, or the library is not the launcher's.
    """
    started = f"the launcher has started {size or 'several'} processes to train together"
    try:
        import mpi4py

        mpi4py.rc.thread_level = "funneled"  # only the main thread communicates
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "suspicious MPI", RuntimeWarning)  # we say it below
            from mpi4py import MPI
    except ImportError as error:
        raise UserError(
            f"{started}, which needs mpi4py ({error}): run `pip install mpi4py mpich` (on a cluster with an MPI of "
            "its own, `pip install mpi4py`)"
        ) from error
    except RuntimeError as error:
        raise UserError(
            f"{started}, but mpi4py finds no MPI library ({str(error).splitlines()[0]}): run `pip install mpich`, or "
            "load your cluster's MPI module"
        ) from error
    comm = MPI.COMM_WORLD
    if comm.size != (size or comm.size):
        library = MPI.Get_library_version().split("\n")[0].strip()
        raise UserError(
            f"{started}, but mpi4py's MPI library ({library}) sees {comm.size}: use the `mpiexec` of that library, "
            "which for `pip install mpich` is the one beside `python`"
        )
    return Ranks(comm, _is_gpu_aware(comm))


def _is_gpu_aware(comm: Any) -> bool:
    """Return whether the MPI library says that it takes arrays on a GPU: as MPI 4.1 has it, or in Cray's way."""
    kinds = comm.Get_info().get("mpi_memory_alloc_kinds") or ""
    return "cuda" in kinds or os.environ.get("MPICH_GPU_SUPPORT_ENABLED") == "1"
