"""Train the grid and the stacked LSTM with the settings of the Torch program grid-lstm, and tabulate the losses.

Run ``python -m experiments.torch_curves.run``; after a stop, run it again to continue. Three seeds each take about 20
minutes on two cores.
"""

import statistics
from pathlib import Path

from docs.markdown import table
from experiments.runner import Experiment, main
from minigrid.runs.folder import Record

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


def report() -> None:
    """Print a Markdown table of the validation losses after each of EPOCHS, in nats."""
    metrics = EXPERIMENT.metrics()
    rows = []
    for model in ("lstm", "grid"):
        losses = [losses_of(metrics[name]) for name in metrics if name.startswith(model)]
        means = [statistics.mean(column) for column in zip(*losses, strict=True)]
        for name, row in [*zip(SEEDS, losses, strict=False), ("mean", means)]:
            rows.append([model, str(name), *(f"{loss:.3f}" for loss in row)])
    print(table(["model", "seed", *(f"epoch {epoch}" for epoch in EPOCHS)], rows))


def losses_of(metrics: list[Record]) -> list[float]:
    """Return the validation losses of one run after each of EPOCHS."""
    by_epoch = {record["epoch"]: record["loss"] for record in metrics if record["split"] == "val"}
    return [by_epoch[epoch] for epoch in EPOCHS]


if __name__ == "__main__":
    main(EXPERIMENT, __doc__, report)
