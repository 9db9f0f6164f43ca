"""The one exception that stands for a mistake in what the user gave."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """What the user gave cannot be used.

    The message is one sentence that says what is wrong, where, and what to do about it. The command line prints it
    without a traceback and leaves with exit code 2.
    """


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint in brackets where one of the known words is close, else nothing."""
    close = difflib.get_close_matches(word, known, 1)
    return f" (did you mean {close[0]}?)" if close else ""
