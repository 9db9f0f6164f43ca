"""Texts on the command line."""

import warnings

import numpy as np

from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import Notice
from minigrid.runs.given_text import REMOVE_OR_SKIP, from_argument, ids_of, unknown_characters


def argument_ids(
    argument: str, name: str, vocabulary: Vocabulary, skip_unknown: bool = False, advice: str = REMOVE_OR_SKIP
) -> np.ndarray:
    r"""Convert a text on the command line to ids, with a hint if it contains the two characters ``\n``.

    Parameters
    ----------
    argument : str
        The text. A model of bytes takes any bytes.
    name : str
        Parameter of the option.
    vocabulary : Vocabulary
        Symbols of the model.
    skip_unknown, advice
        As in :func:`minigrid.runs.given_text.ids_of`.

    Raises
    ------
    UserError
        The text has characters that the model does not know, and `skip_unknown` is not true.
    """
    hint = (
        f"`{name}` contains \\n, a backslash and an n: for a line break, write $'\\n' in bash or zsh, or "
        '"`n" in PowerShell'
    )
    is_suspect = "\\n" in argument and not unknown_characters("\n", vocabulary)
    if is_suspect and not skip_unknown and unknown_characters("\\", vocabulary):
        advice = hint
    elif is_suspect:
        warnings.warn(hint, Notice, stacklevel=2)
    return ids_of(from_argument(argument, vocabulary.tokens), vocabulary, name, skip_unknown, advice)
