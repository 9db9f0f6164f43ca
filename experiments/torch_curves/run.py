"""Train the grid and the stacked LSTM as the Torch program grid-lstm does, three seeds each, and tabulate the losses.

Call it again after a stop: finished runs are kept, a stopped one is resumed. Takes about 15 minutes on two cores.
"""

import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SEEDS = (123, 124, 125)
EPOCHS = (1, 2, 5)


def train(model: str, seed: int) -> None:
    """Bring one run to its end, and keep its metrics here."""
    run, kept = ROOT / "runs" / f"torch-curves-{model}-{seed}", HERE / f"{model}-{seed}.jsonl"
    if kept.exists():
        return
    command = [sys.executable, ROOT / "train.py", "--run", run]
    new = ["--config", ROOT / "configs/grid-lstm.toml", "--model", model, "--seed", str(seed)]
    subprocess.run(command + (["--resume"] if (run / "last.npz").exists() else new), check=True)
    shutil.copy(run / "metrics.jsonl", kept)


def losses(model: str, seed: int) -> list[float]:
    """Validation losses, nats, after each of EPOCHS."""
    records = map(json.loads, (HERE / f"{model}-{seed}.jsonl").read_text().splitlines())
    by_epoch = {r["epoch"]: r["loss"] for r in records if r["split"] == "val"}
    return [by_epoch[epoch] for epoch in EPOCHS]


def main() -> None:
    """Run what is missing, then print the table."""
    print("| model | seed | " + " | ".join(f"epoch {epoch}" for epoch in EPOCHS) + " |")
    print("|---|---|" + "---|" * len(EPOCHS))
    for model in ("lstm", "grid"):
        for seed in SEEDS:
            train(model, seed)
        rows = [losses(model, seed) for seed in SEEDS]
        means = [statistics.mean(column) for column in zip(*rows, strict=True)]
        for name, row in [*zip(SEEDS, rows, strict=True), ("mean", means)]:
            print(f"| {model} | {name} | " + " | ".join(f"{loss:.3f}" for loss in row) + " |")


if __name__ == "__main__":
    main()
