"""Time messages between two ranks."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrid.backend.ranks import Ranks

BURST = 32
LARGE = 4 << 20


def latency(ranks: Ranks) -> dict[str, float]:
    """Time messages between the first two ranks.

    Returns
    -------
    dict
        ``latency``, seconds for a message of 8 bytes, half the time there and back; ``gap``, seconds that each further
        message of a burst takes; ``bandwidth``, bytes per second of a message of 4 MB.
    """
    one = _there_and_back(ranks, 8, 1) / 2
    burst = _there_and_back(ranks, 8, BURST) / 2
    large = _there_and_back(ranks, LARGE, 1) / 2
    return {"latency": one, "gap": max(0.0, burst - one) / (BURST - 1), "bandwidth": LARGE / (large - one)}


def _there_and_back(ranks: Ranks, size: int, messages: int) -> float:
    """Return the median time for messages to the second rank, and as many back."""
    from mpi4py import MPI

    buffers = np.zeros((messages, size), np.uint8)

    def send(to: int) -> None:
        MPI.Request.Waitall([ranks.comm.Isend(b, to) for b in buffers])

    def receive(source: int) -> None:
        MPI.Request.Waitall([ranks.comm.Irecv(b, source) for b in buffers])

    def exchange() -> None:
        if ranks.number == 0:
            send(1)
            receive(1)
        elif ranks.number == 1:
            receive(0)
            send(0)

    return _median(ranks, exchange, 60 if size < LARGE else 10)


def _median(ranks: Ranks, job: Callable[[], Any], count: int) -> float:
    times = []
    for _ in range(count + 3):
        ranks.comm.Barrier()
        started = time.perf_counter()
        job()
        times.append(time.perf_counter() - started)
    return statistics.median(times[3:])
