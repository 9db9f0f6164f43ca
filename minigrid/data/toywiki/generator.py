"""Wiki-like text in a made-up language, labelled character by character.

A character model that reads wiki markup must remember things: that it is inside a URL, how many brackets are open,
which kind of quotation mark comes next. This text comes with labels for all of them, so you can measure what a memory
cell stores instead of guessing it from a picture.

The words have a seed of their own, so every text is in the same language and you can test a model on another seed than
it was trained on. Apart from spelling, a model can learn to remember:

- within a few characters: ``[[``, ``{{``, quotes, comments and references are closed in the right order; the label of
  a piped link repeats the noun of its target; a verb agrees in number with its subject;
- within a line: a heading ends with the number of ``=`` that it began with; the label of an external link begins with
  the name in the URL's domain and, if the URL has a path, continues with the last word of it;
- within a paragraph or an article: nouns and adjectives belong to the topic; the first sentence repeats the title; all
  URLs of an article lead to one of two sites, and the first site is named after the noun in the title.
"""

import numpy as np

from minigrid.data.toywiki.author import Author
from minigrid.data.toywiki.language import Dice
from minigrid.data.toywiki.page import Page
from minigrid.errors import UserError


def generate(characters: int, seed: int) -> tuple[str, dict[str, np.ndarray]]:
    """Generate a toywiki text and label each character with the elements that contain it.

    The same arguments produce the same text on every platform. With the same seed, a shorter text is a prefix of a
    longer one, and so are its labels. The text is cut off after `characters` characters, so the last elements may
    still be open; all others are closed.

    Parameters
    ----------
    characters : int
        Length of the text, at least 1.
    seed : int
        Seed of the text; the sign does not matter. Words, grammar and topics are the same for every seed.

    Returns
    -------
    text : str
        ASCII text of exactly `characters` characters.
    truth : dict of str to numpy.ndarray
        One array of shape (characters,) for each name in `TRUTH`. An element extends from the first character that
        opens it to the last character that closes it, both included:

        ``in_url`` (bool)
            A URL of 16 to 46 characters, from the ``h`` of ``http://`` to its last character. The space or ``|`` after
            it is outside.
        ``in_external`` (bool)
            An external link ``[http://... label]``, both brackets included.
        ``link_depth`` (uint8)
            Number of links ``[[...]]`` and templates ``{{...}}`` that contain the character, brackets and braces
            included: both characters of an outermost ``[[`` have depth 1, and so have both characters of its ``]]``.
            External links do not count.
        ``in_quote`` (bool)
            A quotation ``"..."`` or italics ``''...''``, quote marks included. These are never nested.
        ``in_comment`` (bool)
            A comment, from ``<!--`` to ``-->``. It contains words only, no other element.
        ``in_ref`` (bool)
            A reference, from ``<ref>`` to ``</ref>``, both tags included.
        ``heading_level`` (uint8)
            In a heading (its line without the newline), the number of ``=`` on either side, 1 to 4; 0 elsewhere.

    Raises
    ------
    UserError
        If `characters` is less than 1.

    Notes
    -----
    A model that reads from left to right cannot always recognise an element at its first characters: the first ``[``
    may open either kind of link. So no probe can be right about every character.
    """
    if characters < 1:
        raise UserError(f"`characters` must be at least 1, not {characters}.")
    page = Page()
    author = Author(page, Dice(seed))
    while page.length < characters:
        author.article()
    return "".join(page.pieces)[:characters], page.truth(characters)
