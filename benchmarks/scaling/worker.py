"""Do one job, alone or as one of several ranks, and print the figures as JSON.

``python -m benchmarks.scaling.worker JOB`` does it alone, and ``mpiexec -n N python -m ...`` together. Every rank does
every repetition; the times are those of the first rank, which ends each step when the others do.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.helpers.measure import OneMinibatch, peak_bytes
from benchmarks.scaling import messages, model
from benchmarks.scaling.sizes import Size, minibatch
from benchmarks.scaling.timing import figures
from minigrid import CharModel, TrainStep
from minigrid.backend.blas import share_cores
from minigrid.backend.ranks import ALONE, Ranks, connect
from minigrid.cli.launch import launch
from minigrid.runs.evaluation import evaluate
from minigrid.training.distributed import DistributedStep
from minigrid.training.shards import Shards

Figures = dict[str, Any]


class TimedStep(DistributedStep):
    """A step that notes how long each of its exchanges took, waiting for the slowest rank included.

    Parameters
    ----------
    model, ranks
        As for DistributedStep.
    sleep : float or None
        Seconds to sleep in place of computing gradients.
    gather : str
        How to exchange parameters, see `GATHER`.

    Attributes
    ----------
    exchanges : dict of str to list of float
        Name of an exchange -> seconds in each step.
    """

    def __init__(self, model: CharModel, ranks: Ranks, sleep: float | None, gather: str):
        super().__init__(model, ranks)
        self.exchanges: dict[str, list[float]] = {"gradient": [], "numbers": [], "parameters": []}
        self._sleep, self._gather = sleep, gather
        self._known: tuple | None = None

    def _own_gradients(self, *args: Any) -> tuple:
        """Compute the gradients, or sleep as long as that would take."""
        if self._sleep is None:
            return super()._own_gradients(*args)
        if self._known is None:
            self._known = super()._own_gradients(*args)
        time.sleep(self._sleep)
        return self._known

    def _sum_slices(self, *args: Any) -> Any:
        return self._timed("gradient", super()._sum_slices, *args)

    def _sum_numbers(self, *args: Any) -> Any:
        return self._timed("numbers", super()._sum_numbers, *args)

    def _gather_slices(self, *args: Any) -> None:
        self._timed("parameters", GATHER[self._gather], self, *args)

    def _timed(self, name: str, exchange: Callable[..., Any], *args: Any) -> Any:
        started = time.perf_counter()
        try:
            return exchange(*args)
        finally:
            self.exchanges[name].append(time.perf_counter() - started)


def gather_with_allgatherv(step: DistributedStep, vector: np.ndarray) -> None:
    """Fill in the slices of the other ranks in a vector (P,), with MPI's own function for that."""
    from mpi4py import MPI  # only when needed: importing it starts MPI

    step.ranks.comm.Allgatherv(MPI.IN_PLACE, [vector, step._sizes])


GATHER = {model.GATHER: DistributedStep._gather_slices, "allgatherv": gather_with_allgatherv}
"""Name of a way to exchange parameters -> function that does it."""


def train(size: Size, args: argparse.Namespace, ranks: Ranks) -> Figures:
    """Time training steps on a whole batch, shared by the ranks."""
    x, y = minibatch(args.columns)
    if ranks.count == 1:
        step = TrainStep(size.build())
        return figures(lambda: step(x, y), args.budget)
    shared = TimedStep(size.build(), ranks, args.sleep, args.gather)
    found = figures(lambda: shared(x, y), args.budget, ranks.first)
    timed = {name: seconds[-found["timed"] :] for name, seconds in shared.exchanges.items()}
    return found | {"exchanges": {name: statistics.median(seconds) for name, seconds in timed.items()}}


def update(size: Size, budget: float) -> Figures:
    """Time what a step does once its gradients are known (scale, clip, RMSprop), and the sum of two gradients."""
    x, y = minibatch(1)
    step = TrainStep(size.build())
    gradients = step._own_gradients(x, y)
    step._own_gradients = lambda *_: gradients
    total, other = np.zeros_like(step.model.params.flat), np.zeros_like(step.model.params.flat)
    return {
        "update": figures(lambda: step(x, y), budget)["seconds"],
        "add": figures(lambda: np.add(total, other, out=total), budget / 4)["seconds"],
        "parameters": total.size,
    }


def evaluation(size: Size, args: argparse.Namespace, ranks: Ranks) -> Figures:
    """Time the evaluation of one minibatch."""
    evaluated, batches = size.build(), OneMinibatch(*minibatch(args.columns))
    shards = Shards(evaluated)
    return figures(lambda: evaluate(evaluated, batches, shards, ranks=ranks), args.budget, ranks.first)


def main() -> None:
    """Do the job of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("train", "update", "evaluate", "latency"))
    parser.add_argument("--size", type=Size.parse, default=Size("grid", 2, 128), help="such as grid:2x128")
    parser.add_argument("--columns", type=int, default=50, help="of the whole batch")
    parser.add_argument("--budget", type=float, default=2.0, help="seconds")
    parser.add_argument("--sleep", type=float, help="sleep so many seconds in place of computing gradients")
    parser.add_argument("--gather", choices=GATHER, default=model.GATHER, help="how to exchange updated parameters")
    args = parser.parse_args()
    ranks = ALONE if launch().size == 1 else connect(launch().size)
    if ranks.count > 1:
        share_cores(ranks)
    jobs: dict[str, Callable[[], Figures]] = {
        "train": lambda: train(args.size, args, ranks),
        "update": lambda: update(args.size, args.budget),
        "evaluate": lambda: evaluation(args.size, args, ranks),
        "latency": lambda: messages.latency(ranks),
    }
    found = jobs[args.job]()
    peaks = [peak_bytes()] if ranks.count == 1 else ranks.comm.allgather(peak_bytes())
    if ranks.is_first:
        print(json.dumps(found | {"peak_bytes": peaks}))


if __name__ == "__main__":
    main()
