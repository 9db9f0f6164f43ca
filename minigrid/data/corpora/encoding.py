"""Encoding a text: collect its vocabulary in a first reading, turn it into ids in a second."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigrid.data.corpora.reading import SymbolDecoder, read_pieces
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import UserError

_POSSIBLE_SYMBOLS = {"chars": 0x110000, "bytes": 0x100}


class Corpus(NamedTuple):
    """An encoded text.

    Attributes
    ----------
    name : str
        Name of the corpus, or of the user's file or folder.
    ids : numpy.ndarray
        1-D array of character (or byte) ids, in the smallest unsigned integer type that holds them. For a large text
        it is read-only and memory-mapped.
    vocabulary : Vocabulary
        All symbols of the text.
    sha256 : str
        SHA-256 of the text's bytes, in hexadecimal digits.
    source : str
        Path of the file that the text was read from, or a description if there is no file.
    """

    name: str
    ids: np.ndarray
    vocabulary: Vocabulary
    sha256: str
    source: str


class Survey(NamedTuple):
    """The result of a first reading of a text."""

    vocabulary: Vocabulary
    length: int  # in characters or bytes
    size: int  # in bytes
    sha256: str


def encode_text(name: str, text: str, tokens: str, source: str) -> Corpus:
    """Encode a text that is in memory; `source` describes where it comes from."""
    vocabulary = Vocabulary.from_text(text, tokens)
    ids = vocabulary.encode(text).astype(id_type(vocabulary))
    return Corpus(name, ids, vocabulary, hashlib.sha256(text.encode("utf-8")).hexdigest(), source)


def survey_file(path: Path, tokens: str, *, packed: bool) -> Survey:
    """Read a file for the first time: collect its symbols, its length and its checksum."""
    digest = hashlib.sha256()
    size = length = 0
    present = np.zeros(_POSSIBLE_SYMBOLS[tokens], dtype=bool)
    decoder = SymbolDecoder(tokens, path)
    for piece in read_pieces(path, packed=packed):
        digest.update(piece)
        size += len(piece)
        values = decoder.decode(piece)
        present[values] = True
        length += len(values)
    vocabulary = Vocabulary(tokens, tuple(np.flatnonzero(present).tolist()))
    return Survey(vocabulary, length, size, digest.hexdigest())


def read_ids(path: Path, survey: Survey, *, packed: bool) -> Iterator[np.ndarray]:
    """Read a file for the second time, as arrays of ids.

    Raises
    ------
    UserError
        If the file is not what it was in the first reading.
    """
    vocabulary, left = survey.vocabulary, survey.length
    id_of = np.zeros(_POSSIBLE_SYMBOLS[vocabulary.tokens], dtype=id_type(vocabulary))
    id_of[list(vocabulary.symbols)] = np.arange(len(vocabulary))
    digest = hashlib.sha256()
    decoder = SymbolDecoder(vocabulary.tokens, path)
    for piece in read_pieces(path, packed=packed):
        digest.update(piece)
        try:
            values = decoder.decode(piece)
        except UserError:  # it was UTF-8 in the first reading
            break
        left -= len(values)
        if left < 0:
            break
        yield id_of.take(values)  # twice as fast as id_of[values]
    if left or digest.hexdigest() != survey.sha256:
        raise changed(path)


def changed(path: Path) -> UserError:
    """Return the error for a text that was different in a second reading."""
    return UserError(f"{path} changed while it was being read: try again when nothing writes to it.")


def encode_file(name: str, path: Path, survey: Survey, *, packed: bool) -> Corpus:
    """Encode a surveyed file in memory."""
    ids = np.empty(survey.length, dtype=id_type(survey.vocabulary))
    end = 0
    for piece in read_ids(path, survey, packed=packed):
        ids[end : end + len(piece)] = piece
        end += len(piece)
    return Corpus(name, ids, survey.vocabulary, survey.sha256, str(path.absolute()))


def id_type(vocabulary: Vocabulary) -> np.dtype:
    """Return the smallest unsigned integer type that holds every id of a vocabulary."""
    return np.min_scalar_type(len(vocabulary) - 1)
