"""A text that you give to a model, in the model's symbols: characters, or bytes that need not be UTF-8."""

import os
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from minigrid.data.corpora.formats import not_utf8, refuse_other_formats
from minigrid.data.vocabulary import Vocabulary, show
from minigrid.errors import Notice, UserError
from minigrid.files import read_plain

Text = str | bytes
"""A text for a model of characters, or one for a model of bytes."""

MOST = 10_000_000
"""Size in bytes of the largest file that is read at once."""

REMOVE_OR_SKIP = "remove them, or skip them (`skip_unknown`)"

_NAMED = 8  # characters that a message lists


def from_argument(argument: str, tokens: str) -> Text:
    """Return an argument of the command line as a text; Python keeps bytes that are not UTF-8 as lone surrogates."""
    return os.fsencode(argument) if tokens == "bytes" else argument


def read_text(path: Path, name: str, tokens: str) -> Text:
    """Read a text file: as it is for a model of bytes, as UTF-8 without a byte-order mark for one of characters.

    Parameters
    ----------
    path : Path
        The file, of at most 10 MB.
    name : str
        Parameter that the file was given as, for messages.
    tokens : {"chars", "bytes"}
        What the model reads.

    Raises
    ------
    UserError
        The file cannot be read, is too large, or is no text in UTF-8 though the model reads characters.
    """
    try:
        content = read_plain(path, MOST)
        if tokens == "bytes":
            return content
        refuse_other_formats(path)
        return content.decode("utf-8").removeprefix("\ufeff")
    except OSError as error:
        raise UserError(f"cannot read `{name}` {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise not_utf8(path, error.start, after_utf8=any(byte > 0x7F for byte in content[: error.start])) from error


def ids_of(
    text: Text, vocabulary: Vocabulary, name: str, skip_unknown: bool = False, advice: str = REMOVE_OR_SKIP
) -> np.ndarray:
    """Convert a text to ids.

    Parameters
    ----------
    text : str or bytes
        The text.
    vocabulary : Vocabulary
        Symbols of the model.
    name : str
        Parameter that the text was given as, for messages.
    skip_unknown : bool
        Leave out characters that the vocabulary lacks, and warn about them.
    advice : str
        What to do about unknown characters, for messages.

    Returns
    -------
    numpy.ndarray
        1-D, int32, one id per character or byte.

    Raises
    ------
    UserError
        The text has characters that the vocabulary lacks, and `skip_unknown` is false.
    """
    characters = text if isinstance(text, str) else text.decode("utf-8", "surrogateescape")
    unknown = unknown_characters(characters, vocabulary)
    if unknown and not skip_unknown:
        raise UserError(f"the model does not know some characters of `{name}`: {_listed(unknown)}; {advice}")
    if unknown:
        warnings.warn(f"skipped in `{name}`: {_listed(unknown)}", Notice, stacklevel=2)
        characters = characters.translate(dict.fromkeys(map(ord, unknown)))
    return np.searchsorted(np.array(vocabulary.symbols), _symbols(characters, vocabulary.tokens)).astype(np.int32)


def unknown_characters(characters: str, vocabulary: Vocabulary) -> list[str]:
    """List the distinct characters that a vocabulary cannot express; a lone surrogate stands for a byte."""
    known = set(vocabulary.symbols)
    return [c for c in dict.fromkeys(characters) if not known.issuperset(_symbols(c, vocabulary.tokens).tolist())]


def text_of(ids: Iterable[int], vocabulary: Vocabulary) -> Text:
    """Convert ids back to a text: str for a vocabulary of characters, bytes for one of bytes."""
    symbols = (vocabulary.symbols[id] for id in ids)
    return bytes(symbols) if vocabulary.tokens == "bytes" else "".join(map(chr, symbols))


def _symbols(characters: str, tokens: str) -> np.ndarray:
    """Return the code points of some characters, or the bytes of their UTF-8 encoding."""
    if tokens == "bytes":
        return np.frombuffer(characters.encode("utf-8", "surrogateescape"), np.uint8)
    return np.frombuffer(characters.encode("utf-32-le", "surrogatepass"), "<u4")


def _listed(characters: list[str]) -> str:
    more = len(characters) - _NAMED
    return ", ".join(map(_named, characters[:_NAMED])) + (f" and {more} more" if more > 0 else "")


def _named(character: str) -> str:
    byte = ord(character) - 0xDC00  # of an escaped byte
    return f"the byte 0x{byte:02X}" if 0x80 <= byte <= 0xFF else show(character)
