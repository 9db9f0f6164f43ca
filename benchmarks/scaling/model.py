"""Predict the time of a training step on many ranks from figures that can be measured on a few.

N ranks train on batches of B columns a model of P parameters, V = 4 P bytes. All of them are connected to one switch. A
message takes `latency` and then its bytes one after the other, at `bandwidth`; each further message of a burst takes
another `gap`. A step takes ::

    compute     gradients(ceil(B / N))
    gradient    latency * ceil(N / 32) + gap * (N - 1) + V (N-1)/N / bandwidth + add * P (N-1)/N
    numbers     latency * ceil(log2 N)
    update      update * P / N
    parameters  latency * ceil(N / 32) + gap * (N - 1) + V (N-1)/N / bandwidth

Messages are sent as they are, without asking the receiver first: MPICH does so over TCP at all these sizes. TCP's slow
start and the limits of its windows are left out; they matter on longer ways than those of a local network.

The latencies are those of the algorithms that MPICH 5 chooses (maint/tuning/coll/mpir/generic.json in its source):

gradient and parameters, Alltoallv ("scattered")
    Sends and receives of 32 ranks at a time start at once, and the next 32 when all have ended.
numbers, Allgather of a few bytes ("recursive doubling", or "Bruck" if N is not a power of 2)
    Each round doubles what a rank has.
Allgatherv of 512 KiB and more ("ring")
    Each rank passes on to the next what it got from the one before, in pieces of 32 KiB, and waits for each of them.
    For less, "recursive doubling": one latency per round.
Allreduce ("reduce-scatter and allgather", by Rabenseifner)
    A reduce-scatter by halves, and an allgather by doubling; then every rank updates all parameters.

Two alternatives take, for the parameters, and for everything but the computation ::

    Allgatherv  latency * (N - 1) * ceil(V/N / 32 KiB) + V (N-1)/N / bandwidth
    Allreduce   2 latency * ceil(log2 N) + 2 V (N-1)/N / bandwidth + add * P (N-1)/N + update * P
"""

import bisect
import math
from dataclasses import dataclass, replace
from typing import NamedTuple

AT_ONCE = 32
"""Messages that MPICH's Alltoallv has under way (MPIR_CVAR_ALLTOALL_THROTTLE)."""

PIECE = 32 << 10
"""Bytes of each message of MPICH's Allgatherv (MPIR_CVAR_ALLGATHERV_PIPELINE_MSG_SIZE)."""

LONG = 512 << 10
"""Bytes from which MPICH's Allgatherv uses a ring (MPIR_CVAR_ALLGATHER_LONG_MSG_SIZE)."""

GATHER = "alltoallv"
"""How DistributedStep exchanges updated parameters."""

PAYLOAD = 1448 / 1538
"""Share of an Ethernet link's bytes that a full TCP segment carries: the rest is headers, checksum and gap."""


@dataclass(frozen=True)
class Link:
    """The connection of each rank.

    Attributes
    ----------
    latency : float
        Seconds from the start of a send to the end of the receive, for a few bytes.
    bandwidth : float
        Bytes of a long message per second.
    gap : float
        Seconds for each further message of a burst.
    """

    latency: float
    bandwidth: float
    gap: float = 0.0

    def limited(self, bits_per_second: float, delay: float = 0.0) -> "Link":
        """Return this connection over Ethernet of a given rate and with `delay` more seconds of latency."""
        bandwidth = min(self.bandwidth, bits_per_second / 8 * PAYLOAD)
        return replace(self, latency=self.latency + delay, bandwidth=bandwidth)


@dataclass(frozen=True)
class Work:
    """What one core takes for a model.

    Attributes
    ----------
    parameters : int
        Number of parameters P.
    update : float
        Seconds to clip and update one parameter.
    add : float
        Seconds to add one number of a gradient to another.
    times : dict of int to float
        Number of columns -> seconds to compute their gradients; two or more numbers, in ascending order.
    """

    parameters: int
    update: float
    add: float
    times: dict[int, float]

    def gradients(self, columns: int) -> float:
        """Return the seconds to compute the gradients of so many columns.

        Between two measured numbers of columns, and beyond the largest, the time changes linearly. It is not
        proportional to the columns: a step costs something however few there are.
        """
        known = list(self.times)
        right = min(max(bisect.bisect_left(known, columns), 1), len(known) - 1)
        (b0, t0), (b1, t1) = list(self.times.items())[right - 1 : right + 1]
        return t0 + (t1 - t0) * (columns - b0) / (b1 - b0)

    def alone(self, columns: int) -> float:
        """Return the seconds of a step of one process."""
        return self.gradients(columns) + self.update * self.parameters


class StepTime(NamedTuple):
    """Seconds of the parts of a step."""

    compute: float
    gradient: float
    numbers: float
    update: float
    parameters: float

    @property
    def total(self) -> float:
        """Seconds of the whole step."""
        return sum(self)

    @property
    def exchange(self) -> float:
        """Seconds of the three exchanges."""
        return self.gradient + self.numbers + self.parameters


def step_time(work: Work, link: Link, ranks: int, batch: int, gather: str = GATHER) -> StepTime:
    """Predict a step of `ranks` ranks that share `batch` columns.

    Parameters
    ----------
    work : Work
        The model, on one core of each rank.
    link : Link
        The connection of each rank.
    ranks, batch : int
        Number of ranks, at least 1, and of columns.
    gather : {"alltoallv", "allgatherv"}
        How the ranks exchange updated parameters.
    """
    N, P = ranks, work.parameters
    if N == 1:
        return StepTime(work.gradients(batch), 0.0, 0.0, work.update * P, 0.0)
    scattered = alltoallv(link, 4 * P, N)
    return StepTime(
        compute=work.gradients(math.ceil(batch / N)),
        gradient=scattered + work.add * P * (N - 1) / N,
        numbers=link.latency * rounds_of_doubling(N),
        update=work.update * P / N,
        parameters=scattered if gather == "alltoallv" else allgatherv(link, 4 * P, N),
    )


def alltoallv(link: Link, size: int, ranks: int) -> float:
    """Predict an Alltoallv in which each rank sends an N-th of `size` bytes to every other."""
    messages = link.latency * math.ceil(ranks / AT_ONCE) + link.gap * (ranks - 1)
    return messages + size * (ranks - 1) / ranks / link.bandwidth


def allgatherv(link: Link, size: int, ranks: int) -> float:
    """Predict an Allgatherv in which each rank contributes an N-th of `size` bytes."""
    around_a_ring = (ranks - 1) * math.ceil(size / ranks / PIECE)
    rounds = rounds_of_doubling(ranks) if size < LONG and ranks & (ranks - 1) == 0 else around_a_ring
    return link.latency * rounds + size * (ranks - 1) / ranks / link.bandwidth


def with_allreduce(work: Work, link: Link, ranks: int, batch: int) -> float:
    """Predict a step whose ranks add up whole gradients with Allreduce, and each update all parameters."""
    N, P = ranks, work.parameters
    if N == 1:
        return work.alone(batch)
    share = (N - 1) / N
    exchange = 2 * link.latency * rounds_of_doubling(N) + 8 * P * share / link.bandwidth + work.add * P * share
    return work.gradients(math.ceil(batch / N)) + exchange + work.update * P


def rounds_of_doubling(ranks: int) -> int:
    """Return how often one has to be doubled to reach the number of ranks."""
    return (ranks - 1).bit_length()
