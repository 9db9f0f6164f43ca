"""Options that several commands share."""

import argparse
import dataclasses
from typing import Any

from minigrid.backend import BACKENDS, choose_devices
from minigrid.backend.ranks import ALONE, Ranks
from minigrid.cli.flags import flag
from minigrid.cli.parser import Parser
from minigrid.errors import UserError
from minigrid.nn.options import value_type

TRAINED = (
    "run folder (its best checkpoint is used), checkpoint file, or pretrained:NAME for a model that comes with minigrid"
)
PLACEHOLDERS = {int: "N", float: "X", str: "PATH"}


def add_setting(parser: Parser, field: dataclasses.Field, default: Any, *, group: str | None = None) -> None:
    """Add a setting of a training run as an option.

    Only its type is checked here: `Config` checks the value, because a value may also come from a config file.

    Parameters
    ----------
    parser : Parser
        Parser of the command.
    field : dataclasses.Field
        Field of :class:`minigrid.runs.config.Config`.
    default : any
        Default that the help shows. An option that is not given is absent from the parsed arguments.
    group : str, optional
        Heading in the help.
    """
    kind, choices = value_type(field), field.metadata["choices"]
    shown = {False: "off", True: "on"}[default] if kind is bool else default
    details: dict[str, Any] = {
        "default": argparse.SUPPRESS,
        "help": field.metadata["help"] + ("" if default is None else f" (default: {shown})"),
    }
    if kind is bool:
        details["action"] = "switch"  # --this and --no-this
    else:
        details |= {"type": kind, "metavar": "|".join(choices) if choices else PLACEHOLDERS[kind]}
    parser.add_argument(flag(field.name), group=group, **details)


def add_oov(parser: Parser, option: str) -> None:
    """Add the choice between refusing and skipping unknown characters in the text of an option."""
    parser.add_argument(
        "--oov",
        choices=("error", "skip"),
        default="error",
        help=f"if {option} has characters that the model does not know, stop with an error or skip them "
        "(default: error)",
    )
    parser.flags["skip_unknown"] = "--oov skip"


def add_backend(parser: Parser) -> None:
    """Add the choice of where to compute."""
    parser.add_argument(
        "--backend",
        default="numpy",
        metavar="|".join(BACKENDS),
        help="library to compute with: numpy (CPU), cupy (NVIDIA GPU), or auto (the GPU if there is one) "
        "(default: numpy)",
    )
    parser.add_argument("--device", type=int, metavar="N", help="number of the GPU to use, from 0 (default: 0)")


def choose(options: argparse.Namespace, ranks: Ranks = ALONE) -> None:
    """Choose where each of the processes computes, as the options of :func:`add_backend` say.

    Raises
    ------
    UserError
        The backend cannot be used; there is no such GPU; a GPU is given, but the backend is NumPy.
    """
    ranks.each(refuse_idle_device, options.backend, options.device)
    choose_devices(ranks, options.backend, options.device or 0)


def refuse_idle_device(backend: str, device: int | None) -> None:
    """Refuse the number of a GPU, other than the default, where none is used."""
    if backend == "numpy" and device:
        raise UserError(f"`device` {device} has no effect with `backend` numpy: add `backend` cupy, or leave it out")
