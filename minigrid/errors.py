"""The exception that reports invalid user input, and the warning that tells the user something."""

import difflib
from collections.abc import Iterable
from typing import Any

SIMILAR = 0.7
"""From 0 to 1, how similar two words must be: "hiden" and "hidden" are, "stop" and "top-k" are not."""


class UserError(ValueError):
    r"""The exception raised for invalid user input.

    The message is one sentence: what is wrong, where, and what to do. It names parameters in backticks, such as
    :literal:`\`top_k\``. The command line replaces them by its options, such as ``--top-k``, prints the sentence
    without a traceback, and exits with code 2.
    """


class NotFiniteError(UserError):
    """The exception raised if a model computes numbers that are not finite."""

    def __init__(
        self,
        message: str = "the model computes numbers that are not finite, because its weights are too large: use another "
        "checkpoint",
    ):
        super().__init__(message)


class Notice(UserWarning):
    """A warning that tells the user something useful; the command line prints it as one line, ``note: ...``."""


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most similar to `word`, or None if none is similar."""
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=SIMILAR)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint in brackets if one of the known words is similar to `word`, otherwise an empty string."""
    guess = closest(word, known)
    return f" (did you mean {guess}?)" if guess else ""


def named(name: str, longest: int = 60) -> str:
    """Return a name that a file chose, as a message shows it: on one line, cut off where it gets long."""
    text = name if name.isprintable() else repr(name)[1:-1]
    return text if len(text) <= longest else f"{text[:longest]}..."


def shown(value: Any, longest: int = 60) -> str:
    """Return a value as a message shows it: as Python writes it, cut off where it gets long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python refuses to write numbers of more than 4300 digits
        text = f"a huge {type(value).__name__}"
    return text if len(text) <= longest else f"{text[:longest]}..."
