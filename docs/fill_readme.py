"""Fill the README's tables from the committed results.

``python -m docs.fill_readme`` rewrites the places of README.md that are marked by comments; ``--check`` changes nothing
and exits with code 1 if a place does not match the results. This is the only program that writes to the README.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.helpers import tables
from docs.markdown import filled
from experiments.depth_wiki import run as depth_wiki

README = Path(__file__).parent.parent / "README.md"


def speed() -> str:
    """Return the speed on a CPU, from benchmarks/cpu.json."""
    return tables.readme(tables.read_results())


def results() -> str:
    """Return the comparison of deep grids and stacks, from the metrics of experiments/depth_wiki."""
    folder = f"experiments/{depth_wiki.EXPERIMENT.folder.name}"
    return f"{depth_wiki.comparison(depth_wiki.EXPERIMENT.metrics())}\n\n{depth_wiki.picture(folder)}"


PLACES: Mapping[str, Callable[[], str]] = {"speed": speed, "results": results}
"""Name of a place in the README -> function that returns its text."""


def outdated(readme: str) -> list[str]:
    """Return the places whose text does not match the results."""
    return [place for place, text in PLACES.items() if filled(readme, place, text()) != readme]


def main() -> None:
    """Fill or check the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only check; exit with code 1 if a place is out of date")
    options = parser.parse_args()
    readme = README.read_text(encoding="utf-8")
    if options.check:
        if places := outdated(readme):
            sys.exit(f"out of date in README.md: {', '.join(places)}; run `python -m docs.fill_readme`")
        return
    for place, text in PLACES.items():
        readme = filled(readme, place, text())
    README.write_text(readme, encoding="utf-8")


if __name__ == "__main__":
    main()
