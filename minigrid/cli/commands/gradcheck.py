"""``minigrid gradcheck``: compare the hand-written gradients with finite differences."""

import argparse
import dataclasses
from functools import partial
from typing import TYPE_CHECKING

from minigrid.cli.options import add_backend, add_setting, choose
from minigrid.cli.parser import Parser
from minigrid.errors import UserError
from minigrid.nn.options import ModelSettings, check_sizes
from minigrid.progress import progress_bar

if TYPE_CHECKING:
    from minigrid.backend.ranks import Ranks
    from minigrid.nn.model import CharModel

HELP = "compare the hand-written gradients with finite differences"

HIDDEN = 4  # with the default of a training run, a check would take minutes


def add_options(parser: Parser) -> None:
    """Add the options of the command."""
    for field in dataclasses.fields(ModelSettings):
        add_setting(parser, field, HIDDEN if field.name == "hidden" else field.default)
    parser.add_argument("--vocabulary", type=int, default=5, metavar="N", help="size of the vocabulary (default: 5)")
    parser.flags["vocab_size"] = "--vocabulary"
    parser.add_argument("--steps", type=int, default=3, metavar="N", help="time steps of the minibatch (default: 3)")
    parser.add_argument("--batch", type=int, default=2, metavar="N", help="sequences in the minibatch (default: 2)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the parameters and the minibatch (default: 0)"
    )
    parser.add_argument(
        "--directions",
        type=int,
        metavar="N",
        help="check each array along N random directions only (default: check every entry)",
    )
    parser.add_argument(
        "--train-step", action="store_true", help="check the gradients of TrainStep, as used in training"
    )
    parser.add_argument(
        "--tolerance", type=float, default=1e-8, metavar="X", help="largest relative error allowed (default: 1e-8)"
    )
    add_backend(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from minigrid.cli.launch import launched_ranks, refuse_launch

    if not options.train_step:
        refuse_launch("a check without `train_step`")
    with launched_ranks(options) as ranks:
        choose(options, ranks)
        return _check(options, ranks)


def _check(options: argparse.Namespace, ranks: "Ranks") -> int:
    """Compare the gradients; print a report, and return the exit code."""
    from minigrid.analysis import gradcheck
    from minigrid.training.distributed import make_step

    model = ranks.each(_model, options, ranks)
    minibatch = {"steps": options.steps, "batch": options.batch, "seed": options.seed}
    if options.train_step:
        problem = gradcheck.train_step_problem(make_step(model, ranks), **minibatch)
    else:
        problem = gradcheck.model_problem(model, **minibatch)
    if options.directions:
        report = gradcheck.check_directions(*problem, directions=options.directions, seed=options.seed)
    else:
        report = gradcheck.check_entries(*problem, progress=partial(progress_bar, leave=False))
    for name, error in report.errors.items():
        print(f"{error:10.1e}  {name}")
    print("worst:", *report.worst, sep="\n  ")
    passed = report.passed(options.tolerance)
    verdict = "passed" if passed else "FAILED"
    print(
        f"{verdict}: {report.checked} derivatives compared, largest relative error {report.error:.1e}, "
        f"tolerance {options.tolerance:.0e}"
    )
    return 0 if passed else 1


def _model(options: argparse.Namespace, ranks: "Ranks") -> "CharModel":
    """Check the options, and build the model."""
    from minigrid.analysis import gradcheck
    from minigrid.nn.model import CharModel

    check_sizes(steps=options.steps, batch=options.batch)
    ranks.require_columns(options.batch)
    if options.directions is not None:
        check_sizes(directions=options.directions)
    if not options.tolerance > 0:
        raise UserError(f"--tolerance must be greater than 0, not {options.tolerance}")
    names = {field.name for field in dataclasses.fields(ModelSettings)}
    given = {name: value for name, value in vars(options).items() if name in names}
    model = CharModel(
        **{"hidden": HIDDEN} | given,
        vocab_size=options.vocabulary,
        dtype="float64",
        backend=options.backend,
        seed=options.seed,
    )
    if options.train_step:
        gradcheck.require_varying_loss(model)
    gradcheck.enlarge(model, options.seed)
    return model
