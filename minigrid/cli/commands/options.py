"""Options that several commands have."""

import argparse
import dataclasses
from typing import Any

from minigrid.backend import BACKENDS
from minigrid.cli.flags import flag
from minigrid.nn.options import value_type

TRAINED = "folder of a run (its best checkpoint), a checkpoint file, or pretrained:NAME for one that minigrid brings"


def add_setting(group: argparse._ActionsContainer, field: dataclasses.Field, default: Any) -> None:
    """Make a setting of a training run an option."""
    choices, kind = field.metadata["choices"], value_type(field)
    # which values are allowed is checked by Config, for config files too
    metavar = "|".join(choices) if choices else {int: "N", float: "X", str: "PATH"}.get(kind)
    group.add_argument(
        flag(field.name),
        **({"action": argparse.BooleanOptionalAction} if kind is bool else {"type": kind, "metavar": metavar}),
        default=argparse.SUPPRESS,
        help=field.metadata["help"] + ("" if default is None else f" (default: {default})"),
    )


def add_oov(parser: argparse.ArgumentParser, option: str) -> None:
    """Let a command leave out of the text in an option what a model does not know."""
    parser.add_argument(
        "--oov",
        choices=("error", "skip"),
        default="error",
        help=f"characters of {option} that the model does not know (default: error)",
    )


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Let a command choose where to compute."""
    parser.add_argument(
        "--backend", default="numpy", metavar="|".join(BACKENDS), help="where to compute (default: numpy)"
    )
    parser.add_argument("--device", type=int, default=0, metavar="N", help="which GPU (default: 0)")
