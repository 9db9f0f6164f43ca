"""The parser of a command's arguments."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from minigrid.cli.flags import with_flags
from minigrid.cli.terminal import one_line, shortened
from minigrid.cli.values import GIVEN, TYPES, StoreOnce, SwitchOnce, not_empty
from minigrid.errors import closest, did_you_mean, shown

WORDS = (
    (r"^argument -h/--help: ignored explicit argument .*", "options begin with two hyphens, except for -h"),
    (r"^argument ([^\s/]+)\S*: ignored explicit argument (.*)", r"\1 takes no value: leave out \2"),
    (r"^argument (\S+): expected one argument", r"\1 needs a value"),
    (r"^argument (\S+): (must be|is empty)", r"\1 \2"),
)
"""What to say instead of what argparse says, as patterns and replacements."""

NAMES = ("PATH", "FILE", "DIR", "RUN")
"""Placeholders of the options that name something, and may not be empty."""


class Parser(argparse.ArgumentParser):
    """An argument parser that knows which option belongs to which parameter of the library.

    Its help may name parameters in backticks, as the library's messages do; they are shown as options. A mistake in the
    arguments is reported in one sentence, without the usage.

    Attributes
    ----------
    flags : dict
        Parameter -> option: ``{"top_k": "--top-k"}``. Commands add parameters that they spell differently.
    """

    def __init__(self, **settings: Any):
        self.flags: dict[str, str] = {}
        self._headings: dict[str, Any] = {}
        super().__init__(allow_abbrev=False, **settings)  # adds --help, which needs the attributes
        for name in (None, "store"):
            self.register("action", name, StoreOnce)
        self.register("action", "switch", SwitchOnce)

    def add_argument(self, *names: str, group: str | None = None, **settings: Any) -> argparse.Action:
        """Add an argument, as argparse does; the help lists it under the heading `group`, if given."""
        if settings.get("metavar") in NAMES:
            settings.setdefault("type", not_empty)
        if settings.get("type") in TYPES:
            settings["type"] = TYPES[settings["type"]]
        if group is None:
            action = super().add_argument(*names, **settings)
        else:
            if group not in self._headings:
                self._headings[group] = self.add_argument_group(group)
            action = self._headings[group].add_argument(*names, **settings)
        long = [name for name in action.option_strings if name.startswith("--")]
        if long:  # otherwise it is a positional argument
            self.flags[action.dest] = long[0]
        return action

    def format_help(self) -> str:
        """Return the help, with the parameters in it shown as options."""
        return with_flags(super().format_help(), self.flags)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is not among the choices; argparse calls this."""
        if action.choices is None or value in action.choices:
            return
        *some, last = known = [str(choice) for choice in action.choices]
        listed, guess = ", ".join(some), did_you_mean(str(value), known)
        if action.option_strings:
            raise argparse.ArgumentError(action, f"must be {listed} or {last}, not {shown(value)}{guess}")
        message = f"there is no command {shown(value)}{guess}; the commands are {listed} and {last}"
        raise argparse.ArgumentError(None, message)

    def error(self, message: str) -> NoReturn:
        """Print the message as one sentence and exit with code 2."""
        for pattern, words in WORDS:
            message = re.sub(pattern, words, message)
        self.exit(2, f"{self.prog}: {shortened(one_line(message))} (see {self.prog} --help)\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print a help text or a message; argparse would ignore that a help text cannot be written."""
        if file is not sys.stdout:
            super()._print_message(message, file)
        elif file is not None:
            file.write(message)
            file.flush()


def parse(parser: Parser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments of a command.

    An unknown option ends the program with code 2, and with a suggestion if one is close. The result's `parser` is the
    parser of the command, which must have set this default itself.
    """
    options, unknown = parser.parse_known_args(arguments)
    vars(options).pop(GIVEN, None)
    if unknown:
        command = getattr(options, "parser", parser)
        command.error(f"unrecognized arguments: {' '.join(unknown)}{_hint(unknown, command)}")
    if "parser" not in options:
        parser.error("a command is missing: give one, such as train or sample")
    return options


def _hint(unknown: Sequence[str], command: Parser) -> str:
    """Suggest what the unknown arguments of a command may mean."""
    wrong = next((name.partition("=")[0] for name in unknown if name.startswith("-")), None)
    if wrong is None:
        there = [name for name in unknown if os.path.exists(name)]
        if "resume" in command.flags and any(map(os.path.isdir, there)):
            return "; to continue a run, write --run DIR --resume"
        if "data" in command.flags and there:
            return "; to use several files as one text, join them first: `cat A.txt B.txt > all.txt`"
        return ""
    known = {option.removeprefix("--"): option for option in command.flags.values()}
    guess = closest(wrong.lstrip("-"), known)  # the dashes would make every two options similar
    return f" (did you mean {known[guess]}?)" if guess else ""
