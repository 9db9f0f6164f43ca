"""The exception that reports invalid user input, and the warning that tells the user something."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    r"""The exception raised for invalid user input.

    The message is one sentence: what is wrong, where, and what to do. Parameters stand in backticks
    (:literal:`\`temperature\` must be ...`); the command line turns those into its own options (``--temperature must be
    ...``), prints the sentence without a traceback, and exits with code 2.
    """


class Notice(UserWarning):
    """A warning that tells the user something useful; the command line prints it as one line, ``note: ...``."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint in brackets if one of the known words is close to `word`, otherwise an empty string."""
    close = difflib.get_close_matches(word, known, 1)
    return f" (did you mean {close[0]}?)" if close else ""
