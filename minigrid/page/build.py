"""A page that shows what every gate did at every character of a text: one file, no network, nothing to install."""

import base64
import json
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex

from minigrid.analysis.trace import Trace
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import UserError
from minigrid.nn.model import CharModel
from minigrid.plots import Figure, gate_heatmap
from minigrid.plots.style import GLYPHS, NO_GLYPH, SHARE, SIGNED


class Quantity(NamedTuple):
    """How an array of a trace is called on the page, and whether it goes to both sides of 0."""

    title: str
    signed: bool


QUANTITIES = {
    "i": Quantity("input gate", False),
    "f": Quantity("forget gate", False),
    "o": Quantity("output gate", False),
    "z": Quantity("update gate", False),
    "r": Quantity("reset gate", False),
    "g": Quantity("candidate", True),
    "n": Quantity("candidate", True),
    "c": Quantity("memory cell", True),
    "h": Quantity("hidden state", True),
}
"""What the page shows of a trace, by the last part of its name."""

FIRST = ("f", "z", "h")
"""What the text is coloured by at first: the first quantity of the model that is among these."""

WAYS = {"depth": "along depth", "time": "along time"}
GUESSES = 5
LARGEST = 64  # megabytes of a page that a browser still opens without a wait


def page(model: CharModel, vocabulary: Vocabulary, ids: np.ndarray, trace: Trace, name: str) -> str:
    """Build the page.

    Parameters
    ----------
    model, vocabulary : CharModel, Vocabulary
        What read the text.
    ids : (T,) int array
        The characters that it read.
    trace : Trace
        Of the model over `ids`, a batch of one.
    name : str
        What to call the model.

    Returns
    -------
    str
        HTML with all data, styles and code inside. Each number takes one byte (memory cells: two), in base64.

    Raises
    ------
    UserError
        The page would have more than 64 MB.
    """
    _check_size(trace, len(ids))
    data = {
        "name": name,
        "about": _about(model),
        "layers": model.layers,
        "units": model.hidden,
        "text": ids.tolist(),
        "symbols": [_symbol(text) for text in symbol_texts(vocabulary)],
        "colours": {"share": _colours(SHARE), "signed": _colours(SIGNED)},
        **_arrays(trace),
        **_guesses(trace.logits[:, 0], ids),
    }
    template = files("minigrid") / "page"
    filled = (template / "page.html").read_text(encoding="utf-8")
    # the data come last: they may hold anything, the other parts' marks for example
    for mark, part in (
        ("/*STYLE*/", (template / "page.css").read_text(encoding="utf-8")),
        ("/*SCRIPT*/", (template / "page.js").read_text(encoding="utf-8")),
        ("/*DATA*/", json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")),
    ):
        filled = filled.replace(mark, part, 1)
    return filled


def picture(vocabulary: Vocabulary, ids: np.ndarray, trace: Trace) -> Figure:
    """Draw what the page shows at first, over the T characters `ids` that the trace begins with."""
    shown = _arrays_shown(trace)
    way, key = shown.ways[0], shown.keys[shown.first]
    texts = symbol_texts(vocabulary)
    label = " ".join(filter(None, [QUANTITIES[key].title, WAYS.get(way)]))
    values = trace[f"{way}.{key}"][:, : len(ids), 0]
    return gate_heatmap(values, [texts[symbol] for symbol in ids], label, QUANTITIES[key].signed)


def symbol_texts(vocabulary: Vocabulary) -> list[str]:
    """Write each symbol of a vocabulary: as its character, and a byte that is not ASCII in hexadecimal."""
    hexadecimal = vocabulary.tokens == "bytes"
    return [f"{value:02X}" if hexadecimal and value >= 0x80 else chr(value) for value in vocabulary.symbols]


def _check_size(trace: Trace, steps: int) -> None:
    ways, keys, _ = _arrays_shown(trace)
    bits = sum(trace[f"{way}.{key}"].size * _bits_of(key) for way in ways for key in keys)
    megabytes = bits / 8 * 4 / 3 / 1e6  # base64 writes three bytes as four characters
    if megabytes > LARGEST:
        raise UserError(
            f"a page with {steps} characters of this model would have {megabytes:.0f} MB: give a text of at most "
            f"{int(steps * LARGEST / megabytes)}"
        )


def _about(model: CharModel) -> str:
    options = [f"{key} {value}" for key in ("tie", "priority") if (value := getattr(model.options, key))]
    return ", ".join([model.options.model, f"{model.layers} layers of {model.hidden} units", *options])


def _symbol(text: str) -> dict[str, Any]:
    names = {" ": "space", "\n": "line break", "\t": "tab"}
    glyph = GLYPHS.get(text) or (text if text.isprintable() else NO_GLYPH)
    name = names.get(text) or (text if text.isprintable() else f"U+{ord(text):04X}")
    return {"glyph": glyph, "name": name, "blank": text in names, "breaks": text == "\n"}


def _colours(name: str, stops: int = 17) -> list[str]:
    return [to_hex(colormaps[name](k / (stops - 1))) for k in range(stops)]


class _Shown(NamedTuple):
    """Which arrays of a trace the page shows: ``{way}.{key}`` for all ways and keys, at first the key at `first`."""

    ways: list[str]
    keys: list[str]
    first: int


def _arrays_shown(trace: Trace) -> _Shown:
    kinds, names = ({name.split(".")[part] for name in trace} for part in (0, 1))
    keys = [key for key in QUANTITIES if key in names]
    first = next(k for k, key in enumerate(keys) if key in FIRST)
    return _Shown([way for way in WAYS if way in kinds] or sorted(kinds), keys, first)


def _bits_of(key: str) -> int:
    """How exactly the page holds a quantity: a memory cell has no limits, and gets more bits."""
    return 16 if key == "c" else 8


def _arrays(trace: Trace) -> dict[str, Any]:
    """The numbers, and how they are called."""
    ways, keys, first = _arrays_shown(trace)
    return {
        "ways": [{"key": way, "title": WAYS.get(way, "")} for way in ways],
        "quantities": [{"key": key, **QUANTITIES[key]._asdict()} for key in keys],
        "first": first,
        "unit": int(trace[f"{ways[0]}.{keys[first]}"][-1, :, 0].std(axis=0).argmax()),  # the one that moves most
        "arrays": {
            f"{way}.{key}": _packed(trace[f"{way}.{key}"][:, :, 0], QUANTITIES[key].signed, _bits_of(key))
            for way in ways
            for key in keys
        },
    }


def _packed(values: np.ndarray, signed: bool, bits: int) -> dict[str, Any]:
    """Quantise (L, T, H) values between 0, or minus the reach, and the reach: 1, or what a memory cell needs."""
    reach = np.ones(len(values)) if bits == 8 else np.maximum(np.abs(values).max(axis=(1, 2)), 1e-6)
    from_0_to_1 = values / reach[:, None, None]
    if signed:
        from_0_to_1 = (from_0_to_1 + 1) / 2
    numbers = np.rint(from_0_to_1 * (2**bits - 1)).astype(f"<u{bits // 8}")
    return {"bits": bits, "reach": reach.tolist(), "data": base64.b64encode(numbers.tobytes()).decode()}


def _guesses(logits: np.ndarray, ids: np.ndarray) -> dict[str, Any]:
    """The likeliest next characters at each step, and the probability of the one that came."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    p /= p.sum(axis=1, keepdims=True)
    likeliest = np.argsort(-p, axis=1, kind="stable")[:, :GUESSES]
    return {
        "guesses": [
            [[int(symbol), round(float(p[step, symbol]), 4)] for symbol in symbols]
            for step, symbols in enumerate(likeliest)
        ],
        "actual": p[np.arange(len(ids) - 1), ids[1:]].round(4).tolist(),
    }
