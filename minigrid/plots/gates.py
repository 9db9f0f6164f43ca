"""Gates over a text, and how often they are open or closed."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps

from minigrid.plots.style import WIDTH, Figure, check_length, colours_for, label_characters, label_units

OPEN, CLOSED = 0.9, 0.1  # a gate beyond these values is saturated (Karpathy, Johnson, Fei-Fei: arXiv:1506.02078)


def gate_heatmap(values: np.ndarray, text: Sequence[str], label: str, signed: bool = False) -> Figure:
    """Draw the units of every layer over a text, with the bottom layer at the bottom.

    Parameters
    ----------
    values : (L, T, H) array
        A gate or a state over one text, for example ``trace["depth.f"][:, :, 0]``.
    text : sequence of str
        The T characters. Up to about 90 are legible.
    label : str
        Label of the colour bar.
    signed : bool
        True if values can be negative, as in a memory cell; False for gates, which go from 0 to 1.

    Raises
    ------
    UserError
        `text` and `values` differ in length.
    """
    return side_by_side({"": values}, text, label, signed)


def side_by_side(models: Mapping[str, np.ndarray], text: Sequence[str], label: str, signed: bool = False) -> Figure:
    """Draw the same gate or state of several models next to each other, with one colour scale.

    Parameters
    ----------
    models : mapping
        Name of a model -> (L, T, H) array. The models may differ in their number of layers and units.
    text, label, signed
        As in :func:`gate_heatmap`.

    Raises
    ------
    UserError
        `text` and one of the arrays differ in length.
    """
    rows = max(len(values) for values in models.values())
    figure = Figure(figsize=(WIDTH, 1.0 + 1.3 * rows), layout="constrained")
    panels = figure.subplots(rows, len(models), squeeze=False, sharex=True)
    colour_map, norm = colours_for(np.concatenate([values.ravel() for values in models.values()]), signed)
    for column, (name, values) in zip(panels.T, models.items(), strict=True):
        layers, steps, units = values.shape
        check_length(text, steps)
        for axes in column[: rows - layers]:
            axes.remove()
        column = column[rows - layers :]
        for layer, axes in enumerate(reversed(column)):
            image = axes.imshow(values[layer].T, cmap=colour_map, norm=norm, aspect="auto", interpolation="nearest")
            axes.grid(False)  # even if matplotlib's settings turn grids on
            axes.set_ylabel(f"layer {layer + 1}\nunit")
            axes.tick_params(axis="x", length=0, labelbottom=layer == 0)
            label_units(axes, units)
        column[0].set_title(name)
        label_characters(column[-1].xaxis, text, room=7.4 / len(models))
    figure.colorbar(image, ax=figure.axes, label=label, fraction=0.03, pad=0.01)
    return figure


def gate_saturation(gates: Mapping[str, np.ndarray]) -> Figure:
    """Draw a dot for each unit: the share of time that its gate is open, and the share that it is closed.

    A gate on the right is nearly always open, and one at the top nearly always closed. A gate near the origin is rarely
    saturated. A gate on the diagonal is always either open or closed, like a switch.

    Parameters
    ----------
    gates : mapping
        Name of a gate -> its values from 0 to 1, (L, ..., H). The axes in the middle count as time.

    Notes
    -----
    Open means above 0.9 and closed below 0.1, as in Karpathy, Johnson and Fei-Fei, arXiv:1506.02078.
    """
    figure = Figure(figsize=(WIDTH, 1.0 + WIDTH / max(len(gates), 2)), layout="constrained")
    panels = figure.subplots(1, len(gates), squeeze=False, sharex=True, sharey=True)[0]
    for axes, (name, gate) in zip(panels, gates.items(), strict=True):
        shades = colormaps["viridis"](np.linspace(0, 0.85, len(gate)))
        for layer, (values, shade) in enumerate(zip(gate, shades, strict=True)):
            values = values.reshape(-1, values.shape[-1])
            is_open, is_closed = (values > OPEN).mean(axis=0), (values < CLOSED).mean(axis=0)
            marker = "os^Dvp*X"[layer % 8]
            axes.scatter(is_open, is_closed, s=22, color=shade, marker=marker, alpha=0.75, label=f"layer {layer + 1}")
        axes.plot([0, 1], [1, 0], color="#999999", linewidth=0.8, linestyle=":")
        axes.set_title(name)
        axes.set_xlabel("share of time open (> 0.9)")
        axes.set_aspect("equal")
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
    panels[0].set_ylabel("share of time closed (< 0.1)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=8)
    return figure
