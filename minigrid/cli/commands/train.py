"""``minigrid train``: train a model, or continue a run."""

import argparse
import contextlib
import dataclasses
import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigrid.cli.flags import flag, with_flags
from minigrid.cli.options import add_setting, refuse_idle_device
from minigrid.cli.parser import Parser
from minigrid.cli.terminal import one_line
from minigrid.errors import UserError
from minigrid.runs.config import Config, read_config_file, refuse_idle

if TYPE_CHECKING:
    from minigrid.backend.ranks import Ranks
    from minigrid.runs.run import Run

HELP = "train a model, or continue a run"


def add_options(parser: Parser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--run", group="run", metavar="DIR", type=Path, help="folder of the run (default: a new one under runs/)"
    )
    parser.add_argument(
        "--resume", group="run", action="store_true", help="continue the run in --run DIR from where it stopped"
    )
    parser.add_argument(
        "--init-from",
        group="run",
        metavar="RUN",
        help="start from the parameters of another run or checkpoint, with its sizes; unless you name another text, "
        "with its text too",
    )
    parser.add_argument(
        "--config",
        group="run",
        metavar="FILE",
        help="read settings from a TOML file; options on the command line take precedence",
    )
    for field in dataclasses.fields(Config):
        add_setting(parser, field, field.default, group=field.metadata.get("group", "model"))


def _given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the config file, overridden by those of the command line."""
    names = {field.name for field in dataclasses.fields(Config)}
    in_file = read_config_file(options.config) if options.config is not None else {}
    in_line = {name: value for name, value in vars(options).items() if name in names}
    for one, other in (("corpus", "data"), ("data", "corpus")):
        if one in in_line:
            in_file.pop(other, None)  # a text on the command line replaces the file's text, under either name
    return in_file | in_line


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from minigrid.cli.launch import launched_ranks
    from minigrid.cli.training_report import TrainingReport
    from minigrid.runs.loop import train
    from minigrid.runs.run import DivergedError, InterruptedRunError

    try:
        with launched_ranks(options) as ranks:
            run = (_resumed if options.resume else _started)(options, ranks)
            if run.is_over and not run.validation_is_due:
                print(one_line(f"nothing left to do: the run in {run.folder} has done {_steps(run)} already"))
            with TrainingReport() as report:
                train(run, report)
    except InterruptedRunError:
        together = f"mpiexec -n {run.ranks.count} " if run.ranks.count > 1 else ""
        again = f"{together}{_command('train', options)} --run {shlex.quote(str(run.folder))} --resume"
        with contextlib.suppress(OSError):  # the terminal may be gone
            print(one_line(f"stopped at step {run.step.number:,} and saved; to continue: {again}"), file=sys.stderr)
        return 130
    except DivergedError as error:
        message = with_flags(str(error), options.parser.flags)
        print(one_line(f"training stopped: {message}."), file=sys.stderr)
        return 1
    best = f"best validation loss {run.state.best:.4f} nats; " if math.isfinite(run.state.best) else ""
    limit = " (limit set by --max-steps)" if run.step.number == run.config.max_steps else ""
    print(one_line(f"done: {_steps(run)}{limit}; {best}everything is in {run.folder}"))
    print(one_line(f"to write with it: {_command('sample', options)} {shlex.quote(str(run.folder))}"))
    return 0


def _steps(run: "Run") -> str:
    return "1 step" if run.step.number == 1 else f"{run.step.number:,} steps"


def _command(name: str, options: argparse.Namespace) -> str:
    """Return how to start a command, in the same way as this one was started."""
    program = options.parser.prog.split()[0]
    if program.endswith(".py"):
        return f"python {name}.py"
    return f"minigrid {name}" if Path(sys.argv[0]).stem == "minigrid" else f"python -m minigrid {name}"


def _resumed(options: argparse.Namespace, ranks: "Ranks") -> "Run":
    from minigrid.runs.start import resume_run

    return resume_run(options.run, ranks.each(_changed_settings, options), ranks)


def _changed_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that the user gave for a run to continue."""
    from minigrid.runs.folder import list_runs

    if options.run is None:
        raise UserError(f"--resume needs --run DIR, the folder of the run to continue ({list_runs()})")
    if options.init_from is not None:
        raise UserError("--resume continues a run, --init-from starts a new one: give only one of them")
    return _given_settings(options)


def _started(options: argparse.Namespace, ranks: "Ranks") -> "Run":
    from minigrid.runs.start import start_run

    config, given, taken = ranks.each(_settings, options)
    run = start_run(config, options.run, options.init_from, ranks)
    kept = [
        f"{flag(name)} {shlex.quote(str(value))}"
        for name, value in taken.items()
        if name not in given and value is not None
    ]
    if kept:
        print(one_line(f"settings from {options.init_from}: {' '.join(kept)}"))
    return run


def _settings(options: argparse.Namespace) -> tuple[Config, dict[str, Any], dict[str, Any]]:
    """Return the settings of a new run, those that the user gave, and those taken from another run."""
    from minigrid.runs.checkpoint import read_checkpoint
    from minigrid.runs.init_from import inherited

    given = _given_settings(options)
    taken = {} if options.init_from is None else inherited(read_checkpoint(options.init_from), given)
    config = Config(**taken | given)
    refuse_idle(config, given)
    refuse_idle_device(config.backend, given.get("device"))
    return config, given, taken
