"""How the values of options are read: each at most once, with mistakes named in words."""

import argparse
import re
from pathlib import Path
from typing import Any

from minigrid.errors import shown


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a whole number, not {shown(text)}") from error


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a number, not {shown(text)}") from error
    if number == 0 and re.search("[1-9]", text.lower().partition("e")[0]):
        raise argparse.ArgumentTypeError(f"must be 0 or at least 5e-324, not {shown(text)}")
    return number


def _path(text: str) -> Path:
    return Path(not_empty(text))  # an empty path would mean the current folder


def not_empty(text: str) -> str:
    """Read the value of an option that names something."""
    if not text:
        raise argparse.ArgumentTypeError("is empty: give a value, or leave it out")
    return text


TYPES = {int: _whole_number, float: _number, Path: _path}
"""The readers of numbers and paths."""

GIVEN = " given"
"""Attribute of the parsed arguments that keeps the values given so far; no option can have this name."""


def _is_second(action: argparse.Action, namespace: argparse.Namespace, value: Any) -> bool:
    """Return whether an option was given before, with another value, which this one would silently replace."""
    first = vars(namespace).setdefault(GIVEN, {}).setdefault(action.dest, value)
    return first is not value and first != value  # nan differs from itself


class StoreOnce(argparse.Action):
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


class SwitchOnce(argparse.BooleanOptionalAction):
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
