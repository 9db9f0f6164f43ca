"""The parser of a command's arguments."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from minigrid.cli.flags import with_flags
from minigrid.errors import closest


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
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parse(parser: Parser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments of a command.

    An unknown option ends the program with code 2, and with a suggestion if one is close. The result's `parser` is the
    parser of the command, which must have set this default itself.
    """
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        wrong = next((name.partition("=")[0] for name in unknown if name.startswith("-")), "")
        known = {option.removeprefix("--"): option for option in options.parser.flags.values()}
        guess = closest(wrong.lstrip("-"), known)  # the dashes would make every two options similar
        hint = f" (did you mean {known[guess]}?)" if guess else ""
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    return options
