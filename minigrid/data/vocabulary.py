"""The symbols a text is made of, and the way from text to numbers and back."""

import codecs
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from minigrid.errors import UserError

KINDS = ("chars", "bytes")
_SHOWN = 8  # symbols named one by one in a message before it says "and N more"


class Decoder(Protocol):
    """What `Vocabulary.decoder` returns."""

    def feed(self, symbol: int) -> str:
        """Take one id, return the text that it completes ("" in the middle of a multi-byte character)."""
        ...


@dataclass(frozen=True)
class Vocabulary:
    """An ordered set of symbols; the id of a symbol is its place in it.

    Parameters
    ----------
    tokens : {"chars", "bytes"}
        What a symbol is: a Unicode code point, or one byte of the text's UTF-8 form.
    symbols : tuple of int
        The code points or byte values, in ascending order.

    Raises
    ------
    UserError
        Where `tokens` is neither of the two, or `symbols` are not ascending values of that kind.
    """

    tokens: str
    symbols: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.tokens not in KINDS:
            raise UserError(f"tokens are {' or '.join(KINDS)}, not {self.tokens!r}: choose one of the two.")
        values = (-1, *self.symbols, 0x110000 if self.tokens == "chars" else 0x100)
        if any(low >= high for low, high in pairwise(values)):
            raise UserError(f"the vocabulary's symbols are not ascending {self.tokens}: its file is damaged.")

    def __len__(self) -> int:
        return len(self.symbols)

    @classmethod
    def from_text(cls, text: str, tokens: str = "chars") -> "Vocabulary":
        """Return the vocabulary of all symbols that occur in `text`."""
        return cls(tokens, tuple(np.unique(_values(text, tokens)).tolist()))

    def encode(self, text: str) -> np.ndarray:
        """Turn text into ids.

        Returns
        -------
        numpy.ndarray
            The ids, int32, one per character (or byte) of `text`.

        Raises
        ------
        UserError
            Where `text` has characters outside the vocabulary; the message names them.
        """
        values = _values(text, self.tokens)
        if not self._known(values).all():
            unknown = self.unknown(text)
            count = "a character" if len(unknown) == 1 else f"{len(unknown)} characters"
            raise UserError(
                f"the text has {count} that the vocabulary of {len(self)} {self.tokens} does not: "
                f"{_listed(unknown)}; leave out what is unknown, or use a model trained on it."
            )
        return np.searchsorted(self._values, values).astype(np.int32)

    def unknown(self, text: str) -> list[str]:
        """List the distinct characters of `text` that cannot be encoded, in the order they appear."""
        return [char for char in dict.fromkeys(text) if not self._known(_values(char, self.tokens)).all()]

    def decode(self, ids: Iterable[int] | np.ndarray) -> str:
        """Turn ids back into text; in bytes, what is not UTF-8 becomes U+FFFD."""
        values = self._values[np.asarray(ids if isinstance(ids, np.ndarray) else list(ids), dtype=np.int64)]
        if self.tokens == "bytes":
            return values.astype(np.uint8).tobytes().decode("utf-8", errors="replace")
        return values.astype("<u4").tobytes().decode("utf-32-le", errors="surrogatepass")

    def decoder(self) -> Decoder:
        """Return an object whose `feed(id)` gives text as it becomes whole, for samples shown live."""
        return _ByteDecoder(self) if self.tokens == "bytes" else _CharDecoder(self)

    def to_json(self) -> dict[str, Any]:
        """Return the vocabulary as plain values for a JSON file."""
        return {"tokens": self.tokens, "symbols": list(self.symbols)}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "Vocabulary":
        """Return the vocabulary that `to_json` wrote down."""
        return cls(saved["tokens"], tuple(saved["symbols"]))

    def difference(self, other: "Vocabulary") -> str:
        """Say in one short sentence how the vocabulary of a text differs from this one, a model's; "" if not at all."""
        if self == other:
            return ""
        if self.tokens != other.tokens:
            return f"the model's is made of {self.tokens}, the text's of {other.tokens}"
        parts = [f"the model knows {len(self)} {self.tokens}, the text has {len(other)}"]
        for place, one, two in (("model's", self, other), ("text's", other, self)):
            if extra := two.lacking(one):
                parts.append(f"only in the {place}: {extra}")
        return "; ".join(parts)

    def lacking(self, other: "Vocabulary") -> str:
        """Name the symbols of another vocabulary of the same kind that this one lacks; "" if there are none."""
        extra = sorted(set(other.symbols) - set(self.symbols))
        return _listed([other._shown(symbol) for symbol in extra], str)

    @cached_property
    def _values(self) -> np.ndarray:
        return np.array(self.symbols, dtype=np.uint32)

    def _known(self, values: np.ndarray) -> np.ndarray:
        return np.isin(values, self._values)

    def _shown(self, symbol: int) -> str:
        if self.tokens == "chars" or symbol < 0x80:
            return show(chr(symbol))
        return f"0x{symbol:02X}"


def show(char: str) -> str:
    r"""Write a character so that it can be read in a message: `'é' (U+00E9)`, `'\n' (U+000A)`."""
    return f"{char!r} (U+{ord(char):04X})"


def _listed(symbols: list[str], shown: Callable[[str], str] = show) -> str:
    more = len(symbols) - _SHOWN
    return ", ".join(map(shown, symbols[:_SHOWN])) + (f" and {more} more" if more > 0 else "")


def _values(text: str, tokens: str) -> np.ndarray:
    # Lone surrogates (a command line that was not UTF-8) pass through: they are unknown symbols, not a crash.
    if tokens == "bytes":
        return np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


class _CharDecoder:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self._symbols = vocabulary.symbols

    def feed(self, symbol: int) -> str:
        return chr(self._symbols[symbol])


class _ByteDecoder:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self._symbols = vocabulary.symbols
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, symbol: int) -> str:
        return self._utf8.decode(bytes([self._symbols[symbol]]))
