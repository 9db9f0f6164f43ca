"""Build a page that shows every gate at every character of a text: one HTML file that needs no network."""

import base64
import json
from importlib.resources import files
from typing import NamedTuple, TypedDict

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex

from minigrid.analysis.trace import Trace
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import NotFiniteError, UserError
from minigrid.nn.model import CharModel
from minigrid.plots import Figure, gate_heatmap
from minigrid.plots.style import GLYPHS, NO_GLYPH, SHARE, SIGNED


class Quantity(NamedTuple):
    """How the page shows an array of a trace.

    Attributes
    ----------
    title : str
        Name for the reader.
    signed : bool
        Whether values can be negative.
    bounded : bool
        Whether values stay within 1 of 0. The page stores bounded values in one byte each, and others in two.
    """

    title: str
    signed: bool
    bounded: bool = True

    @property
    def bits(self) -> int:
        """Bits per value on the page."""
        return 8 if self.bounded else 16


QUANTITIES = {
    "i": Quantity("input gate", signed=False),
    "f": Quantity("forget gate", signed=False),
    "o": Quantity("output gate", signed=False),
    "z": Quantity("update gate", signed=False),
    "r": Quantity("reset gate", signed=False),
    "g": Quantity("candidate", signed=True),
    "n": Quantity("candidate", signed=True),
    "c": Quantity("memory cell", signed=True, bounded=False),
    "h": Quantity("hidden state", signed=True),
}
"""The arrays of a trace that the page shows, by the last part of their names."""

FIRST = ("f", "z", "h")
"""When the page opens, the text is coloured by the first quantity of the model that is among these."""

DIRECTIONS = {"depth": "along depth", "time": "along time"}
GUESSES = 5
MAX_MEGABYTES = 64  # browsers open a page of this size without delay


# -- the data of the page, which page.js reads as JSON


class SymbolData(TypedDict):
    """A symbol of the vocabulary."""

    glyph: str  # visible, even for white space
    name: str  # for screen readers
    blank: bool  # white space
    breaks: bool  # a line of the page ends after it


class DirectionData(TypedDict):
    """One of the two LSTMs of a grid, or the only recurrent layer type of another model."""

    key: str  # first part of an array's name
    title: str  # empty if there is only one


class QuantityData(TypedDict):
    """See :class:`Quantity`."""

    key: str  # last part of an array's name
    title: str
    signed: bool


class ArrayData(TypedDict):
    """Values (L, T, H), quantised to whole numbers."""

    bits: int  # per number, 8 or 16
    reach: list[float]  # for each layer, the value of the largest number; the smallest stands for -reach or 0
    data: str  # the numbers in row-major and little-endian order, in base64


class PageData(TypedDict):
    """Everything that the page shows."""

    name: str
    about: str  # kind, size and options of the model
    layers: int
    units: int
    text: list[int]  # T symbols, as indices of `symbols`
    symbols: list[SymbolData]
    colours: dict[str, list[str]]  # colour maps for "share" (0 to 1) and "signed" values, as evenly spaced stops
    directions: list[DirectionData]
    quantities: list[QuantityData]
    first: int  # index of the quantity that colours the text when the page opens
    unit: int  # unit that colours the text when the page opens
    arrays: dict[str, ArrayData]  # one for each direction and quantity, by "direction.quantity"
    guesses: list[list[tuple[int, float]]]  # at each step, the most likely next symbols and their probabilities
    actual: list[float]  # probabilities of the T - 1 characters that did come next


# -- the page and the picture


def page(model: CharModel, vocabulary: Vocabulary, ids: np.ndarray, trace: Trace, name: str) -> str:
    """Build the page, as the text of an HTML file.

    Parameters
    ----------
    model, vocabulary : CharModel, Vocabulary
        The model that read the text, and its vocabulary.
    ids : (T,) int array
        The characters that it read.
    trace : Trace
        Trace of the model over `ids`, with a batch of one.
    name : str
        Name of the model on the page.

    Returns
    -------
    str
        HTML that contains all data, styles and code.

    Raises
    ------
    UserError
        The page would be larger than 64 MB, or a number on it would not be finite.
    """
    shown = _shown_arrays(trace)
    if not all(np.isfinite(array).all() for array in (*(trace[name] for name in shown.names), trace.logits)):
        raise NotFiniteError
    _check_size(trace, shown)
    first_values = trace[shown.first_name][:, :, 0]
    p = _softmax(trace.logits[:, 0])
    data: PageData = {
        "name": name,
        "about": _about(model),
        "layers": model.layers,
        "units": model.hidden,
        "text": ids.tolist(),
        "symbols": [_symbol(text) for text in _symbol_texts(vocabulary)],
        "colours": {"share": _colour_stops(SHARE), "signed": _colour_stops(SIGNED)},
        "directions": [{"key": key, "title": DIRECTIONS.get(key, "")} for key in shown.directions],
        "quantities": [
            {"key": key, "title": QUANTITIES[key].title, "signed": QUANTITIES[key].signed} for key in shown.keys
        ],
        "first": shown.keys.index(shown.first_key),
        "unit": int(first_values[-1].std(axis=0).argmax()),  # the one that varies most in the top layer
        "arrays": {array: _packed(trace[array][:, :, 0], _quantity(array)) for array in shown.names},
        "guesses": _guesses(p),
        "actual": p[np.arange(len(ids) - 1), ids[1:]].round(4).tolist(),
    }
    return _filled_template(data)


def picture(vocabulary: Vocabulary, ids: np.ndarray, trace: Trace) -> Figure:
    """Draw the gate or state that colours the text when the page opens, for all layers and units.

    Parameters
    ----------
    vocabulary : Vocabulary
        Vocabulary of the model.
    ids : (T,) int array
        The first T characters of the trace. Up to about 90 are legible.
    trace : Trace
        Trace of the model, with a batch of one.
    """
    shown = _shown_arrays(trace)
    quantity = QUANTITIES[shown.first_key]
    direction = DIRECTIONS.get(shown.directions[0])
    label = f"{quantity.title} {direction}" if direction else quantity.title
    texts = _symbol_texts(vocabulary)
    values = trace[shown.first_name][:, : len(ids), 0]
    return gate_heatmap(values, [texts[symbol] for symbol in ids], label, quantity.signed)


# -- the parts


class _Shown(NamedTuple):
    """The arrays of a trace that the page shows: each of `keys` along each of `directions`."""

    directions: list[str]
    keys: list[str]
    first_key: str  # of the quantity that colours the text when the page opens

    @property
    def names(self) -> list[str]:
        return [f"{direction}.{key}" for direction in self.directions for key in self.keys]

    @property
    def first_name(self) -> str:
        return f"{self.directions[0]}.{self.first_key}"


def _shown_arrays(trace: Trace) -> _Shown:
    prefixes = {name.split(".")[0] for name in trace}
    suffixes = {name.split(".")[1] for name in trace}
    directions = [key for key in DIRECTIONS if key in prefixes] or sorted(prefixes)
    keys = [key for key in QUANTITIES if key in suffixes]
    return _Shown(directions, keys, next(key for key in keys if key in FIRST))


def _quantity(name: str) -> Quantity:
    return QUANTITIES[name.split(".")[1]]


def _check_size(trace: Trace, shown: _Shown) -> None:
    steps = len(trace.logits)
    megabytes = sum(trace[name].size * _quantity(name).bits / 8 for name in shown.names) / 1e6
    megabytes *= 4 / 3  # base64 writes three bytes as four characters
    if megabytes > MAX_MEGABYTES:
        raise UserError(
            f"the text is too long for a page: with {steps} characters, the page would have {megabytes:.0f} MB. "
            f"Use at most {int(steps * MAX_MEGABYTES / megabytes)} characters"
        )


def _about(model: CharModel) -> str:
    layers = "1 layer" if model.layers == 1 else f"{model.layers} layers"
    options = [f"{key} {value}" for key in ("tie", "priority") if (value := getattr(model.options, key))]
    return ", ".join([model.options.model, f"{layers} of {model.hidden} units", *options])


def _symbol_texts(vocabulary: Vocabulary) -> list[str]:
    """Return each symbol of a vocabulary as a character, or as two hexadecimal digits for a byte beyond ASCII."""
    hexadecimal = vocabulary.tokens == "bytes"
    return [f"{value:02X}" if hexadecimal and value >= 0x80 else chr(value) for value in vocabulary.symbols]


def _symbol(text: str) -> SymbolData:
    names = {" ": "space", "\n": "line break", "\t": "tab"}
    glyph = GLYPHS.get(text) or (text if text.isprintable() else NO_GLYPH)
    name = names.get(text) or (text if text.isprintable() else f"U+{ord(text):04X}")
    return {"glyph": glyph, "name": name, "blank": text in names, "breaks": text == "\n"}


def _colour_stops(colour_map: str, stops: int = 17) -> list[str]:
    return [to_hex(colormaps[colour_map](k / (stops - 1))) for k in range(stops)]


def _packed(values: np.ndarray, quantity: Quantity) -> ArrayData:
    """Quantise values (L, T, H) from the range between -reach (0 if unsigned) and reach."""
    reach = np.ones(len(values)) if quantity.bounded else np.maximum(np.abs(values).max(axis=(1, 2)), 1e-6)
    from_0_to_1 = values / reach[:, None, None]
    if quantity.signed:
        from_0_to_1 = (from_0_to_1 + 1) / 2
    numbers = np.rint(from_0_to_1 * (2**quantity.bits - 1)).astype(f"<u{quantity.bits // 8}")
    return {"bits": quantity.bits, "reach": reach.tolist(), "data": base64.b64encode(numbers.tobytes()).decode()}


def _softmax(logits: np.ndarray) -> np.ndarray:
    p = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    return p / p.sum(axis=1, keepdims=True)


def _guesses(p: np.ndarray) -> list[list[tuple[int, float]]]:
    """Return the most likely next symbols at each step, from the probabilities (T, V) of all symbols."""
    likeliest = np.argsort(-p, axis=1, kind="stable")[:, :GUESSES]
    return [
        [(int(symbol), round(float(p[step, symbol]), 4)) for symbol in symbols]
        for step, symbols in enumerate(likeliest)
    ]


def _filled_template(data: PageData) -> str:
    folder = files("minigrid") / "page"
    html, style, script = ((folder / name).read_text(encoding="utf-8") for name in ("page.html", "page.css", "page.js"))
    html = html.replace("/*STYLE*/", style, 1)
    html = html.replace("/*SCRIPT*/", script, 1)
    # the data come last because they may contain anything, even one of these marks
    return html.replace("/*DATA*/", json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"), 1)
