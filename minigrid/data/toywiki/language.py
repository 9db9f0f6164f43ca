"""The made-up words, and random choices that are the same on every platform."""

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Dice:
    """Random choices that use only `Random.random`, because Python guarantees its sequence for a seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed).random

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self._random() < probability

    def between(self, low: int, high: int) -> int:
        """Return a random whole number from `low` to `high`, both included."""
        return low + int(self._random() * (high - low + 1))

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of the choices, each equally likely."""
        return choices[int(self._random() * len(choices))]


class Topic(NamedTuple):
    """The words of one topic; a frequent word occurs several times."""

    nouns: tuple[str, ...]
    adjectives: tuple[str, ...]


def _zipf(words: Sequence[str]) -> tuple[str, ...]:
    """Repeat words so that a uniform choice follows a Zipf-like law: word r has a frequency of about 1 / (r + 3)."""
    return tuple(word for rank, word in enumerate(words, start=4) for _ in range(max(1, 60 // rank)))


class Language:
    """The made-up words. Nouns end in l, n, r or m, adjectives in a, i or o, verbs in t, k or p."""

    def __init__(self, seed: int) -> None:
        self._dice = Dice(seed)
        self._taken: set[str] = set()
        self.topics = tuple(Topic(_zipf(self._words(24, "lnrm")), _zipf(self._words(12, "aio"))) for _ in range(10))
        self.verbs = _zipf(self._words(30, "tkp"))

    def _words(self, count: int, endings: str) -> list[str]:
        return [self._word(endings) for _ in range(count)]

    def _word(self, endings: str) -> str:
        """Make up a new word of two or three syllables and 5 to 7 letters (6 to 8 for an adjective)."""
        pick = self._dice.pick
        while True:
            word = pick("dklmrsv") + pick("aeiou")
            if self._dice.chance(0.5):
                word += pick("lnrs")  # closes the first syllable
            else:
                word += pick(("", pick("dfgklmnprstv") + pick("aeiou")))
            word += pick("dfgklmnprstv") + pick("aeiou")
            ending = pick(endings)
            word += pick("nrt") + ending if ending in "aeiou" else ending
            if word not in self._taken:
                self._taken.add(word)
                return word


@cache
def language() -> Language:
    """Return the language in which every text is written."""
    return Language(seed=2015)
