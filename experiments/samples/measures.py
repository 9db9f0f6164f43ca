"""Counts that show how similar a text is to the source of Wikipedia."""

import re
from collections.abc import Iterator
from itertools import islice

_WORD = re.compile(r"[^\W\d_]{2,}")
_MARK = re.compile(
    r"""
    (?P<opens>\[\[|\{\{)
    | (?P<closes>\]\]|\}\})
    | (?P<blank>\n\s*\n)
    | (?:<|&lt;) (?P<end>/?) (?P<tag>[a-z]\w*) [^<>&]*? (?P<alone>/?) (?:>|&gt;)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_OPENING = {"]]": "[[", "}}": "{{"}


def words(text: str) -> list[str]:
    """Return the words of at least two letters, in lower case."""
    return _WORD.findall(text.lower())


def known_share(text: str, known: set[str]) -> float:
    """Return the share of the words of a text that are known."""
    found = words(text)
    return sum(word in known for word in found) / max(1, len(found))


def closings(text: str) -> tuple[int, int]:
    """Count the links, templates and tags that are closed in the right order, and the errors.

    It is an error to close an outer element before an inner one, to leave a link open at a blank line, and to close a
    link or a template that is not open. Elements that are open at the end of the text do not count, nor do end tags
    without a start, which may be before the beginning of the text.
    """
    closed = wrong = 0
    open_elements: list[str] = []
    for kind, name in _marks(text):
        if kind == "opens":
            open_elements.append(name)
        elif kind == "blank":
            wrong += open_elements.count("[[")
            open_elements = [element for element in open_elements if element != "[["]
        elif name in open_elements:
            while open_elements.pop() != name:
                wrong += 1
            closed += 1
        else:
            wrong += name in _OPENING.values()
    return closed, wrong


def _marks(text: str) -> Iterator[tuple[str, str]]:
    """Yield the starts and ends of elements, and blank lines; tags may be plain or escaped."""
    for match in _MARK.finditer(text):
        if match["blank"]:
            yield "blank", ""
        elif match["tag"]:
            if not match["alone"]:
                yield "closes" if match["end"] else "opens", match["tag"].lower()
        elif match["opens"]:
            yield "opens", match["opens"]
        else:
            yield "closes", _OPENING[match["closes"]]


def repeated_share(text: str, length: int = 4) -> float:
    """Return the share of sequences of `length` words that occurred before in the same text."""
    found = words(text)
    runs = list(zip(*(islice(found, start, None) for start in range(length)), strict=False))
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def measures(text: str, known: set[str]) -> dict[str, float]:
    """Return the three shares, and the number of ``elements``; without any, the share of ``closed`` ones is 1."""
    closed, wrong = closings(text)
    return {
        "known": known_share(text, known),
        "closed": closed / (closed + wrong) if closed + wrong else 1.0,
        "elements": closed + wrong,
        "repeated": repeated_share(text),
    }
