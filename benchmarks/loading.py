"""Measure loading a text of 100 MB, in a process of its own, and print the figures as JSON.

``python -m benchmarks.loading FILE`` reads FILE, encoding it the first time and finding it encoded the second. With
``--make`` it writes the file instead.
"""

import argparse
import json
import time
from pathlib import Path

from benchmarks.measure import peak_bytes

SIZE = 100_000_000  # characters


def make(path: Path) -> None:
    """Write a text of `SIZE` characters, a few of them beyond ASCII, as in Wikipedia's text."""
    from minigrid.data.toywiki import generate

    page = generate(1_000_000, seed=0)[0]
    page = page.replace("or", "ör").replace("en", "én")
    path.write_text(page * (SIZE // len(page) + 1), encoding="utf-8")


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--make", action="store_true")
    args = parser.parse_args()
    if args.make:
        make(args.file)
        return
    from minigrid.data.corpora import load_file

    started = time.perf_counter()
    corpus = load_file(args.file)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "characters": len(corpus.ids), "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
