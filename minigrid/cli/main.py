"""The command line."""

import contextlib
import importlib.metadata
import io
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, TextIO

from minigrid.cli.commands import COMMANDS, SHARED
from minigrid.cli.flags import with_flags
from minigrid.cli.launch import refuse_launch
from minigrid.cli.parser import Parser, parse
from minigrid.cli.terminal import one_line, shortened
from minigrid.cli.text_output import escapes_noted
from minigrid.errors import Notice, UserError
from minigrid.runs.config import ConfigFileError
from minigrid.version import __version__

SIZES = ("hidden", "layers", "batch", "steps")
"""Parameters that determine how much memory a command needs."""


def main(arguments: Sequence[str] | None = None, program: str = "minigrid", command: str | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default the arguments of this process.
    program : str
        Name of the program in messages.
    command : str, optional
        The only command of the program. By default the first argument names the command.

    Returns
    -------
    int
        Exit code: 0 for success, 1 for failure, 2 for invalid input, 130 after Ctrl-C, 141 if nobody reads the output.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a caller may have replaced it by a stream of another kind
        # Escape characters that the terminal cannot show; in a log file, write every line at once.
        sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    flags: dict[str, str] = {}
    try:
        options = parse(_parser(program, command), arguments)
        flags = options.parser.flags
        _refuse_namesake()
        if not options.is_shared:
            refuse_launch(options.parser.prog)
        with _notices_on_stderr(flags), escapes_noted():
            return options.command(options)
    except ConfigFileError as error:
        return _refused(program, str(error))
    except UserError as error:
        return _refused(program, with_flags(str(error), flags))
    except MemoryError:
        return _refused(program, _out_of_memory(flags))
    except BrokenPipeError:  # the reader of our output, such as `head`, has closed it
        _silence(sys.stdout, sys.stderr)
        return 141
    except OSError as error:  # a file without permission, a full disk
        reason = error.strerror or str(error)
        if error.filename:
            return _refused(program, f"cannot use {error.filename}: {reason}")
        _silence(sys.stdout)
        return _refused(program, f"cannot write the output: {reason}")
    except KeyboardInterrupt:
        return 130


def _parser(program: str, only: str | None) -> Parser:
    """Make the parser of one command, or of all of them."""
    parser = Parser(prog=program, description="Train Grid LSTM character models, and look inside them.")
    parser.add_argument(
        "--version", action="version", version=f"minigrid {__version__}", help="show the version and exit"
    )
    if only:
        _add_command(parser, COMMANDS[only])
        return parser
    commands = parser.add_subparsers(metavar="command")
    for name, command in COMMANDS.items():
        _add_command(commands.add_parser(name, help=command.HELP), command)
    return parser


def _add_command(parser: Parser, command: ModuleType) -> None:
    parser.description = command.HELP[0].upper() + command.HELP[1:] + "."
    command.add_options(parser)
    parser.set_defaults(command=command.run, parser=parser, is_shared=command in SHARED)


def _refuse_namesake() -> None:
    """Refuse to run next to another project's package of the same import name: one of the two shadows the other."""
    try:
        version = importlib.metadata.version("minigrid")
    except importlib.metadata.PackageNotFoundError:
        return
    raise UserError(
        f"this environment contains another project's package with the same import name, minigrid {version} (grid "
        "worlds for reinforcement learning): run `pip uninstall minigrid`, or use a separate environment"
    )


@contextlib.contextmanager
def _notices_on_stderr(flags: Mapping[str, str]) -> Iterator[None]:
    """Print each :class:`Notice` as one line on stderr; other warnings look as usual."""
    show_as_usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, Notice):
            print(f"note: {one_line(with_flags(str(message), flags))}", file=sys.stderr)
        else:
            show_as_usual(message, category, *place, **more)

    with warnings.catch_warnings():  # restores the filters and `showwarning`
        warnings.simplefilter("always", Notice)
        # where numbers are not finite, the command says so in a sentence
        warnings.filterwarnings("ignore", "(overflow|invalid value) encountered", RuntimeWarning)
        warnings.showwarning = show
        yield


def _refused(program: str, why: str) -> int:
    """Print why the command cannot be done, as one sentence; return the exit code."""
    with contextlib.suppress(OSError):  # the terminal may be gone
        message = shortened(one_line(why))
        print(f"{program}: {message}{'' if message.endswith('.') else '.'}", file=sys.stderr)
    return 2


def _out_of_memory(flags: Mapping[str, str]) -> str:
    sizes = [flags[name] for name in SIZES if name in flags]
    return "not enough memory" + (f": try a smaller {', '.join(sizes[:-1])} or {sizes[-1]}" if sizes else "")


def _silence(*streams: TextIO | None) -> None:
    """Discard what is still buffered in these streams: writing it would fail again when Python exits."""
    with contextlib.suppress(OSError), open(os.devnull, "w", encoding="utf-8") as nowhere:
        for stream in filter(None, streams):  # a stream that was closed when Python started is None
            os.dup2(nowhere.fileno(), stream.fileno())
