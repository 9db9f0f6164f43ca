"""``minigrid list``: show the pretrained models, the corpora, and the runs in a folder."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from minigrid.cli.parser import Parser
from minigrid.cli.terminal import one_line
from minigrid.errors import UserError

if TYPE_CHECKING:
    from minigrid.runs.overview import Model, Unreadable

HELP = "show the pretrained models, the corpora, and the runs in a folder"

RUNS = Path("runs")


def add_options(parser: Parser) -> None:
    """Add the options of the command."""
    parser.add_argument("--runs", metavar="DIR", type=Path, help=f"folder of the runs, or one run (default: {RUNS})")


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from minigrid.runs.overview import corpora, pretrained_models, runs_in

    folder = options.runs or RUNS
    if options.runs is not None and not folder.is_dir():
        raise UserError(f"`runs` {folder} is not a folder: give one that holds runs")
    found = runs_in(folder) if folder.is_dir() else []
    print("Pretrained models, which you can give instead of a run (losses in nats):")
    _print_table(
        ("name", "model", "vocabulary", "trained on", "validation loss"), map(_pretrained, pretrained_models())
    )
    print("\nCorpora, for train --corpus NAME:")
    _print_table(("name", "text", "where"), corpora())
    print(f"\nRuns in {one_line(str(folder))} (losses in nats):")
    if found:
        _print_table(("folder", "model", "trained on", "step", "best validation loss", "saved"), map(_run, found))
    else:
        print("  none; `minigrid train` makes one")
    return 0


def _pretrained(found: "Model | Unreadable") -> Sequence[str]:
    from minigrid.runs.overview import Unreadable

    if isinstance(found, Unreadable):
        return found
    return found.name, found.model, found.vocabulary, found.text, _shown(found.loss)


def _run(found: "Model | Unreadable") -> Sequence[str]:
    from minigrid.runs.overview import Unreadable

    if isinstance(found, Unreadable):
        return found
    step = "-" if found.step is None else f"{found.step:,}"
    return found.name, found.model, found.text, step, _shown(found.loss), f"{found.saved:%Y-%m-%d %H:%M}"


def _shown(loss: float | None) -> str:
    return "-" if loss is None else f"{loss:.4g}"


def _print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns; a row with fewer fields than the header ends with a remark of any length."""
    table = [[one_line(field) for field in row] for row in (header, *rows)]
    widths = [
        max(len(row[column]) for row in table if column == 0 or len(row) == len(header))
        for column in range(len(header))
    ]
    for row in table:
        cells = [field.ljust(width) for field, width in zip(row, widths, strict=False)]
        print("  " + "  ".join(cells).rstrip())
