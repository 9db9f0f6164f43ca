"""Reading a text from a file: unpacking it, and decoding it piece by piece to code points or byte values."""

import bz2
import codecs
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from minigrid.errors import UserError

PIECE = 1 << 20
"""Bytes read at a time."""


def read_pieces(path: Path, *, packed: bool) -> Iterator[bytes]:
    """Read a text piece by piece; the last piece is empty and marks its end.

    Parameters
    ----------
    path : Path
        The file.
    packed : bool
        Whether to unpack the only member of a .zip, or a .bz2.
    """
    with _opened(path, packed) as stream:
        while piece := stream.read(PIECE):
            yield piece
    yield b""


def read_symbols(path: Path, tokens: str, *, packed: bool) -> Iterator[np.ndarray]:
    """Read a text as arrays of code points or byte values; see :class:`SymbolDecoder`."""
    decoder = SymbolDecoder(tokens, path)
    for piece in read_pieces(path, packed=packed):
        yield decoder.decode(piece)


class SymbolDecoder:
    """Turns the pieces of a text into arrays of code points ("chars") or byte values ("bytes").

    Parameters
    ----------
    tokens : {"chars", "bytes"}
        What to turn the text into.
    path : Path
        The text's file, named in error messages.
    """

    def __init__(self, tokens: str, path: Path) -> None:
        self._path = path
        self._utf8 = codecs.getincrementaldecoder("utf-8")() if tokens == "chars" else None
        self._consumed = 0  # bytes of the pieces decoded so far

    def decode(self, piece: bytes) -> np.ndarray:
        """Decode the next piece; an empty one ends the text.

        Returns
        -------
        numpy.ndarray
            uint32 for chars, uint8 for bytes. A character that the piece cuts in two arrives with the next piece.

        Raises
        ------
        UserError
            If the text is not UTF-8 (chars only).
        """
        if self._utf8 is None:
            return np.frombuffer(piece, dtype=np.uint8)
        pending = len(self._utf8.getstate()[0])  # bytes of a character that the last piece cut in two
        try:
            text = self._utf8.decode(piece, final=not piece)
        except UnicodeDecodeError as problem:
            raise self._not_utf8(problem, self._consumed - pending + problem.start) from problem
        self._consumed += len(piece)
        return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")

    def _not_utf8(self, problem: UnicodeDecodeError, offset: int) -> UserError:
        is_utf16 = offset == 0 and problem.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        return UserError(
            f"{self._path} is not UTF-8 at byte {offset}{' but looks like UTF-16' if is_utf16 else ''}: convert it to "
            "UTF-8, or set `tokens` to bytes."
        )


@contextmanager
def _opened(path: Path, packed: bool) -> Iterator[IO[bytes]]:
    if packed and path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as member:
            yield member
    elif packed and path.suffix == ".bz2":
        with bz2.open(path) as unpacked:
            yield unpacked
    else:
        with open(path, "rb") as file:
            yield file
