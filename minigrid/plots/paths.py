"""Forget-gate paths: how long a value written to a memory cell is kept, along depth and along time."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from minigrid.analysis.trace import Trace, kept_between, kept_to_end
from minigrid.errors import UserError
from minigrid.plots.style import WIDTH, Figure, check_length, colours_for, label_characters


def depth_paths(trace: Trace, text: Sequence[str], unit: int, batch: int = 0) -> Figure:
    """Draw what each layer of a grid writes, keeps and reads along depth, for one unit and every character.

    What layer l writes, i * g, is multiplied by the forget gate of every layer above it. The middle panel shows that
    product: the share that arrives at the top. The memory cell of the top layer is the sum over layers of the first
    panel times the second. The third panel shows the output gate, through which a layer reads its memory cell. To see
    all units at once, pass ``kept_to_end(trace["depth.f"])[:, :, 0]`` to :func:`minigrid.plots.gate_heatmap`.

    Parameters
    ----------
    trace : Trace
        Trace of a grid.
    text : sequence of str
        The T characters that the grid read.
    unit, batch : int
        Unit, and sequence of the batch, counted from 0.

    Raises
    ------
    UserError
        The trace is not that of a grid, or `text` and the trace differ in length.
    """
    if "depth.f" not in trace:
        raise UserError("only a grid has a memory along depth: `trace` must be the trace of a grid")
    i, f, o, g = (trace[f"depth.{gate}"][:, :, batch, unit] for gate in "ifog")  # (L, T)
    check_length(text, f.shape[1])
    figure = Figure(figsize=(WIDTH, 2.0 + 0.9 * len(f)), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    rows = (
        ("written by each layer: $i \\cdot g$", i * g, True),
        ("share kept up to the top layer: $\\prod f$ of the layers above", kept_to_end(f), False),
        ("read by each layer: output gate $o$", o, False),
    )
    for axes, (title, values, signed) in zip(panels, rows, strict=True):
        image = _colours(axes, values, signed)
        figure.colorbar(image, ax=axes, fraction=0.04, pad=0.01)
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_yticks(range(len(values)), range(1, len(values) + 1))
        axes.set_ylabel("layer")
        axes.invert_yaxis()
        axes.tick_params(axis="x", length=0, labelbottom=False)
    panels[-1].tick_params(labelbottom=True)
    label_characters(panels[-1].xaxis, text)
    figure.suptitle(f"memory along depth, unit {unit}")
    return figure


def time_paths(trace: Trace, text: Sequence[str], layer: int, unit: int, batch: int = 0) -> Figure:
    """Draw how much of what one memory cell writes at each character is kept at each later character.

    The square shows the product of the forget gates between writing (row) and reading (column). The strip on the left
    shows what is written, i * g, and the strip at the bottom shows the output gate o, through which the cell is read.
    The value of the cell at a character is the sum of its column of the square times the left strip, plus what is kept
    of the initial state.

    Parameters
    ----------
    trace : Trace
        Trace of a grid or a stacked LSTM.
    text : sequence of str
        The T characters that the model read. Up to about 60 are legible.
    layer, unit, batch : int
        Layer, unit, and sequence of the batch, counted from 0.

    Raises
    ------
    UserError
        The model has no forget gates, or `text` and the trace differ in length.
    """
    kind = "time" if "time.f" in trace else "lstm"
    if f"{kind}.f" not in trace:
        raise UserError("only a grid and an LSTM have forget gates: `trace` must be the trace of one of them")
    i, f, o, g = (trace[f"{kind}.{gate}"][layer, :, batch, unit] for gate in "ifog")  # (T,)
    check_length(text, len(f))
    figure = Figure(figsize=(WIDTH, 0.88 * WIDTH), layout="constrained")
    panels = figure.subplot_mosaic(
        [["written", "kept"], [".", "read"]], width_ratios=(1, 25), height_ratios=(25, 1), gridspec_kw={"wspace": 0.01}
    )
    written = _colours(panels["written"], (i * g)[:, None], signed=True)
    kept = _colours(panels["kept"], np.ma.masked_equal(kept_between(f), 0), signed=False)
    _colours(panels["read"], o[None, :], signed=False)
    panels["written"].set_title("$i \\cdot g$", fontsize=10)
    panels["written"].set_xticks([])
    panels["kept"].set_xticks([])
    panels["kept"].set_yticks([])
    panels["read"].set_yticks([0], ["$o$"])
    label_characters(panels["read"].xaxis, text, "read at this character", room=6.5)
    label_characters(panels["written"].yaxis, text, "written at this character", room=6.5)
    for image, label in (
        (kept, "share kept ($\\prod f$) and output gate ($o$)"),
        (written, "written ($i \\cdot g$)"),
    ):
        figure.colorbar(image, ax=list(panels.values()), label=label, location="right", fraction=0.03, pad=0.01)
    figure.suptitle(f"memory along time, layer {layer + 1}, unit {unit}")
    return figure


def _colours(axes: Axes, values: np.ndarray, signed: bool) -> AxesImage:
    """Draw an array as coloured boxes."""
    colour_map, norm = colours_for(values, signed)
    axes.grid(False)  # even if matplotlib's settings turn grids on
    return axes.imshow(values, cmap=colour_map, norm=norm, aspect="auto", interpolation="nearest")
