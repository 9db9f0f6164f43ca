"""Loss over minibatches."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from minigrid.plots.style import COLOURS, Figure, drawable


def loss_curves(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Draw training (thin) and validation loss (with dots) of one or more runs over minibatches.

    Parameters
    ----------
    runs : mapping
        Name of a run -> its metrics, as in ``metrics.jsonl``.

    Returns
    -------
    Figure
        Nats on the left axis, bits on the right one.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for k, (name, metrics) in enumerate(runs.items()):
        colour, name = COLOURS[k % len(COLOURS)], drawable(name)  # a folder may be called anything
        train = [(m["step"], m["loss"]) for m in metrics if m["split"] == "train"]
        val = [(m["step"], m["loss"]) for m in metrics if m["split"] == "val"]
        if train:
            axes.plot(*zip(*train, strict=True), color=colour, linewidth=1, alpha=0.8, label=f"training of {name}")
        if val:
            best = min(loss for _, loss in val)
            label = f"validation of {name} (best {best:.3f})"
            axes.plot(*zip(*val, strict=True), color=colour, linewidth=2, marker="o", markersize=4, label=label)
    axes.set_xlabel("minibatches")
    axes.set_ylabel("loss (nats per symbol)")
    axes.secondary_yaxis("right", functions=(lambda n: n / math.log(2), lambda b: b * math.log(2))).set_ylabel(
        "bits per symbol"
    )
    axes.grid(alpha=0.3)
    if axes.lines:
        # so that trainings are on the left and validations on the right, if every run has both
        thin_ones_first = sorted(axes.lines, key=lambda line: line.get_linewidth())
        legend = figure.legend(handles=thin_ones_first, loc="outside lower center", ncols=2)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure
