"""Train on the ranks of a launch and in one process, and compare: ``mpiexec -n 3 python mpi_training.py 200``.

Every rank checks its parameters, and prints the largest relative error of each kind of run.
"""

import sys
from typing import Any

import numpy as np
from helpers import make_model, relative_error

from minigrid import TrainStep
from minigrid.backend.ranks import connect
from minigrid.training.distributed import DistributedStep

T, B, TOLERANCE = 6, 7, 1e-10
MODELS: dict[str, dict[str, Any]] = {
    "grid": {"model": "grid"},
    "grid tied": {"model": "grid", "tie": "layers", "priority": "none", "lstm_output": "paper"},
    "grid untied": {"model": "grid", "tie": "none"},
    "lstm": {"model": "lstm"},
    "gru": {"model": "gru"},
    "rnn": {"model": "rnn"},
}
RUNS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "dropout": ({"dropout": 0.4}, {}),
    "adam": ({}, {"optimizer": "adam"}),
    "clip-norm": ({}, {"clip_norm": 0.5}),
    "all of it": ({"dropout": 0.4}, {"optimizer": "adam", "clip_norm": 0.5, "clip": 0.1}),
}


def minibatches(steps: int, vocab_size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    draw = np.random.default_rng(0)
    found = []
    for _ in range(steps):
        x, y = draw.integers(0, vocab_size, (2, T, B))
        y[-1, : B // 2] = -1  # not counted: more on some ranks than on others
        found.append((x, y))
    return found


def train(step: TrainStep, steps: int) -> dict[str, np.ndarray]:
    losses = [float(step(x, y)) for x, y in minibatches(steps, step.model.vocab_size)]
    return {"losses": np.array(losses), "params": step.model.params.flat, "norm": step.norm} | step.state(B)


def main(steps: int) -> int:
    ranks = connect()
    worst = 0.0
    for name, options in MODELS.items():
        for run, (more, settings) in RUNS.items():
            settings = {"lr": 1e-3} | settings
            together = train(DistributedStep(make_model(**options | more), ranks, **settings), steps)
            alone = train(TrainStep(make_model(**options | more), **settings), steps)
            error = max(relative_error(together[key], alone[key]) for key in alone)
            worst = max([worst, error, *ranks.comm.allgather(error)])
            if ranks.is_first:
                print(f"{name} {run}: {error:.1e}", flush=True)
    if ranks.is_first:
        print(f"{ranks.count} ranks, {steps} steps: largest relative error {worst:.1e}")
    return int(not worst <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
