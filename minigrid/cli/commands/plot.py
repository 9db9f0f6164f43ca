"""``minigrid plot``: draw the loss curves of several runs in one picture."""

import argparse
import collections
from pathlib import Path

from minigrid.cli.outputs import output
from minigrid.cli.parser import Parser
from minigrid.cli.terminal import one_line
from minigrid.errors import UserError

HELP = "draw the loss curves of several runs in one picture"


def add_options(parser: Parser) -> None:
    """Add the options of the command."""
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="folder of a run")
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        default=Path("curves.png"),
        help="picture to write, in the format of its ending: .png, .svg, .pdf (default: curves.png)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from minigrid.plots import loss_curves
    from minigrid.runs.folder import read_metrics

    if not options.out.suffix:
        raise UserError(f"--out {options.out} does not say which format to write: end it with .png, for example")
    times_named = collections.Counter(folder.name for folder in options.runs)
    curves = {}
    for folder in options.runs:
        label = folder.name if times_named[folder.name] == 1 else str(folder)
        curves[label] = read_metrics(folder)
        if not curves[label]:
            raise UserError(f"the run {folder} has recorded nothing yet: leave it out, or try again later")
    figure = loss_curves(curves)
    with output(options.out) as temporary:
        try:
            figure.savefig(temporary, format=options.out.suffix[1:], dpi=120)
        except ValueError as error:  # not the ending of a picture
            raise UserError(f"cannot write {options.out}: {error}") from error
    print(one_line(f"wrote {options.out}"))
    return 0
