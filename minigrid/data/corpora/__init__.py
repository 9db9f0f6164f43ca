"""Texts by name or by path: fetched, checked, encoded and cached."""

import os
import sys
from pathlib import Path

from minigrid.data.corpora.encoding import Corpus, encode_text, load_text
from minigrid.data.corpora.sources import SOURCES, UnreachableError, data_folder, fetch, find, pin
from minigrid.data.vocabulary import KINDS
from minigrid.errors import UserError, did_you_mean

__all__ = ["CORPORA", "Corpus", "UnreachableError", "data_folder", "load_corpus", "load_file"]

CORPORA = {
    "shakespeare": "38 plays of Shakespeare, 5 MB (the default)",
    "tinyshakespeare": "the 1.1 MB of Shakespeare that char-rnn comes with",
    "enwik8": "the first 100 MB of an English Wikipedia dump of 2006, in bytes",
    "text8": "100 MB of Wikipedia reduced to a-z and spaces, in bytes",
    "wiki-excerpt": "6 MB of MediaWiki XML, 206 Wikipedia pages of 2016, in bytes (not enwik8)",
    "pydoc": "the language reference inside the running Python, 0.5 MB",
    "toywiki": "1 MB of wiki-like markup from minigrid's own generator",
}
_IN_BYTES = ("enwik8", "text8", "wiki-excerpt")
_TOYWIKI_CHARACTERS = 1_000_000


def load_corpus(name: str, tokens: str | None = None, *, fallback: bool = False) -> Corpus:
    """Load one of `CORPORA`, fetching it on first use.

    Parameters
    ----------
    name : str
        A key of `CORPORA`.
    tokens : {"chars", "bytes"}, optional
        Default: bytes for enwik8, text8 and wiki-excerpt, characters for the rest.
    fallback : bool
        Whether to take "pydoc" instead, saying so on stderr, where the corpus is not here and cannot be had.

    Raises
    ------
    UserError
        Where the name is unknown, the corpus cannot be fetched, or what was fetched is not what it should be.
    """
    if name not in CORPORA:
        raise UserError(
            f"unknown corpus {name!r}{did_you_mean(name, CORPORA)}: choose one of {', '.join(CORPORA)}, "
            "or give a file of your own with --data PATH."
        )
    tokens = _checked(tokens, "bytes" if name in _IN_BYTES else "chars")
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
        print(f"minigrid: using the corpus pydoc instead of {name}, because {problem}", file=sys.stderr)
        return load_corpus("pydoc", tokens)
    return load_text(name, path, tokens, pin(path, SOURCES[name]))


def load_file(path: str | os.PathLike[str], tokens: str | None = None) -> Corpus:
    """Load a text file of the user's, or a folder's input.txt.

    Parameters
    ----------
    path : path-like
        A UTF-8 text file (with `tokens="bytes"`: any file), or a folder that holds input.txt.
    tokens : {"chars", "bytes"}, optional
        Default: characters.

    Raises
    ------
    UserError
        Where there is no such file, it is none that can be read twice, it is empty, or it is not UTF-8.
    """
    tokens = _checked(tokens, "chars")
    given = Path(path)
    file = given
    if given.is_dir():
        file = given / "input.txt"
        if not file.is_file():
            raise UserError(f"the folder {given} holds no input.txt: name the text file itself.")
    if not file.exists():
        raise UserError(f"there is no file {given}: say with --data where the text is.")
    if not file.is_file():
        raise UserError(f"{given} is a pipe or a device, and a text is read twice: save it to a file first.")
    return load_text(given.absolute().name, file, tokens)


def _checked(tokens: str | None, default: str) -> str:
    if tokens is not None and tokens not in KINDS:
        raise UserError(f"--tokens is {' or '.join(KINDS)}, not {tokens!r}: choose one of the two.")
    return tokens or default


def _pydoc() -> str:
    from pydoc_data.topics import topics

    return "\n".join(topics[topic] for topic in sorted(topics))


def _toywiki() -> str:
    from minigrid.data.toywiki import generate

    return generate(_TOYWIKI_CHARACTERS, 0)[0]
