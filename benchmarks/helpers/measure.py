"""Measure one side once and print the figures as JSON.

:mod:`benchmarks.cpu` runs ``python -m benchmarks.helpers.measure SIDE MODEL JOB`` for each measurement. It needs a
process of its own because the idle threads of one library slow down the other.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Job = Callable[[], object]


def minigrid_job(args: argparse.Namespace) -> Job:
    """Return a function that does the job once with minigrid."""
    from minigrid import CharModel, TrainStep
    from minigrid.data.vocabulary import Vocabulary
    from minigrid.runs.evaluation import evaluate
    from minigrid.runs.sampling import generate
    from minigrid.training.shards import Shards

    model = CharModel(args.model, vocab_size=args.V, hidden=args.H, layers=args.L)
    x, y = minibatch(args)
    if args.job == "train":
        step = TrainStep(model)
        return lambda: step(x, y)
    if args.job == "eval":
        shards = Shards(model)
        return lambda: evaluate(model, OneMinibatch(x, y), shards)
    vocabulary = Vocabulary("chars", tuple(range(args.V)))
    return lambda: sum(1 for _ in generate(model, vocabulary, args.length))


@dataclass(frozen=True)
class OneMinibatch:
    """Batches of a text that is one minibatch long, as far as an evaluation needs them."""

    x: np.ndarray
    y: np.ndarray
    carries_state: bool = True

    @property
    def batch(self) -> int:
        """Number of streams."""
        return self.x.shape[1]

    def __len__(self) -> int:
        return 1

    def minibatch(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the only minibatch."""
        return self.x, self.y


def torch_job(args: argparse.Namespace) -> Job:
    """Return a function that does the job once with the PyTorch peer of this side."""
    import torch
    from torch.nn.functional import cross_entropy

    from benchmarks.helpers import peers

    torch.set_num_threads(args.threads)
    kinds = {
        "torch": peers.StackedLSTM,
        "expert": peers.ExpertGrid,
        "compiled": peers.ExpertGrid,
        "cells": peers.CellGrid,
    }
    peer = kinds[args.side](args.V, args.H, args.L)
    model = torch.compile(peer) if args.side == "compiled" else peer
    x, y = (torch.from_numpy(a) for a in minibatch(args))
    if args.job == "train":
        step = peers.PeerTrainStep(model, peer)
        return lambda: step(x, y)
    if args.job == "sample":
        sampler = peers.GridSampler(peer) if args.model == "grid" else peers.CellSampler(peer)
        return lambda: sampler.write(args.length)

    @torch.inference_mode()
    def evaluate() -> None:
        logits, _ = model(x, peer.initial_state(args.B))
        cross_entropy(logits.flatten(0, 1), y.flatten())

    return evaluate


def floor_job(args: argparse.Namespace) -> Job:
    """Return a function that computes the products of one training step."""
    from benchmarks.helpers.floor import training_products

    return training_products(args.model, args.T, args.B, args.H, args.L, args.V)


def minibatch(args: argparse.Namespace) -> np.ndarray:
    """Return random characters and targets, (2, T, B)."""
    return np.random.default_rng(0).integers(0, args.V, (2, args.T, args.B))


def seconds_each(job: Job, budget: float) -> list[float]:
    """Return the times of at least five repetitions, or of about `budget` seconds; three more come first, untimed."""
    for _ in range(3):
        job()
    times: list[float] = []
    while len(times) < 5 or sum(times) < budget:
        started = time.perf_counter()
        job()
        times.append(time.perf_counter() - started)
    return times


def peak_bytes() -> int:
    """Return the peak memory of this process; getrusage would include that of its parent."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


def main() -> None:
    """Measure the job of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=("minigrid", "torch", "expert", "compiled", "cells", "floor"))
    parser.add_argument("model", choices=("lstm", "grid"))
    parser.add_argument("job", choices=("train", "eval", "sample"))
    for name, default in {"T": 50, "B": 50, "H": 128, "L": 2, "V": 65, "length": 500, "threads": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--budget", type=float, default=2.0, help="seconds")
    args = parser.parse_args()
    make = {"minigrid": minigrid_job, "floor": floor_job}.get(args.side, torch_job)
    times = seconds_each(make(args), args.budget)
    figures = {"median": statistics.median(times), "best": min(times), "count": len(times), "peak_bytes": peak_bytes()}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
