"""The validation losses of all runs in one figure."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from minigrid.plots import COLOURS
from minigrid.runs.evaluation import bits
from minigrid.runs.folder import Record

STYLES = {
    "lstm-6x138": (COLOURS[6], "-"),
    "lstm-3x193": (COLOURS[6], "--"),
    "grid-3x168": (COLOURS[3], "--"),
    "grid-tied-6": (COLOURS[2], "-"),
    "grid-6": (COLOURS[0], "-"),
    "grid-3": (COLOURS[5], "--"),
    "lstm-6": (COLOURS[1], "-"),
    "lstm-3": (COLOURS[4], "--"),
}
"""Prefix of a run's name -> colour and line; the first match counts. 6 layers are solid, 3 layers dashed."""


def val_curves(metrics: Mapping[str, list[Record]]) -> Figure:
    """Draw validation loss over epochs, one line per run and one panel per width.

    Models of other widths that are as large as ``grid-6x128`` are in the panel of 128 units.
    """
    panels: dict[int, list[str]] = {}
    for name in metrics:
        units = int(_kind(name).split("x")[1])
        panels.setdefault(units if units > 200 else 128, []).append(name)
    figure = Figure(figsize=(2 + 4.5 * len(panels), 5), layout="constrained")
    for axes, (units, names) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items(), strict=True
    ):
        for name in names:
            kind = _kind(name)
            colour, line = next(style for prefix, style in STYLES.items() if kind.startswith(prefix))
            val = [(r["epoch"], bits(r["loss"])) for r in metrics[name] if r["split"] == "val"]
            axes.plot(*zip(*val, strict=True), color=colour, linestyle=line, label=kind)
        others = {_kind(name) for name in names if not _kind(name).endswith(f"x{units}")}
        axes.set(title=f"{units} units" + (", and others as large as grid-6x128" if others else ""), xlabel="epochs")
        axes.grid(alpha=0.3)
        labels = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))  # one of each kind
        axes.legend(labels.values(), labels.keys())
    figure.axes[0].set_ylabel("validation loss (bits per byte)")
    return figure


def _kind(name: str) -> str:
    """Return a run's name without its seed."""
    return name.rsplit("-", 1)[0]
