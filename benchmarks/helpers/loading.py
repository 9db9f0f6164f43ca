"""Measure loading a text of 100 MB and print the figures as JSON; :mod:`benchmarks.cpu` calls it.

``python -m benchmarks.helpers.loading FILE`` encodes FILE the first time and reads it from the cache the second time.
With ``--make`` it writes the file instead.
"""

import argparse
import json
import time
from pathlib import Path

from benchmarks.helpers.measure import peak_bytes

SIZE = 100_000_000  # characters


def make(path: Path) -> None:
    """Write a text of at least `SIZE` characters, a few of them not ASCII, as on Wikipedia."""
    from minigrid.data.toywiki import generate

    page = generate(1_000_000, seed=0)[0]
    page = page.replace("or", "ör").replace("en", "én")
    path.write_text(page * (SIZE // len(page) + 1), encoding="utf-8")


def main() -> None:
    """Write the file, or measure how long it takes to load it."""
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
