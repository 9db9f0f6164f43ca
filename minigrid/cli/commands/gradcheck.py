"""``minigrid gradcheck``: compare the gradients by hand with finite differences."""

import argparse
import dataclasses
from functools import partial

from minigrid.backend import choose_device
from minigrid.cli.commands.options import add_backend, add_setting
from minigrid.errors import UserError
from minigrid.nn.options import check_sizes
from minigrid.progress import progress_bar
from minigrid.runs.config import Config

HELP = "compare the gradients by hand with finite differences"

CHECKED = ("model", "hidden", "layers", "tie", "priority", "lstm_output", "dropout", "embedding", "seed")
CHECKED_BY_DEFAULT = {"hidden": 4, "seed": 0}  # a training run's default would take minutes


def add_options(parser: argparse.ArgumentParser) -> None:
    """Say which options the command has."""
    for field in dataclasses.fields(Config):
        if field.name in CHECKED:
            add_setting(parser, field, CHECKED_BY_DEFAULT.get(field.name, field.default))
    parser.add_argument("--vocabulary", type=int, default=5, help="V (default: 5)")
    parser.add_argument("--steps", type=int, default=3, help="T (default: 3)")
    parser.add_argument("--batch", type=int, default=2, help="B (default: 2)")
    parser.add_argument(
        "--directions", type=int, metavar="N", help="check N random directions per array instead of every entry"
    )
    parser.add_argument("--train-step", action="store_true", help="check the gradients that a training step uses")
    parser.add_argument("--tolerance", type=float, default=1e-8, help="largest error allowed (default: 1e-8)")
    add_backend(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from minigrid.analysis import gradcheck
    from minigrid.nn.model import CharModel
    from minigrid.training.step import TrainStep

    choose_device(options.backend, options.device)
    for name in ("steps", "batch", "directions"):
        if getattr(options, name) is not None:
            check_sizes(**{f"--{name}": getattr(options, name)})
    if not options.tolerance > 0:
        raise UserError(f"--tolerance must be a positive number, not {options.tolerance}")
    given = CHECKED_BY_DEFAULT | {name: value for name, value in vars(options).items() if name in CHECKED}
    model = CharModel(**given, vocab_size=options.vocabulary, dtype="float64", backend=options.backend)
    gradcheck.enlarge(model, given["seed"])
    if options.train_step:
        problem = gradcheck.train_step_problem(TrainStep(model), options.steps, options.batch, given["seed"])
    else:
        problem = gradcheck.model_problem(model, options.steps, options.batch, given["seed"])
    if options.directions:
        report = gradcheck.check_directions(*problem, directions=options.directions, seed=given["seed"])
    else:
        report = gradcheck.check_entries(*problem, progress=partial(progress_bar, leave=False))
    for name, error in report.errors.items():
        print(f"{error:10.1e}  {name}")
    print("worst:", *report.worst, sep="\n  ")
    passed = report.passed(options.tolerance)
    verdict = "right" if passed else "WRONG"
    print(f"{verdict}: {report.checked} compared, largest error {report.error:.1e}, allowed {options.tolerance:.0e}")
    return 0 if passed else 1
