"""What :mod:`benchmarks.scaling.model` predicts for networks that were not measured, from the measured figures."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.scaling.model import Link, Work, step_time, with_allreduce
from benchmarks.scaling.sizes import BATCH

Results = dict[str, Any]

RANKS = (2, 4, 8, 16, 32, 64, 128, 256)
SPEEDS = {"1 Gbit/s": 1e9, "10 Gbit/s": 1e10, "100 Gbit/s": 1e11}
STRONG = 256
"""Columns of the whole batch where its size is fixed."""

WEAK = BATCH
"""Columns of each rank where that number is fixed."""


class Prediction(NamedTuple):
    """A step of some ranks."""

    ranks: int
    seconds: float
    efficiency: float


def read_work(saved: dict[str, Any]) -> Work:
    """Restore a Work from JSON, whose keys are texts."""
    return Work(**saved | {"times": {int(columns): seconds for columns, seconds in saved["times"].items()}})


def links(results: Results) -> dict[str, Link]:
    """Return the connections to predict for: each speed, with the latency and the gap that were measured.

    The latency is that of the simulated link, which is about that of TCP over Ethernet. The gap is that of TCP within
    the kernel: the simulation is slower. TCP on one core could not fill the fastest link, but a network card that
    copies by itself can.
    """
    simulated, direct = results["model"]["simulated"], results["model"]["direct"]
    link = Link(simulated["latency"], math.inf, direct["gap"])
    return {name: link.limited(speed) for name, speed in SPEEDS.items()}


def scaling(work: Work, link: Link, strong: bool) -> Iterator[Prediction]:
    """Yield predictions for a fixed batch, or for a fixed number of columns per rank.

    The efficiency compares with one core that computes the same columns, all of the batch or those of one rank.
    """
    for N in RANKS:
        seconds = step_time(work, link, N, STRONG if strong else WEAK * N).total
        yield Prediction(N, seconds, work.alone(STRONG) / (N * seconds) if strong else work.alone(WEAK) / seconds)


class Alternatives(NamedTuple):
    """Seconds of a step with three ways to exchange."""

    alltoallv: float
    allgatherv: float
    allreduce: float


def alternatives(work: Work, link: Link, ranks: int) -> Alternatives:
    """Predict a step with other exchanges, for a fixed batch."""
    return Alternatives(
        step_time(work, link, ranks, STRONG, "alltoallv").total,
        step_time(work, link, ranks, STRONG, "allgatherv").total,
        with_allreduce(work, link, ranks, STRONG),
    )
