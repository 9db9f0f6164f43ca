"""The cache of encoded texts: the ids as an array to map into memory, everything else as JSON.

The cache is the folder encoded/ in the data folder. Every text has a pair of files there, NAME.npy and NAME.json. A
checksum in the JSON covers both, so a file that is damaged, or belongs to another one, counts as none.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import warnings
import zlib
from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigrid.data.corpora.encoding import Corpus, Survey, id_type
from minigrid.data.corpora.folders import data_folder
from minigrid.data.corpora.sources import Digest
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import Notice
from minigrid.files import open_plain, read_plain, remove_unfinished, written_whole

CACHED_ABOVE = 8 << 20
"""Size in bytes above which a text is cached; encoding a smaller one again takes no noticeable time."""

_FORMAT = 2  # format 1 had no checksum
_FIELDS = {"format": int, "name": str, "length": int, "sha256": str, "vocabulary": dict, "crc32": int}
_MOST_JSON = 16 << 20  # bytes; all of Unicode takes 9 MB
_PIECE = 1 << 20  # bytes checked at a time, which stay in the processor's cache
_HEX = 16  # hexadecimal digits of a hash in a name
_NAMED = 40  # characters of the text's own name in the names of its files


class Entry(NamedTuple):
    """The encoded copy of a text file in one state.

    Attributes
    ----------
    folder : Path
        Folder of the cache.
    text : str
        Name of the text, different for each path and for each kind of tokens.
    state : str
        16 hexadecimal digits that differ between two states of the file.
    tokens : str
        "chars" or "bytes".
    """

    folder: Path
    text: str
    state: str
    tokens: str

    @property
    def name(self) -> str:
        """Name of both files, without ending."""
        return f"{self.text}-{self.state}"

    @property
    def ids(self) -> Path:
        """File of the ids."""
        return self.folder / f"{self.name}.npy"

    @property
    def about(self) -> Path:
        """File of everything else."""
        return self.folder / f"{self.name}.json"


def entry_of(path: Path, tokens: str, expected: Digest | None) -> Entry:
    """Name the cache files of a text file in its present state.

    A changed file gets another name. So does another expected checksum, which means that the checksum of a cached
    text need not be checked again.
    """
    status = path.stat()  # the time of the last change of any kind, ctime, also shows an mtime that was set back
    state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, expected]
    text = f"{path.stem[:_NAMED]}-{tokens}-{_short_hash(str(path.resolve()))}"
    return Entry(data_folder() / "encoded", text, _short_hash(json.dumps(state)), tokens)


def _short_hash(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:_HEX]


def read(entry: Entry, name: str, path: Path) -> Corpus | None:
    """Map an encoded text into memory; return None if there is none, or, with a notice, if it is damaged."""
    try:
        length, sha256, vocabulary, checksum = _read_about(entry)
        with open_plain(entry.ids) as stream:
            header = _header(vocabulary, length)
            size = len(header) + length * id_type(vocabulary).itemsize
            if os.fstat(stream.fileno()).st_size != size or stream.read(len(header)) != header:
                raise ValueError("the array has another type or length")
            _check_ids(stream, vocabulary, checksum, _about(entry, length, sha256, vocabulary))
            ids = np.memmap(stream, id_type(vocabulary), mode="r", offset=len(header), shape=(length,))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as problem:  # ValueError: JSON, UTF-8, a vocabulary
        reason = (problem.strerror if isinstance(problem, OSError) else None) or str(problem)
        warnings.warn(
            f"the encoded copy {entry.ids} cannot be used ({reason.rstrip('.')}): encoding {path} again",
            Notice,
            stacklevel=2,
        )
        return None
    return Corpus(name, ids, vocabulary, sha256, str(path.absolute()))


def write(entry: Entry, survey: Survey, pieces: Iterable[np.ndarray]) -> None:
    """Write an encoded text, given its ids in pieces, and remove the copies of earlier states of the text.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    about = _about(entry, survey.length, survey.sha256, survey.vocabulary)
    entry.folder.mkdir(parents=True, exist_ok=True)
    remove_unfinished(entry.folder)
    with written_whole(entry.ids) as temporary:
        checksum = _write_array(temporary, survey, pieces, zlib.crc32(_dumped(about)))
    with written_whole(entry.about) as temporary:
        temporary.write_bytes(_dumped(about | {"crc32": checksum}))
    _remove_older(entry)


def _about(entry: Entry, length: int, sha256: str, vocabulary: Vocabulary) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "name": entry.name,
        "length": length,
        "sha256": sha256,
        "vocabulary": vocabulary.to_json(),
    }


def _dumped(about: dict[str, Any]) -> bytes:
    return json.dumps(about, separators=(",", ":")).encode("ascii")


def _read_about(entry: Entry) -> tuple[int, str, Vocabulary, int]:
    """Read the JSON; return the length, the SHA-256, the vocabulary and the checksum."""
    about = json.loads(read_plain(entry.about, _MOST_JSON).decode("ascii"))
    if type(about) is not dict or list(about) != list(_FIELDS):
        raise ValueError("the description has other fields")
    if any(type(about[field]) is not kind for field, kind in _FIELDS.items()):
        raise ValueError("a field of the description has another type")
    vocabulary = Vocabulary.from_json(about["vocabulary"])
    if (about["format"], about["name"], vocabulary.tokens) != (_FORMAT, entry.name, entry.tokens):
        raise ValueError("it belongs to another text")
    if not len(vocabulary) or about["length"] < len(vocabulary) or not re.fullmatch("[0-9a-f]{64}", about["sha256"]):
        raise ValueError("a field of the description is out of range")
    return about["length"], about["sha256"], vocabulary, about["crc32"]


def _header(vocabulary: Vocabulary, length: int) -> bytes:
    header = io.BytesIO()
    values = {"descr": id_type(vocabulary).str, "fortran_order": False, "shape": (length,)}
    np.lib.format.write_array_header_1_0(header, values)
    return header.getvalue()


def _check_ids(stream: BufferedReader, vocabulary: Vocabulary, checksum: int, about: dict[str, Any]) -> None:
    """Read the ids up to the end, in pieces, because pages that are mapped count as memory of the process."""
    found, largest = zlib.crc32(_dumped(about)), 0
    while piece := stream.read(_PIECE):
        found = zlib.crc32(piece, found)
        largest = max(largest, int(np.frombuffer(piece, id_type(vocabulary)).max()))
    if found != checksum:
        raise ValueError("its checksum is wrong")
    if largest >= len(vocabulary):  # the checksum rules out damage, but not a forgery
        raise ValueError("it has ids beyond its vocabulary")


def _write_array(path: Path, survey: Survey, pieces: Iterable[np.ndarray], checksum: int) -> int:
    """Write the ids; return the checksum, continued over them."""
    with open(path, "wb") as file:
        file.write(_header(survey.vocabulary, survey.length))
        for piece in pieces:
            file.write(piece.data)
            checksum = zlib.crc32(piece.data, checksum)
    return checksum


def _remove_older(entry: Entry) -> None:
    """Remove the copies of other states of the text; a process that has mapped one keeps it until it ends.

    In format 1, which cannot be used any more, the name did not tell the path.
    """
    format_1 = entry.text[:-_HEX]
    copies = re.compile(rf"({re.escape(entry.text)}-|{re.escape(format_1)})[0-9a-f]{{{_HEX}}}\.(npy|json)")
    for file in entry.folder.iterdir():
        if copies.fullmatch(file.name) and file not in (entry.ids, entry.about):
            with contextlib.suppress(OSError):  # Windows keeps files that are mapped
                file.unlink()
