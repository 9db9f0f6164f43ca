"""Tables, and marked places in Markdown pages that programs fill in."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def filled(page: str, place: str, text: str) -> str:
    """Return a Markdown page with the text between ``<!-- PLACE -->`` and ``<!-- /PLACE -->`` replaced.

    Raises
    ------
    ValueError
        The page does not have this place exactly once.
    """
    first, last = f"<!-- {place} -->", f"<!-- /{place} -->"
    result, count = re.subn(f"{first}.*?{last}", lambda _: f"{first}\n\n{text}\n\n{last}", page, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"the page must have {first} ... {last} once, not {count} times")
    return result


def fill(file: Path, place: str, text: str) -> None:
    """Replace the text of one place in the file of a Markdown page; see :func:`filled`."""
    before = file.read_text(encoding="utf-8")
    after = filled(before, place, text)
    if after != before:
        file.write_text(after, encoding="utf-8")
