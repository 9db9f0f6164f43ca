"""Loss over minibatches."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigrid.plots.style import COLOURS, Figure, drawable


def loss_curves(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Draw the training loss (thin line) and the validation loss (dots) of one or more runs over minibatches.

    Parameters
    ----------
    runs : mapping
        Name of a run -> its metrics, the records of ``metrics.jsonl``.

    Returns
    -------
    Figure
        The left axis shows nats, the right axis bits.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for k, (run, metrics) in enumerate(runs.items()):
        colour, name = COLOURS[k % len(COLOURS)], drawable(run)  # a run's folder can have any name
        train = _curve(metrics, "train")
        if len(train):
            axes.plot(*train.T, color=colour, linewidth=1, alpha=0.8, label=f"{name}, training")
        val = _curve(metrics, "val")
        if len(val):
            label = f"{name}, validation (best {val[:, 1].min():.3f})"
            axes.plot(*val.T, color=colour, linewidth=2, marker="o", markersize=4, label=label)
    axes.set_xlabel("minibatches")
    axes.set_ylabel("loss (nats per symbol)")
    bits = axes.secondary_yaxis("right", functions=(_nats_to_bits, _bits_to_nats))
    bits.set_ylabel("bits per symbol")
    axes.grid(alpha=0.3)
    if axes.lines:
        # the training curves come first, so that if every run has both, they fill the left column
        training_first = sorted(axes.lines, key=lambda line: line.get_linewidth())
        legend = figure.legend(handles=training_first, loc="outside lower center", ncols=2)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def _curve(metrics: Sequence[Mapping[str, Any]], split: str) -> np.ndarray:
    """Return the steps and losses of one split: (K, 2)."""
    return np.array([(record["step"], record["loss"]) for record in metrics if record["split"] == split])


def _nats_to_bits(nats: Any) -> Any:
    return nats / math.log(2)


def _bits_to_nats(bits: Any) -> Any:
    return bits * math.log(2)
