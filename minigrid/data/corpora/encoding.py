"""Texts as arrays of ids: surveyed, encoded, and where they are large cached and mapped into memory."""

import bz2
import codecs
import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from minigrid.data.corpora.sources import PIECE, check, data_folder
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import UserError
from minigrid.files import written_whole

CACHED_ABOVE = 8 << 20  # bytes; the encoding of a smaller text is quicker to make than to look after
_VALUES = {"chars": 0x110000, "bytes": 0x100}  # how many symbols there can be


class Corpus(NamedTuple):
    """An encoded text.

    Attributes
    ----------
    name : str
        The corpus' name, or the name of the user's file or folder.
    ids : numpy.ndarray
        1-D, ids of the characters (or bytes) in the smallest unsigned type that holds them; read-only and
        memory-mapped where the text is large.
    vocabulary : Vocabulary
        All symbols of the text.
    sha256 : str
        Of the text's bytes.
    source : str
        The path of the file the text was read from, or a description where there is none.
    """

    name: str
    ids: np.ndarray
    vocabulary: Vocabulary
    sha256: str
    source: str


class _Survey(NamedTuple):
    """What a first reading of a text finds out."""

    vocabulary: Vocabulary
    length: int  # in characters or bytes
    size: int  # in bytes
    sha256: str


def encode_text(name: str, text: str, tokens: str, source: str) -> Corpus:
    """Encode a text that is in memory; `source` says where it is from."""
    vocabulary = Vocabulary.from_text(text, tokens)
    ids = vocabulary.encode(text).astype(_id_type(vocabulary))
    return Corpus(name, ids, vocabulary, hashlib.sha256(text.encode("utf-8")).hexdigest(), source)


def load_text(name: str, path: Path, tokens: str, pin: tuple[str, str] | None = None) -> Corpus:
    """Encode the text in a file, or map what was encoded before.

    Parameters
    ----------
    name : str
        Of the corpus.
    path : Path
        The file; of a named corpus it may be a zip or compressed by bzip2.
    tokens : {"chars", "bytes"}
        What the text is made of.
    pin : tuple of str, optional
        The digest that the file of a named corpus must have, as (algorithm, hexadecimal digits).

    Raises
    ------
    UserError
        Where the file cannot be read, is empty, is not UTF-8, or is not the one that `pin` describes.
    """
    try:
        cache = _cache_path(path, tokens, pin)
        return _cached(name, path, cache) or _encoded(name, path, tokens, pin, cache)
    except OSError as problem:
        reason = problem.strerror or problem
        raise UserError(f"{path} cannot be read ({reason}): check the file and its permissions.") from problem


def _encoded(name: str, path: Path, tokens: str, pin: tuple[str, str] | None, cache: Path) -> Corpus:
    if pin:
        check(str(path), path, *pin, "put the right file there, or delete it and it is fetched anew")
    packed = pin is not None
    text = _survey(path, packed, tokens)
    if not text.length:
        raise UserError(f"{path} is empty: give a file with some text in it.")
    if text.size > CACHED_ABOVE and _write_cache(cache, text, _ids(path, packed, text)):
        corpus = _cached(name, path, cache)
        if corpus:
            return corpus
    ids = np.empty(text.length, dtype=_id_type(text.vocabulary))
    end = 0
    for piece in _ids(path, packed, text):
        ids[end : end + len(piece)] = piece
        end += len(piece)
    return Corpus(name, ids, text.vocabulary, text.sha256, str(path.absolute()))


def _survey(path: Path, packed: bool, tokens: str) -> _Survey:
    """Read a text once: which symbols it has, how many, and its digest."""
    digest = hashlib.sha256()
    size = length = 0

    def pieces() -> Iterator[bytes]:
        nonlocal size
        for piece in _pieces(path, packed):
            digest.update(piece)
            size += len(piece)
            yield piece

    present = np.zeros(_VALUES[tokens], dtype=bool)
    for values in _symbol_values(pieces(), tokens, path):
        present[values] = True
        length += len(values)
    vocabulary = Vocabulary(tokens, tuple(np.flatnonzero(present).tolist()))
    return _Survey(vocabulary, length, size, digest.hexdigest())


def _ids(path: Path, packed: bool, text: _Survey) -> Iterator[np.ndarray]:
    """Read a text again, as ids, piece by piece; it must be as long as when it was surveyed."""
    vocabulary, left = text.vocabulary, text.length
    table = np.zeros(_VALUES[vocabulary.tokens], dtype=_id_type(vocabulary))
    table[list(vocabulary.symbols)] = np.arange(len(vocabulary))
    for values in _symbol_values(_pieces(path, packed), vocabulary.tokens, path):
        left -= len(values)
        if left < 0:
            break
        yield table[values]
    if left:
        raise UserError(f"{path} has changed while it was read: try again when nothing writes to it any more.")


def _id_type(vocabulary: Vocabulary) -> np.dtype:
    return np.min_scalar_type(len(vocabulary) - 1)


def _pieces(path: Path, packed: bool) -> Iterator[bytes]:
    with _opened(path, packed) as stream:
        yield from iter(lambda: stream.read(PIECE), b"")


@contextmanager
def _opened(path: Path, packed: bool) -> Iterator[BinaryIO]:
    """Open a text; that of a named corpus may be the one member of a zip, or compressed by bzip2."""
    if packed and path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as stream:
            yield stream
    elif packed and path.suffix == ".bz2":
        with bz2.open(path) as stream:
            yield stream
    else:
        with open(path, "rb") as stream:
            yield stream


def _symbol_values(pieces: Iterable[bytes], tokens: str, path: Path) -> Iterator[np.ndarray]:
    """Turn pieces of a file into arrays of byte values or code points."""
    if tokens == "bytes":
        yield from (np.frombuffer(piece, dtype=np.uint8) for piece in pieces)
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    begin = 0  # of the bytes that the decoder is about to look at
    for piece in chain(pieces, [b""]):
        pending = len(decoder.getstate()[0])  # the start of a character that the last piece broke off
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as problem:
            offset = begin - pending + problem.start
            utf_16 = not offset and problem.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
            raise UserError(
                f"{path} is not UTF-8 at byte {offset}{' but looks like UTF-16' if utf_16 else ''}: convert it to "
                "UTF-8, or train on it with --tokens bytes."
            ) from problem
        begin += len(piece)
        yield np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


# --- the cache of encoded texts: an array that is mapped into memory, and what belongs to it as JSON --------


def _cache_path(path: Path, tokens: str, pin: tuple[str, str] | None) -> Path:
    """Name the cache of a file as it is now; with the pin in it, a cached text is one that was checked."""
    stat = path.stat()
    key = json.dumps([str(path.resolve()), stat.st_size, stat.st_mtime_ns, pin])
    name = f"{path.stem}-{tokens}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    return data_folder() / "encoded" / name


def _write_cache(cache: Path, text: _Survey, ids: Iterable[np.ndarray]) -> bool:
    """Write the array, then the JSON: where that is, the array is whole. False where it cannot be done."""
    header = {"descr": _id_type(text.vocabulary).str, "fortran_order": False, "shape": (text.length,)}
    about = {"length": text.length, "sha256": text.sha256, "vocabulary": text.vocabulary.to_json()}
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(_with_suffix(cache, ".npy")) as temporary:
            _write_array(temporary, header, ids)
        with written_whole(_with_suffix(cache, ".json")) as temporary:
            temporary.write_text(json.dumps(about), encoding="utf-8")
    except OSError:
        return False
    return True


def _write_array(path: Path, header: dict[str, Any], pieces: Iterable[np.ndarray]) -> None:
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for piece in pieces:
            file.write(piece)


def _cached(name: str, path: Path, cache: Path) -> Corpus | None:
    """Map an encoded text; None where there is none, or a damaged one."""
    try:
        about = json.loads(_with_suffix(cache, ".json").read_text(encoding="utf-8"))
        vocabulary = Vocabulary.from_json(about["vocabulary"])
        ids = np.load(_with_suffix(cache, ".npy"), mmap_mode="r", allow_pickle=False)
        whole = ids.shape == (about["length"],) and ids.dtype == _id_type(vocabulary)
        return Corpus(name, ids, vocabulary, about["sha256"], str(path.absolute())) if whole else None
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None


def _with_suffix(cache: Path, suffix: str) -> Path:
    return cache.with_name(cache.name + suffix)  # Path.with_suffix would cut a name such as "war.and.peace"
