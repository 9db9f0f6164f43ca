"""Train the grid and the stacked LSTM as the Torch program grid-lstm does, three seeds each, and tabulate the losses.

``python -m experiments.torch_curves.run``; call it again after a stop. Takes about 15 minutes on two cores.
"""

import statistics
from pathlib import Path

from experiments.runner import Experiment, main

SEEDS = (123, 124, 125)
EPOCHS = (1, 2, 5)
EXPERIMENT = Experiment(
    Path(__file__).parent,
    {
        f"{model}-{seed}": {"config": "configs/grid-lstm.toml", "model": model, "seed": seed}
        for model in ("lstm", "grid")
        for seed in SEEDS
    },
)


def table() -> str:
    """Tabulate the validation losses, nats, after each of EPOCHS."""
    lines = ["| model | seed | " + " | ".join(f"epoch {epoch}" for epoch in EPOCHS) + " |"]
    lines.append("|---|---|" + "---|" * len(EPOCHS))
    metrics = EXPERIMENT.metrics()
    for model in ("lstm", "grid"):
        rows = []
        for seed in SEEDS:
            by_epoch = {r["epoch"]: r["loss"] for r in metrics[f"{model}-{seed}"] if r["split"] == "val"}
            rows.append([by_epoch[epoch] for epoch in EPOCHS])
        means = [statistics.mean(column) for column in zip(*rows, strict=True)]
        for name, row in [*zip(SEEDS, rows, strict=True), ("mean", means)]:
            lines.append(f"| {model} | {name} | " + " | ".join(f"{loss:.3f}" for loss in row) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
    if len(EXPERIMENT.metrics()) == len(EXPERIMENT.runs):
        print(table())
