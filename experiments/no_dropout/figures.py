"""The figures of the experiment: the loss from each start, and the signal and the gradient in each layer."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from minigrid.plots import COLOURS

MODEL_COLOURS = {"lstm": COLOURS[1], "grid": COLOURS[0]}
MODEL_NAMES = {"lstm": "stacked LSTM", "grid": "grid"}
MINIBATCHES = 10  # that each recorded loss is the mean of
WINDOW = 5  # recorded losses that each point of a curve is the mean of


def split_name(name: str) -> tuple[str, str, int]:
    """Split the name of a run into model, change and seed."""
    model, rest = name.split("-", 1)
    change, seed = rest.rsplit("-", 1)
    return model, change, int(seed)


def moving_average(losses: Sequence[float]) -> np.ndarray:
    """Average every `WINDOW` recorded losses in a row."""
    return np.convolve(losses, np.full(WINDOW, 1 / WINDOW), "valid")


def loss_panels(losses: Mapping[str, Sequence[float]], unigram: float) -> Figure:
    """Draw the training loss of stacks and grids, with a panel for each start.

    Parameters
    ----------
    losses : mapping
        Name of a run -> its recorded training losses, in nats, each the mean of `MINIBATCHES` minibatches.
    unigram : float
        Entropy of single bytes, in nats, drawn as a dotted line.

    Returns
    -------
    matplotlib.figure.Figure
    """
    changes = list(dict.fromkeys(split_name(name)[1] for name in losses))
    columns = min(3, len(changes))
    figure = Figure(figsize=(3.6 * columns, 2.8 * -(-len(changes) // columns)), layout="constrained")
    panels = figure.subplots(-(-len(changes) // columns), columns, sharex=True, sharey=True, squeeze=False).ravel()
    lowest = unigram
    for axes, change in zip(panels, changes, strict=False):
        for name in (name for name in losses if split_name(name)[1] == change):
            means = moving_average(losses[name])
            steps = MINIBATCHES * (np.arange(len(means)) + WINDOW)
            axes.plot(steps, means, color=MODEL_COLOURS[split_name(name)[0]], linewidth=1.2)
            lowest = min(lowest, means.min())
        axes.axhline(unigram, color="black", linestyle=":", linewidth=1)
        axes.set_title(change, fontsize=10)
        axes.grid(alpha=0.3)
    panels[0].set_ylim(lowest - 0.1, unigram + 0.5)
    for axes in panels[len(changes) :]:
        axes.axis("off")
    handles = [panels[0].plot([], [], color=MODEL_COLOURS[model], label=name)[0] for model, name in MODEL_NAMES.items()]
    handles.append(panels[0].plot([], [], color="black", linestyle=":", label="entropy of single bytes")[0])
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    figure.supxlabel("minibatches")
    figure.supylabel("training loss (nats per byte)")
    return figure


def signal_by_layer(runs: Mapping[str, Any], stuck: str) -> Figure:
    """Draw how much the output of each layer varies and how large its gradient is, before and after training.

    Parameters
    ----------
    runs : mapping
        Name of a run -> its measures ``before`` and ``after`` training. Runs from the base start are drawn.
    stuck : str
        Another start; its stacks are drawn too, after training only.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    panels = figure.subplots(1, 2)
    for name, measured in runs.items():
        model, change, seed = split_name(name)
        if change == "base":
            lines = {"before": ("-", "before training"), "after": ("--", "after training")}
        elif (model, change) == ("lstm", stuck):
            lines = {"after": (":", f"after training, {stuck}")}
        else:
            continue
        for when, (line, words) in lines.items():
            label = f"{MODEL_NAMES[model]}, {words}" if seed == 1 else None
            style = {"color": MODEL_COLOURS[model], "linestyle": line, "marker": "o", "markersize": 4, "label": label}
            variation, gradient = measured[when]["variation"], measured[when]["gradient"]
            panels[0].plot(range(len(variation)), variation, **style)
            panels[1].plot(range(1, len(gradient) + 1), gradient, **style)
    panels[0].set(ylabel="standard deviation of the output over streams", xlabel="layer (0: embedding)")
    panels[1].set(ylabel="norm of the gradient of the recurrent weights", xlabel="layer (6: the top one)")
    for axes in panels:
        axes.set_yscale("log")
        axes.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure
