"""Two held-out texts of each corpus, one to fit probes on and one to judge them by, with facts about each symbol."""

import functools
import re
from typing import NamedTuple

import numpy as np

from minigrid.data import toywiki
from minigrid.data.corpora import load_corpus
from minigrid.data.vocabulary import Vocabulary

STREAMS = 50
STEPS = {"toywiki": 1100, "wiki-excerpt": 2900}  # real text has fewer URLs
WARM_UP = 100  # steps of each stream that fill the state and are not judged
TOYWIKI_SEEDS = {"fit": 1001, "judge": 1002}  # the models were trained on seed 0
HELD_OUT = 0.05  # share of wiki-excerpt, at its end, that the models were not trained on

IN_TOYWIKI = {
    "in_url": "in_url",
    "in_link": "link_depth",
    "in_ref": "in_ref",
    "in_quote": "in_quote",
    "in_comment": "in_comment",
}
"""Fact -> its name in toywiki. It holds where toywiki's truth is above 0."""
IN_WIKI = {
    "in_url": rb"https?://(?:&amp;|[^\s\[\]{}<>|\"&])+",
    "in_link": rb"\[\[[^\[\]]*\]\]",
}
"""Fact -> pattern of the text where it holds in wiki-excerpt, in which & is written &amp;. The truth is unknown."""


class Reading(NamedTuple):
    """A text, cut into parallel streams.

    Attributes
    ----------
    x, y : (T, B) int arrays
        Symbols read, and the ones after them.
    facts : dict
        Name -> (T, B) bool array: whether the fact holds at the symbol read.
    letters : (T, B) int array
        Number of letters in a row up to the symbol read; 0 if it is not a letter.
    """

    x: np.ndarray
    y: np.ndarray
    facts: dict[str, np.ndarray]
    letters: np.ndarray


def streams(text: bytes, ids: np.ndarray, facts: dict[str, np.ndarray], steps: int) -> Reading:
    """Cut the first ``STREAMS * steps`` symbols of a text into streams."""

    def cut(symbols: np.ndarray, first: int = 0) -> np.ndarray:
        return np.ascontiguousarray(symbols[first : first + STREAMS * steps].reshape(STREAMS, steps).T)

    return Reading(
        cut(ids), cut(ids, 1), {name: cut(fact) for name, fact in facts.items()}, cut(letters_in_a_row(text))
    )


@functools.cache
def readings(corpus: str, vocabulary: Vocabulary) -> dict[str, Reading]:
    """Return the text to ``fit`` probes on and the one to ``judge`` them by."""
    return _toywiki(vocabulary) if corpus == "toywiki" else _wiki_excerpt()


def _toywiki(vocabulary: Vocabulary) -> dict[str, Reading]:
    steps, made = STEPS["toywiki"], {}
    for part, seed in TOYWIKI_SEEDS.items():
        text, truth = toywiki.generate(STREAMS * steps + 1, seed)
        facts = {name: truth[theirs] > 0 for name, theirs in IN_TOYWIKI.items()}
        made[part] = streams(text.encode(), vocabulary.encode(text), facts, steps)
    return made


def _wiki_excerpt() -> dict[str, Reading]:
    corpus = load_corpus("wiki-excerpt")
    ids = corpus.ids[-round(HELD_OUT * len(corpus.ids)) :].astype(np.int32)
    halves = {"fit": ids[: len(ids) // 2], "judge": ids[len(ids) // 2 :]}
    made = {}
    for part, half in halves.items():
        text = np.array(corpus.vocabulary.symbols, np.uint8)[half].tobytes()
        facts = {name: spans(pattern, text) for name, pattern in IN_WIKI.items()}
        made[part] = streams(text, half, facts, STEPS["wiki-excerpt"])
    return made


def spans(pattern: bytes, text: bytes) -> np.ndarray:
    """Return whether each byte of a text is part of a match of the pattern."""
    inside = np.zeros(len(text), bool)
    for match in re.finditer(pattern, text, re.DOTALL):
        inside[match.start() : match.end()] = True
    return inside


def letters_in_a_row(text: bytes) -> np.ndarray:
    """Return the number of letters in a row up to each byte; 0 if it is not a letter."""
    symbols = np.frombuffer(text, np.uint8) | 0x20  # lower case
    place = np.arange(1, len(symbols) + 1)
    no_letter = (symbols < ord("a")) | (symbols > ord("z"))
    return place - np.maximum.accumulate(np.where(no_letter, place, 0))
