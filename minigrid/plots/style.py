"""Colours, sizes and the display of characters, shared by all plots."""

import io
from collections.abc import Sequence

import matplotlib.figure
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.colors import Normalize
from matplotlib.font_manager import FontProperties, findfont, get_font

from minigrid.errors import UserError

# Okabe and Ito's palette, which colour-blind readers can tell apart
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

# both maps vary in lightness, so they also work for colour-blind readers and in greyscale
SHARE, SIGNED = "viridis", "RdBu_r"

WIDTH = 9.0  # inches; 900 pixels in a notebook

GLYPHS = {" ": "␣", "\n": "↵", "\t": "⇥"}
NO_GLYPH = "□"


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure that a notebook displays even if pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        png = io.BytesIO()
        self.savefig(png, format="png", dpi=100)
        return png.getvalue()


def glyph(symbol: str) -> str:
    """Return a visible form of a character: a sign for white space, a box if the font has no glyph for it."""
    if symbol in GLYPHS:
        return GLYPHS[symbol]
    return symbol if symbol == drawable(symbol, "monospace") else NO_GLYPH


def drawable(text: str, family: str = "sans-serif") -> str:
    """Replace each character for which the font family has no glyph by a box."""
    font = get_font(findfont(FontProperties(family=[family])))
    return "".join(c if c.isprintable() and font.get_char_index(ord(c)) else NO_GLYPH for c in text)


def check_length(text: Sequence[str], steps: int) -> None:
    """Raise a UserError if the text does not have one character per step."""
    if len(text) != steps:
        raise UserError(f"`text` must have one character per step ({steps}), not {len(text)}")


def label_characters(axis: Axis, text: Sequence[str], what: str = "character read", room: float = 7.4) -> None:
    """Label an axis that is `room` inches long with characters, as large as fit, up to 10 points."""
    pitch = 72 * room / max(len(text), 1)
    size = min(10, pitch / 0.62 if isinstance(axis, XAxis) else pitch)  # a letter's width is 0.6 of its height
    axis.set_ticks(range(len(text)), [glyph(c) for c in text], fontsize=size, family="monospace", parse_math=False)
    axis.set_tick_params(length=0, pad=2, rotation=0)
    axis.set_label_text(what)


def colours_for(values: np.ndarray, signed: bool) -> tuple[str, Normalize]:
    """Return a colour map and its range: 0 to 1, or symmetric about 0 for signed values."""
    if not signed:
        return SHARE, Normalize(0, 1)
    reach = float(np.abs(values).max()) or 1.0
    return SIGNED, Normalize(-reach, reach)


def label_units(axes: Axes, units: int) -> None:
    """Label the first and the last unit, counted from 0 as in the arrays."""
    axes.set_yticks([0, units - 1] if units > 1 else [0])
