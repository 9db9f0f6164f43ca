"""The learning curves of the addition runs, the counterpart of figure 4 of the paper."""

from collections.abc import Mapping

from matplotlib import colormaps
from matplotlib.figure import Figure

from minigrid.plots import COLOURS
from minigrid.runs.folder import Record

TITLES = {
    "lstm": "stacked LSTM",
    "grid-none": "grid, nothing shared",
    "grid-depth": "grid, depth LSTM shared",
    "grid-layers": "grid, all layers alike",
}


def learning_curves(metrics: Mapping[str, list[Record]], batch: int) -> Figure:
    """Draw the share of right digits: a panel for each model with a line for each depth, and a panel for the end."""
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    panels = figure.subplots(2, 3)
    curves, summary = [*panels[:, 0], *panels[:, 1]], panels[0, 2]
    panels[1, 2].axis("off")
    depths = sorted({int(name.rsplit("-", 1)[1]) for name in metrics})
    colours = {layers: colormaps["viridis"](0.9 * k / max(1, len(depths) - 1)) for k, layers in enumerate(depths)}
    for axes, (kind, title), colour, mark in zip(curves, TITLES.items(), COLOURS, "osD^", strict=False):
        reached = {}
        for layers in depths:
            if records := metrics.get(f"{kind}-{layers}"):
                val = [(r["step"] * batch / 1000, 100 * r["digits"]) for r in records if r["split"] == "val"]
                axes.plot(
                    *zip(*val, strict=True), color=colours[layers], label=f"{layers} layer{'s' if layers > 1 else ''}"
                )
                reached[layers] = val[-1][1]
        axes.set(title=title, xlabel="problems trained on (thousands)", ylabel="digits right (%)", ylim=(0, 102))
        summary.plot(*zip(*reached.items(), strict=True), color=colour, marker=mark, label=title)
    summary.set(title="at the end", xlabel="layers", ylabel="digits right (%)", ylim=(0, 102), xticks=depths)
    for axes in (*curves, summary):
        axes.grid(alpha=0.3)
    curves[0].legend(loc="lower right")
    handles, labels = summary.get_legend_handles_labels()
    panels[1, 2].legend(handles, labels, loc="upper left")
    return figure
