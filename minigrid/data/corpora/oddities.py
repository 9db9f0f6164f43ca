"""What a text contains that you hardly want a model to learn, and how to remove it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from minigrid.data.corpora.encoding import Corpus
from minigrid.data.corpora.formats import HEAD, convert, other_format, quoted, unused, wide_encoding

_PIECE = 1 << 20  # ids searched at a time
_WITHOUT_MARKS = r"perl -CSD -pe 's/\x{FEFF}//g'"


def describe_oddities(corpus: Corpus) -> list[str]:
    """Describe what is odd about a text, one sentence for each thing, with the command that mends it.

    In a text in characters these are line ends other than ``\\n``, byte-order marks and zero bytes. Bytes are learnt
    as they are, but hardly those of a compressed file, or of UTF-16.
    """
    return list(_in_bytes(corpus) if corpus.vocabulary.tokens == "bytes" else _in_characters(corpus))


def _in_bytes(corpus: Corpus) -> Iterator[str]:
    head = np.array(corpus.vocabulary.symbols, dtype=np.uint8)[corpus.ids[:HEAD]].tobytes()
    path = Path(corpus.source)
    if found := other_format(path, head):
        yield f"{corpus.source} is {found[0]}, which the model will learn byte by byte: {found[1]}"
    elif encoding := wide_encoding(head):
        yield (
            f"{corpus.source} looks like {encoding[:6].upper()}, which the model will learn byte by byte: "
            f"{convert(path, encoding)}"
        )


def _in_characters(corpus: Corpus) -> Iterator[str]:
    if returns := _count(corpus, "\r"):
        yield _line_ends(corpus, returns)
    if marks := _count(corpus, "\ufeff"):
        yield _learnt(corpus, f"has {marks:,} x U+FEFF (a byte-order mark) inside it", _WITHOUT_MARKS)
    if zeros := _count(corpus, "\0"):
        yield _learnt(corpus, f"has {zeros:,} x U+0000 (a zero byte)", r"tr -d '\000'")


def _line_ends(corpus: Corpus, returns: int) -> str:
    windows, feeds = _count(corpus, "\r", "\n"), _count(corpus, "\n")
    if windows == returns == feeds:
        return _learnt(corpus, r"has the line ends of Windows (\r\n)", r"tr -d '\r'")
    if not feeds:
        return _learnt(corpus, r"has the line ends of old Macs (\r alone)", r"tr '\r' '\n'")
    kinds = ((windows, r"\r\n"), (returns - windows, r"\r alone"), (feeds - windows, r"\n alone"))
    listed = ", ".join(f"{count:,} {kind}" for count, kind in kinds if count)
    command = r"tr -d '\r'" if windows == returns else r"perl -pe 's/\r\n?/\n/g'"
    return _learnt(corpus, f"has mixed line ends ({listed})", command)


def _learnt(corpus: Corpus, what: str, command: str) -> str:
    note = f"{corpus.source} {what}, which the model will learn like any other character"
    path = Path(corpus.source)
    if not path.is_file():
        return note
    mended = unused(path.with_name(f"{path.stem}.mended{path.suffix}"))
    return f"{note}: mend the text with `{command} < {quoted(path)} > {quoted(mended)}`"


def _count(corpus: Corpus, char: str, following: str = "") -> int:
    """Count a character, or only where another one follows it; a text without it is not searched."""
    ids = corpus.ids
    if corpus.vocabulary.unknown(char + following):
        return 0
    first, *second = corpus.vocabulary.encode(char + following).tolist()
    total = 0
    for start in range(0, len(ids), _PIECE):
        found = ids[start : start + _PIECE] == first
        if second:
            after = ids[start + 1 : start + _PIECE + 1] == second[0]
            found = found[: len(after)] & after
        total += int(np.count_nonzero(found))
    return total
