"""Summarize a training run on a GPU, and compare the loss of its checkpoint on CuPy and on NumPy.

``python -m benchmarks.gpu.training RUN`` prints lines of JSON, each more complete than the one before.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

from benchmarks.gpu.helpers.lines import say
from minigrid import load
from minigrid.runs.checkpoint import read_checkpoint
from minigrid.runs.folder import METRICS
from minigrid.runs.tasks import task_of

MINIBATCHES = 2  # of the validation split, for the comparison


def loss_of(checkpoint: Path, backend: str) -> tuple[float, float]:
    """Return the mean loss of the first validation minibatches, in nats, and the seconds it took to load the model."""
    started = time.perf_counter()
    model, _ = load(checkpoint, backend)
    seconds = time.perf_counter() - started
    batches = task_of(read_checkpoint(checkpoint)).val
    state, losses = model.initial_state(batches.batch), []
    for index in range(min(MINIBATCHES, len(batches))):
        loss, state = model.loss(*batches.minibatch(0, index), state)
        losses.append(float(loss))
    return statistics.mean(losses), seconds


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the run")
    run = parser.parse_args().run
    records = [json.loads(line) for line in (run / METRICS).read_text().splitlines()]
    if not records:
        raise SystemExit(f"{run} has no training records: the run was stopped too early")
    train, val = ([record for record in records if record["split"] == split] for split in ("train", "val"))
    line = {
        "side": "training",
        "case": run.name,
        "step": train[-1]["step"],
        "losses": [[record["step"], round(record["loss"], 4)] for record in train[:: max(1, len(train) // 20)]],
        "validation": [[record["step"], round(record["loss"], 4)] for record in val],
        "characters_per_second": statistics.median(record["per_second"] for record in train),
    }
    for backend in ("cupy", "numpy"):
        line[f"loss_on_{backend}"], line[f"seconds_to_load_on_{backend}"] = loss_of(run / "last.npz", backend)
        say(line)  # the last line is complete; the first remains if NumPy takes too long


if __name__ == "__main__":
    main()
