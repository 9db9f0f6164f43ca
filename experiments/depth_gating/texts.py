"""Two held-out texts for each corpus, one to fit probes on and one to judge them, with the truth about each symbol."""

import functools
import re
from typing import NamedTuple

import numpy as np

from minigrid import toywiki
from minigrid.corpora import load_corpus
from minigrid.vocabulary import Vocabulary

STREAMS = 50
STEPS = {"toywiki": 1100, "wiki-excerpt": 2900}  # real text has fewer URLs
WARM_UP = 100  # steps of each stream that only fill the state and are not judged
TOYWIKI_SEEDS = {"fit": 1001, "judge": 1002}  # the models have read seed 0
HELD_OUT = 0.05  # of wiki-excerpt, at its end, which the models have not read

IN_TOYWIKI = {
    "in_url": "in_url",
    "in_link": "link_depth",
    "in_ref": "in_ref",
    "in_quote": "in_quote",
    "in_comment": "in_comment",
}
"""The facts, and what toywiki calls them; they hold where its truth is above 0."""
IN_WIKI = {
    "in_url": rb"https?://(?:&amp;|[^\s\[\]{}<>|\"&])+",
    "in_link": rb"\[\[[^\[\]]*\]\]",
}
"""What counts as a URL and as a link in wiki-excerpt, where & is written &amp;: patterns, not truth as in toywiki."""


class Reading(NamedTuple):
    """A text in streams side by side.

    Attributes
    ----------
    x, y : (T, B) int arrays
        Symbols read, and the ones after them.
    facts : dict
        Name -> (T, B) bool array, of the symbols read.
    """

    x: np.ndarray
    y: np.ndarray
    facts: dict[str, np.ndarray]


def streams(ids: np.ndarray, facts: dict[str, np.ndarray], start: int, steps: int) -> Reading:
    """Cut STREAMS streams of `steps` symbols out of a text, beginning at `start`."""

    def cut(symbols: np.ndarray, first: int) -> np.ndarray:
        return np.ascontiguousarray(symbols[first : first + STREAMS * steps].reshape(STREAMS, steps).T)

    return Reading(cut(ids, start), cut(ids, start + 1), {name: cut(fact, start) for name, fact in facts.items()})


@functools.cache
def readings(corpus: str, vocabulary: Vocabulary) -> dict[str, Reading]:
    """Return the texts to ``fit`` on and to ``judge`` by."""
    return _toywiki(vocabulary) if corpus == "toywiki" else _wiki_excerpt()


def _toywiki(vocabulary: Vocabulary) -> dict[str, Reading]:
    steps, made = STEPS["toywiki"], {}
    for part, seed in TOYWIKI_SEEDS.items():
        text, truth = toywiki.generate(STREAMS * steps + 1, seed)
        facts = {name: truth[theirs] > 0 for name, theirs in IN_TOYWIKI.items()}
        made[part] = streams(vocabulary.encode(text), facts, 0, steps)
    return made


def _wiki_excerpt() -> dict[str, Reading]:
    corpus = load_corpus("wiki-excerpt")
    ids = np.asarray(corpus.ids[-round(HELD_OUT * len(corpus.ids)) :])
    text = np.array(corpus.vocabulary.symbols, np.uint8)[ids].tobytes()
    facts = {name: spans(pattern, text) for name, pattern in IN_WIKI.items()}
    starts = {"fit": 0, "judge": len(ids) // 2}
    return {part: streams(ids, facts, start, STEPS["wiki-excerpt"]) for part, start in starts.items()}


def spans(pattern: bytes, text: bytes) -> np.ndarray:
    """Mark the bytes of a text that matches of a pattern cover."""
    inside = np.zeros(len(text), bool)
    for match in re.finditer(pattern, text, re.DOTALL):
        inside[match.start() : match.end()] = True
    return inside
