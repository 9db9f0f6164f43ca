"""Reading a text from a file: unpacking it, and decoding it piece by piece to code points or byte values."""

import bz2
import codecs
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from minigrid.data.corpora.formats import not_utf8
from minigrid.files import open_plain

PIECE = 1 << 17
"""Bytes read at a time, few enough that what becomes of them stays in the processor's cache."""


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
        self._begun = False  # whether a character has been decoded
        self._beyond_ascii = False  # whether one of those decoded so far is beyond ASCII

    def decode(self, piece: bytes) -> np.ndarray:
        """Decode the next piece; an empty one ends the text.

        Returns
        -------
        numpy.ndarray
            uint32 for chars, uint8 for bytes. A character that the piece cuts in two arrives with the next piece. A
            byte-order mark at the beginning is left out of chars: it is no part of the text.

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
            after_utf8 = self._beyond_ascii or not problem.object[: problem.start].isascii()
            offset = self._consumed - pending + problem.start
            raise not_utf8(self._path, offset, after_utf8=after_utf8) from problem
        self._consumed += len(piece)
        self._beyond_ascii |= not text.isascii()
        if text and not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


@contextmanager
def _opened(path: Path, packed: bool) -> Iterator[IO[bytes]]:
    with open_plain(path) as file:
        if packed and path.suffix == ".zip":
            with zipfile.ZipFile(file) as archive, archive.open(archive.namelist()[0]) as member:
                yield member
        elif packed and path.suffix == ".bz2":
            with bz2.open(file) as unpacked:
                yield unpacked
        else:
            yield file
