"""The table of ``minigrid eval --per-character``: one line per character, with tabs between the columns."""

import unicodedata

import numpy as np

from minigrid.data.vocabulary import Vocabulary


def header(unit: str) -> str:
    """Return the first line; `unit` is "character" or "byte"."""
    return f"position\t{unit}\tprobability\tnats\n"


def rows(ids: np.ndarray, nats: np.ndarray, position: int, vocabulary: Vocabulary) -> str:
    """Return the lines of some neighbouring characters.

    Parameters
    ----------
    ids : numpy.ndarray
        Their ids, 1-D.
    nats : numpy.ndarray
        ``-ln p`` of each.
    position : int
        Position of the first of them in the text, counted from 1.
    vocabulary : Vocabulary
        Symbols of the model.
    """
    columns = zip(ids.tolist(), np.exp(-nats).tolist(), nats.tolist(), strict=True)
    return "".join(
        f"{place}\t{visible(vocabulary.symbols[id], vocabulary.tokens)}\t{probability:.6g}\t{surprisal:.6f}\n"
        for place, (id, probability, surprisal) in enumerate(columns, position)
    )


def visible(symbol: int, tokens: str) -> str:
    """Return a character as it is if it can be seen and cannot upset the table, otherwise as its code."""
    if tokens == "bytes" and symbol >= 0x80:
        return f"0x{symbol:02X}"
    character = chr(symbol)
    is_mark = unicodedata.category(character).startswith("M")  # it would join the tab in front of it
    if character.isprintable() and character not in ' "' and not is_mark:  # many readers of tables remove quotes
        return character
    return f"0x{symbol:02X}" if tokens == "bytes" else f"U+{symbol:04X}"
