"""Results as lines of JSON."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def say(line: Line) -> None:
    """Print a line of JSON at once."""
    print(json.dumps(line), flush=True)


def lines_of(folder: Path) -> Iterator[Line]:
    """Yield the lines of a folder's cases.jsonl, except those that were cut off."""
    path = folder / "cases.jsonl"
    for text in path.read_text().splitlines() if path.exists() else ():
        try:
            yield json.loads(text)
        except ValueError:
            continue
