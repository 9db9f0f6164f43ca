"""Spell parameters as options of the command line."""

import re
from collections.abc import Mapping


def flag(name: str) -> str:
    """Return the usual option for a parameter: ``--val-fraction`` for ``val_fraction``."""
    return "--" + name.replace("_", "-")


def with_flags(message: str, flags: Mapping[str, str]) -> str:
    """Replace each parameter in backticks by the option that a command has for it.

    Parameters
    ----------
    message : str
        Message of the library, such as "`top_k` must be at least 1".
    flags : mapping
        Parameter -> option, for the options that the command has. Other words keep their backticks.

    Returns
    -------
    str
        The message for users of the command line, such as "--top-k must be at least 1".
    """
    return re.sub(r"`([a-z]\w*)`", lambda match: flags.get(match[1], match[0]), message)
