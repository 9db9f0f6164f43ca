"""A text in which the background of each character shows a number."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection

from minigrid.plots.style import WIDTH, Figure, check_length, colours_for, glyph

COLUMNS = 80
DARK = 0.45  # luminance of the background below which the letters are white


def coloured_text(values: np.ndarray, text: Sequence[str], label: str, signed: bool = True) -> Figure:
    """Write a text in lines of 80 characters, coloured by the value of one unit.

    Parameters
    ----------
    values : (T,) array
        Value of the unit after each character, for example ``trace["time.c"][1, :, 0, 17]``.
    text : sequence of str
        The T characters.
    label : str
        Label of the colour bar.
    signed : bool
        True if values can be negative, as in a memory cell; False for gates, which go from 0 to 1.

    Raises
    ------
    UserError
        `text` and `values` differ in length.
    """
    check_length(text, len(values))
    lines = _wrap(text)
    figure = Figure(figsize=(WIDTH, 0.75 + 0.24 * len(lines)), layout="constrained")
    axes, bar = figure.subplots(2, 1, height_ratios=(0.24 * len(lines), 0.1))
    axes.set(xlim=(0, COLUMNS), ylim=(len(lines), 0))
    axes.axis("off")
    colour_map, norm = colours_for(values, signed)
    colours = colormaps[colour_map](norm(values))
    places = [(column, row) for row, line in enumerate(lines) for column in range(len(line))]
    boxes = [[(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)] for x, y in places]
    axes.add_collection(PolyCollection(boxes, facecolors=colours, edgecolors="face", linewidths=0.3))
    luminance = colours[:, :3] @ (0.2126, 0.7152, 0.0722)
    for symbol, (x, y), light in zip(text, places, luminance, strict=True):
        ink = "white" if light < DARK else "black"
        axes.text(
            x + 0.5, y + 0.55, glyph(symbol), color=ink, family="monospace", fontsize=9, ha="center", va="center",
            parse_math=False,
        )  # fmt: skip
    figure.colorbar(ScalarMappable(norm, colour_map), cax=bar, label=label, orientation="horizontal")
    return figure


def _wrap(text: Sequence[str]) -> list[list[str]]:
    """Split a text into lines of at most 80 characters, and after every line break."""
    lines: list[list[str]] = [[]]
    for symbol in text:
        if len(lines[-1]) == COLUMNS or lines[-1][-1:] == ["\n"]:
            lines.append([])
        lines[-1].append(symbol)
    return lines
