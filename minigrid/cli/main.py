"""The command line: ``train``, ``sample``, ``eval``, ``inspect``, ``plot`` and ``gradcheck``."""

import argparse
import contextlib
import importlib.metadata
import os
import sys
import warnings
from collections.abc import Collection, Iterator, Sequence
from types import ModuleType
from typing import Any, NoReturn, TextIO

from minigrid.cli.commands import COMMANDS
from minigrid.cli.flags import with_flags
from minigrid.errors import Notice, UserError, did_you_mean


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
    names: set[str] = set()
    try:
        options = _parsed(_parser(program, command), arguments)
        names = {action.dest for action in options.parser._actions}
        _refuse_namesake()
        with _notes_on_stderr(names):
            return options.command(options)
    except UserError as error:
        return _refused(program, with_flags(str(error), names))
    except MemoryError:
        return _refused(program, "not enough memory: try a smaller --hidden, --layers, --batch or --steps")
    except BrokenPipeError:  # the reader of our output, `head` for example, has seen enough
        _silence(sys.stdout, sys.stderr)
        return 141
    except OSError as error:  # a file that may not be read, a disk that is full
        reason = error.strerror or str(error)
        if error.filename:
            return _refused(program, f"cannot use {error.filename}: {reason}")
        _silence(sys.stdout)
        return _refused(program, f"cannot write the output: {reason}")
    except KeyboardInterrupt:
        return 130


@contextlib.contextmanager
def _notes_on_stderr(names: Collection[str]) -> Iterator[None]:
    """Print each :class:`Notice` as one plain line on stderr; other warnings look as usual."""
    show_as_usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, Notice):
            print(f"note: {with_flags(str(message), names)}", file=sys.stderr)
        else:
            show_as_usual(message, category, *place, **more)

    with warnings.catch_warnings():  # restores the filters and `showwarning`
        warnings.simplefilter("always", Notice)
        warnings.showwarning = show
        yield


def _silence(*streams: TextIO | None) -> None:
    """Let what still waits in these streams go nowhere: it would fail again at the exit."""
    with contextlib.suppress(OSError), open(os.devnull, "w") as nowhere:
        for stream in filter(None, streams):  # it is None where it was closed from the start
            os.dup2(nowhere.fileno(), stream.fileno())


def _refused(program: str, why: str) -> int:
    """Say in one sentence why a command cannot be done; return its exit code."""
    with contextlib.suppress(OSError):  # the terminal may be gone
        print(f"{program}: {why.rstrip('.')}.", file=sys.stderr)
    return 2


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


def _parsed(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments; leave with code 2 where there are unknown ones, guessing what the first was meant to be."""
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        wrong = next((name.partition("=")[0] for name in unknown if name.startswith("-")), "")
        # without their dashes, in which all are alike
        guess = did_you_mean(wrong.lstrip("-"), (name.lstrip("-") for name in options.parser._option_string_actions))
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}{guess}")
    return options


def _parser(program: str, only: str | None) -> argparse.ArgumentParser:
    if only:
        parser = _Parser(prog=program)
        _fill(parser, COMMANDS[only])
        return parser
    parser = _Parser(prog=program, description="Grid LSTM character models, written by hand.")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, command in COMMANDS.items():
        _fill(commands.add_parser(name, help=command.HELP), command)
    return parser


def _fill(parser: argparse.ArgumentParser, command: ModuleType) -> None:
    parser.description = command.HELP[0].upper() + command.HELP[1:] + "."
    command.add_options(parser)
    parser.set_defaults(command=command.run, parser=parser)
