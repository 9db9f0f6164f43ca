"""``minigrid plot``: draw the loss curves of several runs in one picture."""

import argparse
import collections
from pathlib import Path

from minigrid.errors import UserError
from minigrid.files import written

HELP = "draw the loss curves of several runs in one picture"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Say which options the command has."""
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="folders of runs")
    parser.add_argument(
        "--out", type=Path, default="curves.png", help="file to write; its ending says the format (default: curves.png)"
    )


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from minigrid.plots import loss_curves
    from minigrid.runs.folder import read_metrics

    if not options.out.suffix:
        raise UserError(f"--out {options.out} has no ending that says the format: end it with .png, for example")
    counts = collections.Counter(folder.name for folder in options.runs)
    figure = loss_curves({f.name if counts[f.name] == 1 else str(f): read_metrics(f) for f in options.runs})
    with written(options.out):
        try:
            figure.savefig(options.out, dpi=120)
        except ValueError as error:  # an ending that is no picture's
            raise UserError(f"cannot write {options.out}: {error}") from error
    print(f"wrote {options.out}")
    return 0
