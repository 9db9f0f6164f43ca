"""Wiki-like text from a made-up language, together with the hidden truth about each of its characters.

A character model that reads wiki source must remember things: that it is inside a URL, how many brackets are
open, which kind of quote closes next. Here such text comes with the answers, so that what a memory cell holds
can be measured against them, not only looked at.

The language is the same for every seed (its words come from a seed of their own), so a model trained on one
seed can be judged on another. What there is to remember, beside spelling:

- within a few characters: ``[[``, ``{{``, quotes, comments and references close as they were opened, in the
  right order; a piped link's label repeats its target's noun; a verb agrees in number with its subject;
- within a line: a heading closes with as many ``=`` as it began with; the label of an external link begins
  with the name in its URL's domain and, where that URL has a path, goes on with the last word of it;
- within a paragraph and an article: the topic chooses the nouns and adjectives; the title comes back in the
  first sentence; all URLs of an article lead to its two sites, the first of which bears the title's noun.
"""

import numpy as np

from minigrid.data.toywiki.author import Author
from minigrid.data.toywiki.language import Dice
from minigrid.data.toywiki.page import TRUTH, Page
from minigrid.errors import UserError

__all__ = ["TRUTH", "generate"]


def generate(characters: int, seed: int) -> tuple[str, dict[str, np.ndarray]]:
    """Write toy wiki source and say of every character what it is part of.

    The same arguments give the same text on every platform. A shorter text with the same seed is a prefix of
    a longer one, and so are its truth arrays. The text simply stops after `characters` characters, so its
    last elements may be open; everything before them is balanced.

    Parameters
    ----------
    characters : int
        Length of the text, at least 1.
    seed : int
        Which text (its sign does not matter); the language, words and grammar and topics, is the same for
        all.

    Returns
    -------
    text : str
        ASCII text of exactly `characters` characters.
    truth : dict of str to numpy.ndarray
        One array of shape (characters,) for each name in `TRUTH`. An element counts from the first character
        of what opens it to the last character of what closes it, both included:

        ``in_url`` (bool)
            A URL, 16 to 46 characters from the ``h`` of ``http://`` to its last one; the space or ``|`` that
            follows is outside.
        ``in_external`` (bool)
            An external link ``[http://... label]``, both brackets included.
        ``link_depth`` (uint8)
            How many links ``[[...]]`` and templates ``{{...}}`` are open around the character, their own
            brackets and braces included: both characters of an outermost ``[[`` have depth 1, and so have
            both of its ``]]``. External links do not count.
        ``in_quote`` (bool)
            A quotation ``"..."`` or italics ``''...''``, the quote marks included. Neither stands inside
            either.
        ``in_comment`` (bool)
            A comment, from ``<!--`` to ``-->``. It holds words only, no other element.
        ``in_ref`` (bool)
            A reference, from ``<ref>`` to ``</ref>``, both tags included.
        ``heading_level`` (uint8)
            0 outside a heading; inside (the line without its newline) the number of ``=`` on either side, 1
            to 4.

    Raises
    ------
    UserError
        If `characters` is less than 1.

    Notes
    -----
    Whoever reads from left to right cannot know yet, on an element's very first characters, that it has begun
    (the first ``[`` may begin either kind of link): no probe can be right about all of them.
    """
    if characters < 1:
        raise UserError(f"toywiki cannot write {characters} characters: ask for at least 1.")
    page = Page()
    author = Author(page, Dice(seed))
    while page.length < characters:
        author.article()
    return "".join(page.pieces)[:characters], page.truth(characters)
