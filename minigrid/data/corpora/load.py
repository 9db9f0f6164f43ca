"""Loading a text, by the name of a corpus or by its path."""

import os
import sys
import warnings
import zipfile
import zlib
from pathlib import Path

from minigrid.data.corpora import cache
from minigrid.data.corpora.download import UnreachableError, check_digest, fetch, find
from minigrid.data.corpora.encoding import Corpus, Survey, changed, encode_file, encode_text, read_ids, survey_file
from minigrid.data.corpora.formats import refuse_other_formats
from minigrid.data.corpora.given import text_file
from minigrid.data.corpora.sources import SOURCES, Digest
from minigrid.data.vocabulary import KINDS
from minigrid.errors import Notice, UserError, did_you_mean, shown

CORPORA = {
    "shakespeare": "38 plays by Shakespeare, 5 MB (the default)",
    "tinyshakespeare": "1.1 MB of Shakespeare, the text that comes with char-rnn",
    "enwik8": "the first 100 MB of an English Wikipedia dump from 2006, in bytes",
    "text8": "100 MB of Wikipedia reduced to a-z and spaces, in bytes",
    "wiki-excerpt": "6 MB of MediaWiki XML, 206 Wikipedia pages from 2016, in bytes (not enwik8)",
    "pydoc": "the language reference that comes with Python, 0.5 MB",
    "toywiki": "1 MB of wiki-like markup from minigrid's own generator",
}
"""The corpora by name, each with a short description."""

_IN_BYTES = ("enwik8", "text8", "wiki-excerpt")
_TOYWIKI_CHARACTERS = 1_000_000


def load_corpus(name: str, tokens: str | None = None, *, fallback: bool = False) -> Corpus:
    """Load a corpus by name; fetch it first if it is not on this machine.

    Parameters
    ----------
    name : str
        A key of `CORPORA`.
    tokens : {"chars", "bytes"}, optional
        Default: bytes for enwik8, text8 and wiki-excerpt, characters for the others.
    fallback : bool
        Whether to load "pydoc" instead, with a :class:`minigrid.errors.Notice`, if the corpus cannot be fetched.

    Raises
    ------
    UserError
        If there is no corpus of this name, it cannot be fetched, or its checksum is wrong.
    """
    if name not in CORPORA:
        raise UserError(
            f"unknown corpus {shown(name)}{did_you_mean(name, CORPORA)}: choose one of {', '.join(CORPORA)}, "
            "or name a text file of your own as `data`."
        )
    tokens = _checked_tokens(tokens, default="bytes" if name in _IN_BYTES else "chars")
    if name == "pydoc":
        return encode_text(name, _pydoc(), tokens, f"pydoc_data.topics of Python {sys.version.split()[0]}")
    if name == "toywiki":
        source = f"minigrid.data.toywiki, {_TOYWIKI_CHARACTERS:,} characters, seed 0"
        return encode_text(name, _toywiki(), tokens, source)
    try:
        path = find(SOURCES[name]) or fetch(name, SOURCES[name])
    except UnreachableError as problem:
        if not fallback:
            raise
        warnings.warn(f"using the corpus pydoc instead of {name}: {problem}", Notice, stacklevel=2)
        return load_corpus("pydoc", tokens)
    return _load_text(name, path, tokens, SOURCES[name].copies[path.name])


def load_file(path: str | os.PathLike[str], tokens: str | None = None) -> Corpus:
    """Load a text of your own.

    Parameters
    ----------
    path : path-like
        A UTF-8 text file (any file if `tokens` is "bytes"), or a folder that contains input.txt. Characters do not
        include a byte-order mark at its beginning.
    tokens : {"chars", "bytes"}, optional
        Default: characters.

    Raises
    ------
    UserError
        If the file does not exist, is a pipe or a device, is empty, is not UTF-8 (or is compressed, or a document), or
        changes while it is read.
    """
    tokens = _checked_tokens(tokens, default="chars")
    given = Path(path)
    return _load_text(given.absolute().name, text_file(given, CORPORA), tokens)


def _load_text(name: str, path: Path, tokens: str, expected: Digest | None = None) -> Corpus:
    """Load a file from the cache, or encode it; the file of a named corpus has an expected checksum."""
    try:
        entry = cache.entry_of(path, tokens, expected)
        return cache.read(entry, name, path) or _encode(name, path, tokens, expected, entry)
    except OSError as problem:
        reason = problem.strerror or problem
        raise UserError(f"{path} cannot be read ({reason}): check the file and its permissions.") from problem
    except (zipfile.BadZipFile, EOFError, zlib.error) as problem:  # its checksum was right a moment ago
        raise changed(path) from problem


def _encode(name: str, path: Path, tokens: str, expected: Digest | None, entry: cache.Entry) -> Corpus:
    packed = expected is not None  # a user's own .zip or .bz2 is not unpacked: it may hold anything
    if expected:
        advice = "replace it with the right file, or delete it and let minigrid fetch it again"
        check_digest(path, expected, called=str(path), advice=advice)
    elif tokens == "chars":
        refuse_other_formats(path)
    survey = survey_file(path, tokens, packed=packed)
    if not survey.length:
        raise UserError(f"{path} is empty: give a file that contains some text.")
    # what was read is what the entry describes only if the file has not changed since the entry was named
    if survey.size > cache.CACHED_ABOVE and cache.entry_of(path, tokens, expected) == entry:
        corpus = _keep(name, path, survey, entry, packed=packed)
        if corpus:
            return corpus
    return encode_file(name, path, survey, packed=packed)


def _keep(name: str, path: Path, survey: Survey, entry: cache.Entry, *, packed: bool) -> Corpus | None:
    """Encode a surveyed file into the cache, and say where that is; return None if it cannot be kept there."""
    try:
        cache.write(entry, survey, read_ids(path, survey, packed=packed))
    except OSError as problem:
        note = f"no encoded copy of {path} is kept in {entry.folder} ({problem.strerror or problem})"
        warnings.warn(f"{note}: it is encoded again each time", Notice, stacklevel=2)
        return None
    corpus = cache.read(entry, name, path)
    if corpus:
        note = f"an encoded copy of {path} is kept in {entry.folder} for the next time"
        warnings.warn(f"{note}; you can delete it whenever you like", Notice, stacklevel=2)
    return corpus


def _checked_tokens(tokens: str | None, *, default: str) -> str:
    if tokens is not None and tokens not in KINDS:
        raise UserError(f"`tokens` must be {' or '.join(KINDS)}, not {shown(tokens)}.")
    return tokens or default


def _pydoc() -> str:
    from pydoc_data.topics import topics

    return "\n".join(topics[topic] for topic in sorted(topics))


def _toywiki() -> str:
    from minigrid.data.toywiki import generate

    return generate(_TOYWIKI_CHARACTERS, 0)[0]
