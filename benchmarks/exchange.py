"""Compare two ways in which ranks can add up their gradients and update the parameters.

``mpiexec -n 2 python -m benchmarks.exchange`` takes half a minute. *Slices* is what minigrid does: each rank adds up
and updates one slice of the vectors, see :mod:`minigrid.training.distributed`. *Whole* is the usual way: MPI's
Allreduce adds up whole gradients, and every rank updates all parameters. Forward and backward passes are left out. The
two take turns.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.versions import SIZES, median_with_interval
from minigrid import CharModel, TrainStep
from minigrid.backend.blas import share_cores
from minigrid.backend.ranks import Ranks, connect
from minigrid.training.distributed import DistributedStep
from minigrid.training.step import scale_and_square

TURNS, REPEATS = 15, 20
STEPS = 50  # T, by which gradients are multiplied


def whole(step: TrainStep, ranks: Ranks, g: np.ndarray) -> None:
    """Add up whole gradients, and update all parameters."""
    from mpi4py import MPI  # only when needed: importing it starts MPI

    ranks.comm.Allreduce(MPI.IN_PLACE, g)
    step.norm = np.sqrt(scale_and_square(g, STEPS, slice(None)))
    step._clip_and_update(g, slice(None))


def slices(step: DistributedStep, ranks: Ranks, g: np.ndarray) -> None:
    """Do the same slice by slice."""
    own = step._sum_slices(g)
    _, squares = step._sum_numbers(np.float32(0), scale_and_square(own, STEPS, slice(None)))
    step.norm = squares**0.5
    step._clip_and_update(own, slice(None))
    step._gather_slices(step.model.params.flat)


def seconds(ranks: Ranks, do: Callable[[], Any]) -> float:
    """Return the time of one of several repetitions, of the slowest rank."""
    ranks.comm.Barrier()
    started = time.perf_counter()
    for _ in range(REPEATS):
        do()
    return max(ranks.comm.allgather((time.perf_counter() - started) / REPEATS))


def row(size: str, ranks: Ranks) -> str:
    """Return a row of the table."""
    kind, layers, hidden = size.replace(":", "x").split("x")
    models = [CharModel(kind, vocab_size=65, hidden=int(hidden), layers=int(layers)) for _ in range(2)]
    g = np.full_like(models[0].params.flat, 1e-3)
    ways = [
        partial(slices, DistributedStep(models[0], ranks), ranks, g),
        partial(whole, TrainStep(models[1]), ranks, g),
    ]
    times = []
    for turn in range(TURNS):
        g[...] = 1e-3
        order = (0, 1) if turn % 2 else (1, 0)
        measured = {way: seconds(ranks, ways[way]) for way in order}
        times.append((measured[0], measured[1]))
    low, ratio, high = median_with_interval([other / own for own, other in times])
    own, other = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
    return f"| {size} | {g.size:,} | {own:.2f} | {other:.2f} | {ratio:.2f} ({low:.2f} to {high:.2f}) |"


def main() -> None:
    """Print the table on the first rank."""
    ranks = connect()
    share_cores(ranks)
    show = print if ranks.is_first else lambda text: None
    show(f"{ranks.count} ranks, milliseconds per exchange and update\n")
    show("| size | parameters | slices | whole | times as fast (95 % interval) |\n|---|---|---|---|---|")
    for size in SIZES:
        show(row(size, ranks))


if __name__ == "__main__":
    main()
