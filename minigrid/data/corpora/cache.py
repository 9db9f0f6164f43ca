"""The cache of encoded texts: the ids as an array to map into memory, everything else as JSON.

The cache is the folder encoded/ in the data folder. Every text has a pair of files there, NAME.npy and NAME.json.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigrid.data.corpora.encoding import Corpus, Survey, id_type
from minigrid.data.corpora.folders import data_folder
from minigrid.data.corpora.sources import Digest
from minigrid.data.vocabulary import Vocabulary
from minigrid.files import written_whole

CACHED_ABOVE = 8 << 20
"""Size in bytes above which a text is cached; encoding a smaller one again takes no noticeable time."""


class Entry(NamedTuple):
    """The two files of one encoded text."""

    ids: Path
    about: Path


def entry_of(path: Path, tokens: str, expected: Digest | None) -> Entry:
    """Name the cache files of a text file in its present state.

    A changed file gets another name. So does another expected checksum, which means that the checksum of a cached
    text need not be checked again.
    """
    status = path.stat()
    key = json.dumps([str(path.resolve()), status.st_size, status.st_mtime_ns, expected])
    name = f"{path.stem}-{tokens}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    folder = data_folder() / "encoded"
    return Entry(ids=folder / f"{name}.npy", about=folder / f"{name}.json")


def read(entry: Entry, name: str, path: Path) -> Corpus | None:
    """Map an encoded text into memory; return None if there is none, or if it is damaged."""
    try:
        about = json.loads(entry.about.read_text(encoding="utf-8"))
        vocabulary = Vocabulary.from_json(about["vocabulary"])
        ids = np.load(entry.ids, mmap_mode="r", allow_pickle=False)
        if ids.shape != (about["length"],) or ids.dtype != id_type(vocabulary):
            return None
        return Corpus(name, ids, vocabulary, about["sha256"], str(path.absolute()))
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None


def write(entry: Entry, survey: Survey, pieces: Iterable[np.ndarray]) -> bool:
    """Write an encoded text, given its ids in pieces; return False if it cannot be written."""
    about = {"length": survey.length, "sha256": survey.sha256, "vocabulary": survey.vocabulary.to_json()}
    try:
        entry.ids.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(entry.ids) as temporary:
            _write_array(temporary, survey, pieces)
        with written_whole(entry.about) as temporary:  # comes last: if it exists, the array is complete
            temporary.write_text(json.dumps(about), encoding="utf-8")
    except OSError:
        return False
    return True


def _write_array(path: Path, survey: Survey, pieces: Iterable[np.ndarray]) -> None:
    header = {"descr": id_type(survey.vocabulary).str, "fortran_order": False, "shape": (survey.length,)}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for piece in pieces:
            file.write(piece.data)
