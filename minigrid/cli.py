"""The command line: ``train``, ``sample``, ``eval``, ``inspect``, ``plot`` and ``gradcheck``."""

import argparse
import collections
import contextlib
import dataclasses
import importlib.metadata
import math
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

from minigrid.backend import BACKENDS, choose_device
from minigrid.config import Config, flag, read_config_file, value_type
from minigrid.errors import UserError

TRAINED = "folder of a run (its best checkpoint), a checkpoint file, or pretrained:NAME for one that minigrid brings"


def main(arguments: Sequence[str] | None = None, program: str = "minigrid", command: str | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 failed, 2 bad input, 130 stopped by Ctrl-C, 141 unheard.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those that the program was called with.
    program : str
        What the program is called in messages.
    command : str, optional
        The only command of the program; by default the first argument names it.
    """
    with contextlib.suppress(AttributeError):  # a stream that somebody put in its place may lack it
        # a terminal that is not UTF-8 shows ? for what it cannot show; a log file is written line by line
        sys.stdout.reconfigure(errors="replace", line_buffering=True)
    parser = _parser(program, command)
    options = parser.parse_args(arguments)
    try:
        _refuse_namesake()
        return options.command(options)
    except UserError as error:
        print(f"{program}: {str(error).rstrip('.')}.", file=sys.stderr)
        return 2
    except MemoryError:
        print(f"{program}: not enough memory: try a smaller --hidden, --layers, --batch or --steps.", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output, `head` for example, has seen enough
        sys.stderr.close()
        return 141
    except KeyboardInterrupt:
        return 130


def _refuse_namesake() -> None:
    """Another project's package of the same import name may shadow this one, or be shadowed by it."""
    try:
        version = importlib.metadata.version("minigrid")
    except importlib.metadata.PackageNotFoundError:
        return
    raise UserError(
        f"another project's package minigrid {version} (grid worlds for reinforcement learning) is installed in this "
        "environment and has the same import name: run `pip uninstall minigrid`, or use an environment of its own"
    )


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one sentence, without the page of usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser(program: str, only: str | None) -> argparse.ArgumentParser:
    if only:
        parser = _Parser(prog=program)
        _fill(parser, only)
        return parser
    parser = _Parser(prog=program, description="Grid LSTM character models, written by hand.")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, (_, _, text) in COMMANDS.items():
        _fill(commands.add_parser(name, help=text), name)
    return parser


def _fill(parser: argparse.ArgumentParser, name: str) -> None:
    add_options, command, text = COMMANDS[name]
    parser.description = text[0].upper() + text[1:] + "."
    add_options(parser)
    parser.set_defaults(command=command)


# -- train


def _train_options(parser: argparse.ArgumentParser) -> None:
    run = parser.add_argument_group("run")
    run.add_argument("--run", metavar="DIR", type=Path, help="folder of the run (default: a new one under runs/)")
    run.add_argument("--resume", action="store_true", help="go on with the run in --run where it stopped")
    run.add_argument("--init-from", metavar="RUN", help="begin with the parameters of a run or checkpoint")
    run.add_argument("--config", metavar="FILE", help="settings from a TOML file; options given here win over it")
    groups = {"run": run}
    for field in dataclasses.fields(Config):
        group = field.metadata["group"]
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        _add_setting(groups[group], field, field.default)


def _add_setting(group: argparse._ActionsContainer, field: dataclasses.Field, default: Any) -> None:
    choices, kind = field.metadata["choices"], value_type(field)
    # which values are allowed is checked by Config, for config files too
    metavar = "|".join(choices) if choices else {int: "N", float: "X", str: "PATH"}.get(kind)
    group.add_argument(
        flag(field.name),
        **({"action": argparse.BooleanOptionalAction} if kind is bool else {"type": kind, "metavar": metavar}),
        default=argparse.SUPPRESS,
        help=field.metadata["help"] + ("" if default is None else f" (default: {default})"),
    )


def _given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Settings of the config file, overridden by those of the command line."""
    names = {field.name for field in dataclasses.fields(Config)}
    in_file = read_config_file(options.config) if options.config else {}
    in_line = {name: value for name, value in vars(options).items() if name in names}
    for one, other in (("corpus", "data"), ("data", "corpus")):
        if one in in_line:
            in_file.pop(other, None)  # a text in the command line wins over the file's text, by whichever name
    return in_file | in_line


def _train(options: argparse.Namespace) -> int:
    from minigrid.checkpoint import read_checkpoint
    from minigrid.runs import list_runs
    from minigrid.training import DivergedError, InterruptedRunError, Run, inherited

    given = _given_settings(options)
    if options.resume:
        if options.run is None:
            raise UserError(f"--resume needs --run DIR, the folder of the run to go on with ({list_runs()})")
        if options.init_from:
            raise UserError("--resume goes on with a run and --init-from begins a new one: give one of them")
        run = Run.resume(options.run, given)
    else:
        if options.init_from:
            given = inherited(read_checkpoint(options.init_from), given) | given
        run = Run.start(Config(**given), options.run, options.init_from)
    try:
        run.train()
    except InterruptedRunError:
        again = f"python train.py --run {shlex.quote(str(run.folder))} --resume"
        print(f"stopped at step {run.step.number} and saved; go on with: {again}", file=sys.stderr)
        return 130
    except DivergedError as error:
        print(f"training stopped: {error}.", file=sys.stderr)
        return 1
    best = f"best validation loss {run.best:.4f} nats; " if math.isfinite(run.best) else ""
    print(f"done: {run.step.number} steps; {best}everything is in {run.folder}")
    print(f"write with it: python sample.py {shlex.quote(str(run.folder))}")
    return 0


# -- sample


def _sample_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=TRAINED)
    parser.add_argument("--length", type=int, default=1000, help="characters (or bytes) to write (default: 1000)")
    parser.add_argument("--temperature", type=float, default=1.0, help="below 1: safer, above 1: wilder (default: 1)")
    parser.add_argument("--top-k", type=int, help="choose among the K likeliest only (default: among all)")
    parser.add_argument("--argmax", action="store_true", help="always take the likeliest")
    parser.add_argument("--prime", default="", help="text to go on from (default: none, as after a line break)")
    parser.add_argument(
        "--oov",
        choices=("error", "skip"),
        default="error",
        help="prime characters that the model does not know (default: error)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choices, 0 or above (default: 0)")
    _add_backend(parser)


def _sample(options: argparse.Namespace) -> int:
    from minigrid.checkpoint import load
    from minigrid.sampling import Sampler, generate
    from minigrid.vocabulary import show

    choose_device(options.backend, options.device)
    model, vocabulary = load(options.run, options.backend)
    unknown = vocabulary.unknown(options.prime)
    if unknown and options.oov == "error":
        raise UserError(
            f"the model does not know these characters of --prime: {', '.join(map(show, unknown))}; leave them out, or "
            "let --oov skip do it"
        )
    prime = "".join(c for c in options.prime if c not in unknown)
    sampler = Sampler(options.temperature, options.top_k, options.argmax)
    text = generate(model, vocabulary, options.length, prime=prime, sampler=sampler, seed=options.seed)
    print(prime, end="")
    for piece in text:
        print(piece, end="", flush=True)
    print()
    return 0


# -- eval


def _eval_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=TRAINED)
    parser.add_argument(
        "--part", choices=("train", "val", "test"), default="val", help="of the run's text (default: val)"
    )
    parser.add_argument("--data", metavar="PATH", help="another text, all of which is read, instead of the run's")
    _add_backend(parser)


def _eval(options: argparse.Namespace) -> int:
    from minigrid.checkpoint import read_checkpoint
    from minigrid.evaluation import bits, evaluate
    from minigrid.tasks import task_of

    choose_device(options.backend, options.device)
    checkpoint = read_checkpoint(options.run)
    task = task_of(checkpoint, options.data)
    batches = task.val if options.data else getattr(task, options.part)
    if batches is None:
        raise UserError(f"the run {options.run} has held nothing out as {options.part}: choose another --part")
    result = evaluate(checkpoint.model(options.backend), batches)
    what = options.data or options.part
    line = f"{what}: loss {result.loss:.4f} nats, {bits(result.loss):.4f} bits per {task.unit}"
    line += f", over {result.targets:,} {task.unit}s"
    if result.score is not None:
        line += f"; digits right {result.score.digit_share:.2%}, answers right {result.score.answer_share:.2%}"
    print(line)
    return 0


# -- inspect

OWN_TEXT = 300  # characters that the model writes where no text is given
PICTURED = 90  # characters that can be read in a picture


def _inspect_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="CHECKPOINT", help="folder of a run (its best checkpoint), or a checkpoint file")
    parser.add_argument("--text", help=f"text to read (default: {OWN_TEXT} characters that the model writes itself)")
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        default=Path("gates.html"),
        help="page to write; the picture goes beside it, as .png (default: gates.html)",
    )
    _add_backend(parser)


def _inspect(options: argparse.Namespace) -> int:
    from minigrid.checkpoint import read_checkpoint
    from minigrid.html import page, picture
    from minigrid.runs import written
    from minigrid.sampling import Sampler, generate
    from minigrid.trace import trace_text

    choose_device(options.backend, options.device)
    if options.out.suffix == ".png":
        raise UserError(f"--out {options.out} is the page's name: end it with .html, the picture goes beside it")
    checkpoint = read_checkpoint(options.run)
    model, vocabulary = checkpoint.model(options.backend), checkpoint.vocabulary()
    text = options.text
    if text is None:
        text = "".join(generate(model, vocabulary, OWN_TEXT, sampler=Sampler(temperature=0.7))).replace("\ufffd", "")
    trace = trace_text(model, vocabulary, text)
    ids = vocabulary.encode(text)
    name = checkpoint.path.parent.name if Path(options.run).is_dir() else checkpoint.path.name
    html = page(model, vocabulary, ids, trace, name)
    image = options.out.with_suffix(".png")
    with written(options.out):
        options.out.write_text(html, encoding="utf-8")
    with written(image):
        picture(vocabulary, ids[:PICTURED], trace).savefig(image, dpi=120)
    print(f"wrote {options.out} and {image}")
    return 0


# -- plot


def _plot_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="folders of runs")
    parser.add_argument(
        "--out", default="curves.png", help="file to write; its ending says the format (default: curves.png)"
    )


def _plot(options: argparse.Namespace) -> int:
    from minigrid.plots import loss_curves
    from minigrid.runs import read_metrics, written

    counts = collections.Counter(folder.name for folder in options.runs)
    figure = loss_curves({f.name if counts[f.name] == 1 else str(f): read_metrics(f) for f in options.runs})
    with written(options.out):
        try:
            figure.savefig(options.out, dpi=120)
        except ValueError as error:  # an ending that is no picture's
            raise UserError(f"cannot write {options.out}: {error}") from error
    print(f"wrote {options.out}")
    return 0


# -- gradcheck

CHECKED = ("model", "hidden", "layers", "tie", "priority", "lstm_output", "dropout", "embedding", "seed")
CHECKED_BY_DEFAULT = {"hidden": 4, "seed": 0}  # a training run's default would take minutes


def _gradcheck_options(parser: argparse.ArgumentParser) -> None:
    for field in dataclasses.fields(Config):
        if field.name in CHECKED:
            _add_setting(parser, field, CHECKED_BY_DEFAULT.get(field.name, field.default))
    parser.add_argument("--vocabulary", type=int, default=5, help="V (default: 5)")
    parser.add_argument("--steps", type=int, default=3, help="T (default: 3)")
    parser.add_argument("--batch", type=int, default=2, help="B (default: 2)")
    parser.add_argument(
        "--directions", type=int, metavar="N", help="check N random directions per array instead of every entry"
    )
    parser.add_argument("--train-step", action="store_true", help="check the gradients that a training step uses")
    parser.add_argument("--tolerance", type=float, default=1e-8, help="largest error allowed (default: 1e-8)")
    _add_backend(parser)


def _gradcheck(options: argparse.Namespace) -> int:
    from minigrid import gradcheck
    from minigrid.model import CharModel
    from minigrid.train_step import TrainStep

    choose_device(options.backend, options.device)
    for name in ("steps", "batch", "directions"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise UserError(f"--{name} must be at least 1, not {getattr(options, name)}")
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
        report = gradcheck.check_entries(*problem, progress=lambda places: tqdm(places, leave=False, disable=None))
    for name, error in report.errors.items():
        print(f"{error:10.1e}  {name}")
    print("worst:", *report.worst, sep="\n  ")
    passed = report.passed(options.tolerance)
    verdict = "right" if passed else "WRONG"
    print(f"{verdict}: {report.checked} compared, largest error {report.error:.1e}, allowed {options.tolerance:.0e}")
    return 0 if passed else 1


def _add_backend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend", default="numpy", metavar="|".join(BACKENDS), help="where to compute (default: numpy)"
    )
    parser.add_argument("--device", type=int, default=0, metavar="N", help="which GPU (default: 0)")


COMMANDS: dict[str, tuple[Callable, Callable, str]] = {
    "train": (_train_options, _train, "train a model, or go on with a run"),
    "sample": (_sample_options, _sample, "write text with a trained model"),
    "eval": (_eval_options, _eval, "measure a trained model's loss on a part of its text, or on another text"),
    "inspect": (_inspect_options, _inspect, "show what every gate did over a text, as a page and a picture"),
    "plot": (_plot_options, _plot, "draw the loss curves of several runs in one picture"),
    "gradcheck": (_gradcheck_options, _gradcheck, "compare the gradients by hand with finite differences"),
}
