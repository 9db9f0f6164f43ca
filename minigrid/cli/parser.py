"""The parser of a command's arguments."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from minigrid.cli.flags import with_flags
from minigrid.cli.terminal import one_line
from minigrid.errors import closest

LONGEST = 500
"""Characters of a message about wrong arguments; what somebody pasted by mistake is cut off there."""


GIVEN = " given"
"""Attribute of the parsed arguments that keeps the values given so far; no option can have this name."""


def _is_second(action: argparse.Action, namespace: argparse.Namespace, value: Any) -> bool:
    """Return whether an option was given before, with another value, which this one would silently replace."""
    first = vars(namespace).setdefault(GIVEN, {}).setdefault(action.dest, value)
    return first is not value and first != value  # nan differs from itself


class _StoreOnce(argparse.Action):
    """Store the value of an option, unless it was given before with another value."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Take the value of an option."""
        if _is_second(self, namespace, values):
            first = vars(namespace)[GIVEN][self.dest]
            parser.error(f"{self.option_strings[0]} is given twice, as {first} and as {values}: give it once")
        setattr(namespace, self.dest, values)


class _SwitchOnce(argparse.BooleanOptionalAction):
    """A pair of options, --this and --no-this, of which only one may be given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Take one of the two options."""
        if _is_second(self, namespace, str(option_string).startswith("--no-")):
            parser.error(f"{' and '.join(self.option_strings)} contradict each other: give one of them")
        super().__call__(parser, namespace, values, option_string)


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
        super().__init__(**settings)  # adds --help, which needs the attributes
        for name in (None, "store"):
            self.register("action", name, _StoreOnce)
        self.register("action", "switch", _SwitchOnce)

    def add_argument(self, *names: str, group: str | None = None, **settings: Any) -> argparse.Action:
        """Add an argument, as argparse does; the help lists it under the heading `group`, if given."""
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

    def error(self, message: str) -> NoReturn:
        """Print the message as one sentence and exit with code 2."""
        if len(message) > LONGEST:
            message = f"{message[:LONGEST]}..."
        self.exit(2, f"{self.prog}: {one_line(message)} (see {self.prog} --help)\n")


def parse(parser: Parser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments of a command.

    An unknown option ends the program with code 2, and with a suggestion if one is close. The result's `parser` is the
    parser of the command, which must have set this default itself.
    """
    options, unknown = parser.parse_known_args(arguments)
    vars(options).pop(GIVEN, None)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}{_hint(unknown, options)}")
    return options


def _hint(unknown: Sequence[str], options: argparse.Namespace) -> str:
    """Suggest what the unknown arguments may mean."""
    wrong = next((name.partition("=")[0] for name in unknown if name.startswith("-")), None)
    if wrong is None:
        if "data" in options.parser.flags and any(Path(name).exists() for name in unknown):
            return "; to use several files as one text, join them first: `cat A.txt B.txt > all.txt`"
        return ""
    known = {option.removeprefix("--"): option for option in options.parser.flags.values()}
    guess = closest(wrong.lstrip("-"), known)  # the dashes would make every two options similar
    return f" (did you mean {known[guess]}?)" if guess else ""
