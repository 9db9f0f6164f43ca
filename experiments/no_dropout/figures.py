"""The pictures of the experiment: losses from each start, and what reaches which layer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from minigrid.plots import COLOURS
from minigrid.runs.folder import Record

MODEL_COLOURS = {"lstm": COLOURS[1], "grid": COLOURS[0]}
MODEL_NAMES = {"lstm": "stacked LSTM", "grid": "grid"}


def split_name(name: str) -> tuple[str, str, int]:
    """Take a run's name apart: model, change, seed."""
    model, rest = name.split("-", 1)
    change, seed = rest.rsplit("-", 1)
    return model, change, int(seed)


def loss_panels(metrics: Mapping[str, list[Record]], unigram: float) -> Figure:
    """Draw the training loss of stack and grid, one panel for each start, and the unigram entropy as a dotted line."""
    changes = list(dict.fromkeys(split_name(name)[1] for name in metrics))
    columns = min(3, len(changes))
    figure = Figure(figsize=(3.6 * columns, 2.8 * -(-len(changes) // columns)), layout="constrained")
    panels = figure.subplots(-(-len(changes) // columns), columns, sharex=True, sharey=True, squeeze=False).ravel()
    lowest = unigram
    for axes, change in zip(panels, changes, strict=False):
        for name in (name for name in metrics if split_name(name)[1] == change):
            train = [record for record in metrics[name] if record["split"] == "train"]
            means = np.convolve([record["loss"] for record in train], np.full(5, 1 / 5), "valid")
            colour = MODEL_COLOURS[split_name(name)[0]]
            axes.plot([record["step"] for record in train][4:], means, color=colour, linewidth=1.2)
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
    """Draw how much each layer's output varies and how large its gradient is, from the base start, before and after.

    `runs` are the measures by name of run; from the start `stuck` only the stack is drawn, after training.
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
