"""What all pictures share: colours, sizes, and how characters are shown."""

import io
from collections.abc import Sequence

import matplotlib.figure
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import Normalize
from matplotlib.font_manager import FontProperties, findfont, get_font

from minigrid.errors import UserError

# Okabe and Ito's palette: told apart by colour-blind readers as well
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

# both maps change in lightness, so that colour-blind readers and grey printers see them too
SHARE, SIGNED = "viridis", "RdBu_r"

WIDTH = 9.0  # inches: 900 pixels at the resolution that a notebook shows

GLYPHS = {" ": "␣", "\n": "↵", "\t": "⇥"}
NO_GLYPH = "□"


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure that a notebook shows by itself, whether or not pyplot was ever imported."""

    def _repr_png_(self) -> bytes:
        png = io.BytesIO()
        self.savefig(png, format="png", dpi=100)
        return png.getvalue()


def glyph(symbol: str) -> str:
    """Return something visible for a character: a sign for white space, a box for what the font cannot show."""
    if symbol in GLYPHS:
        return GLYPHS[symbol]
    return symbol if symbol == drawable(symbol, "monospace") else NO_GLYPH


def drawable(text: str, family: str = "sans-serif") -> str:
    """Put a box in the place of each character that the font of this family cannot show."""
    font = get_font(findfont(FontProperties(family=[family])))
    return "".join(c if c.isprintable() and font.get_char_index(ord(c)) else NO_GLYPH for c in text)


def check_length(text: Sequence[str], steps: int) -> None:
    """Raise a UserError where text and values are not of the same length."""
    if len(text) != steps:
        raise UserError(f"the text has {len(text)} characters and the values {steps} steps: they must be alike")


def label_characters(axis: Axis, text: Sequence[str], what: str = "character read", room: float = 7.4) -> None:
    """Put every character at its place on an axis that is `room` inches long, as large as fits, up to 10 points."""
    pitch = 72 * room / max(len(text), 1)
    size = min(10, pitch / 0.62 if axis.axis_name == "x" else pitch)  # a letter is 0.6 times as wide as it is high
    axis.set_ticks(range(len(text)), [glyph(c) for c in text], fontsize=size, family="monospace", parse_math=False)
    axis.set_tick_params(length=0, pad=2, rotation=0)
    axis.set_label_text(what)


def colours_for(values: np.ndarray, signed: bool) -> tuple[str, Normalize]:
    """Choose map and range: 0 to 1, or the same distance to both sides of 0."""
    if not signed:
        return SHARE, Normalize(0, 1)
    reach = float(np.abs(values).max()) or 1.0
    return SIGNED, Normalize(-reach, reach)


def label_units(axes: Axes, units: int) -> None:
    """Mark the first and the last unit, counted from 0 as in the arrays."""
    axes.set_yticks([0, units - 1] if units > 1 else [0])
