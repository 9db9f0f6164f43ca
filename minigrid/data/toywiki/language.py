"""The made-up words, and the dice that choose among them."""

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Dice:
    """Choices made from `Random.random` alone, the one method whose sequence Python promises to keep."""

    def __init__(self, seed: int):
        self._random = Random(seed).random

    def chance(self, probability: float) -> bool:
        """Say yes with this probability."""
        return self._random() < probability

    def between(self, low: int, high: int) -> int:
        """Draw a whole number from `low` to `high`, both included, all equally likely."""
        return low + int(self._random() * (high - low + 1))

    def pick(self, choices: Sequence[T]) -> T:
        """Draw one of the choices, all equally likely."""
        return choices[int(self._random() * len(choices))]


class Topic(NamedTuple):
    """The words of one topic, the frequent ones repeated."""

    nouns: tuple[str, ...]
    adjectives: tuple[str, ...]


def _urn(words: Sequence[str]) -> tuple[str, ...]:
    """Repeat words so that a uniform pick is Zipf-like: the word of rank r as often as 1 / (r + 3) says."""
    return tuple(word for rank, word in enumerate(words, start=4) for _ in range(max(1, 60 // rank)))


class Language:
    """The made-up words. The last letter tells the class: l n r m nouns, a i o adjectives, t k p verbs."""

    def __init__(self, seed: int):
        self._dice = Dice(seed)
        self._taken: set[str] = set()
        self.topics = tuple(Topic(_urn(self._words(24, "lnrm")), _urn(self._words(12, "aio"))) for _ in range(10))
        self.verbs = _urn(self._words(30, "tkp"))

    def _words(self, count: int, endings: str) -> list[str]:
        return [self._word(endings) for _ in range(count)]

    def _word(self, endings: str) -> str:
        """Draw a new word of two or three syllables, 5 to 7 letters long (an adjective 6 to 8)."""
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
    """Return the one language of all texts."""
    return Language(seed=2015)
