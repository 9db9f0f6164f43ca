"""The predictions as a picture."""

from typing import Any

from matplotlib.axes import Axes

from benchmarks.scaling.cells import shown
from benchmarks.scaling.predictions import RANKS, STRONG, WEAK, links, read_work, scaling
from minigrid.plots.style import COLOURS, WIDTH, Figure

STYLES = ("-", "--", ":")
PANELS = {True: f"batch of {STRONG}, shared", False: f"{WEAK} columns per rank"}


def efficiency(results: dict[str, Any]) -> Figure:
    """Draw the predicted efficiency over the number of ranks: a colour for each speed, a style for each size."""
    figure = Figure(figsize=(WIDTH, 4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (strong, title) in zip(panels, PANELS.items(), strict=True):
        for style, (size, saved) in zip(STYLES, results["model"]["work"].items(), strict=False):
            for colour, (speed, link) in zip(COLOURS, links(results).items(), strict=False):
                found = list(scaling(read_work(saved), link, strong))
                label = f"{shown(size)}, {speed}"
                axes.plot(RANKS, [p.efficiency for p in found], style, color=colour, marker=".", label=label)
        label_axes(axes, title)
    panels[0].set_ylabel("efficiency (predicted)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
    return figure


def label_axes(axes: Axes, title: str) -> None:
    """Label the axes of a panel."""
    axes.set_title(title, fontsize="medium")
    axes.set_xscale("log", base=2)
    axes.set_xticks(RANKS, [str(N) for N in RANKS])
    axes.set_xlabel("ranks")
    axes.set_ylim(0, None)
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.grid(alpha=0.3)
