"""How parameters are spelled on the command line."""

import re
from collections.abc import Collection


def flag(name: str) -> str:
    """Return the option for a parameter: ``--val-fraction`` for ``val_fraction``."""
    return "--" + name.replace("_", "-")


def with_flags(message: str, names: Collection[str]) -> str:
    """Replace the parameters that stand in backticks in a library's message by the options of a command.

    Parameters
    ----------
    message : str
        Message of a :class:`minigrid.UserError`.
    names : collection of str
        The parameters that the command has as options; others keep their backticks.
    """
    return re.sub(r"`([a-z]\w*)`", lambda match: flag(match[1]) if match[1] in names else match[0], message)
