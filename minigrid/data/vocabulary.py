"""The symbols of a text, and the conversion between text and ids."""

import codecs
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from minigrid.errors import UserError, shown

KINDS = ("chars", "bytes")
_SHOWN = 8  # symbols listed in a message before "and N more"


class Decoder(Protocol):
    """Turns ids into text one at a time; made by :meth:`Vocabulary.decoder`."""

    def feed(self, symbol: int) -> str:
        """Take the next id; return the text it completes, or "" in the middle of a multi-byte character."""
        ...


@dataclass(frozen=True)
class Vocabulary:
    """An ordered set of symbols; the id of a symbol is its position.

    Parameters
    ----------
    tokens : {"chars", "bytes"}
        What a symbol is: a Unicode code point, or one byte of the text's UTF-8 encoding.
    symbols : tuple of int
        The code points or byte values, in ascending order. Lone surrogates (U+D800 to U+DFFF) are no characters.

    Raises
    ------
    UserError
        If `tokens` is neither of the two, or `symbols` are not valid values in ascending order.
    """

    tokens: str
    symbols: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.tokens not in KINDS:
            raise UserError(f"`tokens` must be {' or '.join(KINDS)}, not {shown(self.tokens)}.")
        if not _are_valid(self.symbols, self.tokens):
            raise UserError(
                f"the symbols of the vocabulary are not {self.tokens} in ascending order: the file that they come "
                "from may be damaged."
            )

    def __len__(self) -> int:
        return len(self.symbols)

    @classmethod
    def from_text(cls, text: str, tokens: str = "chars") -> "Vocabulary":
        """Return the vocabulary of all symbols in `text`.

        Raises
        ------
        UserError
            If `text` has lone surrogates, which are no characters.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as problem:
            lone = show(text[problem.start])
            raise UserError(f"the text has a lone surrogate, {lone}, which is no character: leave it out.") from problem
        return cls(tokens, tuple(np.unique(_values(text, tokens)).tolist()))

    def encode(self, text: str) -> np.ndarray:
        """Convert text to ids.

        Returns
        -------
        numpy.ndarray
            1-D, int32, one id per character (or byte) of `text`.

        Raises
        ------
        UserError
            If `text` has characters outside the vocabulary; the message names them.
        """
        values = _values(text, self.tokens)
        if not self._known(values).all():
            unknown = self.unknown(text)
            count = "a character" if len(unknown) == 1 else f"{len(unknown)} characters"
            raise UserError(
                f"the text has {count} outside the vocabulary of {len(self)} {self.tokens}: "
                f"{_listed(unknown)}; leave them out, or use a model trained on them."
            )
        return np.searchsorted(self._values, values).astype(np.int32)

    def unknown(self, text: str) -> list[str]:
        """List the distinct characters of `text` that cannot be encoded, in order of appearance."""
        return [char for char in dict.fromkeys(text) if not self._known(_values(char, self.tokens)).all()]

    def decode(self, ids: Iterable[int] | np.ndarray) -> str:
        """Convert ids back to text; bytes that are not valid UTF-8 become U+FFFD."""
        values = self._values[np.asarray(ids if isinstance(ids, np.ndarray) else list(ids), dtype=np.int64)]
        if self.tokens == "bytes":
            return values.astype(np.uint8).tobytes().decode("utf-8", errors="replace")
        return values.astype("<u4").tobytes().decode("utf-32-le")

    def decoder(self) -> Decoder:
        """Return a decoder that takes ids one by one, to show a sample while it is being written."""
        return _ByteDecoder(self) if self.tokens == "bytes" else _CharDecoder(self)

    def to_json(self) -> dict[str, Any]:
        """Return the vocabulary as plain values that JSON can store."""
        return {"tokens": self.tokens, "symbols": list(self.symbols)}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "Vocabulary":
        """Return the vocabulary that :meth:`to_json` described.

        Raises
        ------
        UserError
            If it is none.
        """
        if type(saved) is not dict or saved.keys() != {"tokens", "symbols"} or type(saved["symbols"]) is not list:
            raise UserError("a vocabulary has tokens and a list of symbols, and nothing else: its file may be damaged.")
        return cls(saved["tokens"], tuple(saved["symbols"]))

    def lacking(self, other: "Vocabulary") -> str:
        """List the symbols of another vocabulary with the same tokens that this one lacks; "" if there are none."""
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


def _are_valid(symbols: Any, tokens: str) -> bool:
    if type(symbols) is not tuple or any(type(symbol) is not int for symbol in symbols):
        return False
    if any(low >= high for low, high in pairwise((-1, *symbols, 0x110000 if tokens == "chars" else 0x100))):
        return False
    return tokens == "bytes" or bisect_left(symbols, 0xD800) == bisect_left(symbols, 0xE000)


def show(char: str) -> str:
    r"""Return a character in a form that is readable in messages: `'é' (U+00E9)`, `'\n' (U+000A)`."""
    return f"{char!r} (U+{ord(char):04X})"


def _listed(symbols: list[str], shown: Callable[[str], str] = show) -> str:
    more = len(symbols) - _SHOWN
    return ", ".join(map(shown, symbols[:_SHOWN])) + (f" and {more} more" if more > 0 else "")


def _values(text: str, tokens: str) -> np.ndarray:
    # Lone surrogates, which a command line that is not UTF-8 contains, become unknown symbols instead of an exception.
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
