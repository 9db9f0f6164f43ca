"""Write text with a trained model, one character at a time."""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minigrid.backend import to_host
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import NotFiniteError, UserError, shown
from minigrid.nn.model import CharModel
from minigrid.nn.options import check_fields, option

LONGEST = 10**12  # symbols, which no model will ever write
COLDEST = 1e-100
"""A lower temperature is raised to this one, which chooses the same characters and cannot overflow."""


READ_AT_ONCE = 256
"""Characters of a prime that the model reads in one pass."""


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """How to choose the next character from the model's logits.

    Attributes
    ----------
    temperature : float
        The logits are divided by it. Below 1, likely characters become more likely; above 1, unlikely ones do.
    top_k : int or None
        Choose among the k most likely characters only; None means among all.
    argmax : bool
        Always choose the most likely character.

    Raises
    ------
    UserError
        `temperature` is not a finite number greater than 0, or `top_k` is less than 1.
    """

    temperature: float = option(1.0, above=0, advice="use a small one such as 0.1, or `argmax`")
    top_k: int | None = option(None, least=1)
    argmax: bool = option(False)

    def __post_init__(self) -> None:
        check_fields(self)

    def choose(self, logits: np.ndarray, generator: np.random.Generator) -> int:
        """Choose one of V characters from their logits (V,), by inverting the cumulative distribution.

        Raises
        ------
        NotFiniteError
            A logit is not a finite number.
        """
        if not np.isfinite(logits).all():
            raise NotFiniteError
        if self.argmax:
            return int(logits.argmax())
        scores = (logits.astype(np.float64) - logits.max()) / max(self.temperature, COLDEST)
        if self.top_k is not None and self.top_k < len(scores):
            scores[np.argpartition(scores, -self.top_k)[: -self.top_k]] = -np.inf
        cumulative = np.exp(scores).cumsum()
        # random() is below 1, so the search ends at the latest at the last character with a probability above 0
        return int(cumulative.searchsorted(generator.random() * cumulative[-1], side="right"))


def generate(
    model: CharModel,
    vocabulary: Vocabulary,
    length: int,
    *,
    prime: str = "",
    stop: str | None = None,
    sampler: Sampler | None = None,
    seed: int | list[int] = 0,
) -> Iterator[str]:
    """Write `length` symbols and yield each one as soon as it is made.

    Parameters
    ----------
    model : CharModel
        Trained model whose `vocab_size` is the size of `vocabulary`.
    vocabulary : Vocabulary
        Turns ids into text.
    length : int
        Number of symbols to write: bytes if the vocabulary consists of bytes, otherwise characters.
    prime : str
        Text that the model reads first; it is not part of the output. Without one, the model starts as if after a line
        break or, if the vocabulary has none, after a random character.
    stop : str, optional
        Text after whose first occurrence in the output the model stops writing.
    sampler : Sampler, optional
        How to choose each symbol; by default at temperature 1.
    seed : int or list of int
        Seed of the random choices.

    Yields
    ------
    str
        One character. In a vocabulary of bytes, a character is yielded with its last byte, and "" with the others.

    Raises
    ------
    UserError
        `prime` or `stop` has characters that the vocabulary lacks, `stop` is empty, or `length` or `seed` is negative.
        This is raised by the call itself, not when the first character is drawn.
    """
    ids = generate_ids(
        model,
        vocabulary,
        length,
        prime=vocabulary.encode(prime),
        stop=None if stop is None else vocabulary.encode(stop),
        sampler=sampler,
        seed=seed,
    )
    return map(vocabulary.decoder().feed, ids)


def generate_ids(
    model: CharModel,
    vocabulary: Vocabulary,
    length: int,
    *,
    prime: Sequence[int] | np.ndarray = (),
    stop: Sequence[int] | np.ndarray | None = None,
    sampler: Sampler | None = None,
    seed: int | list[int] = 0,
) -> Iterator[int]:
    """Write symbols as :func:`generate` does, and yield their ids; `prime` and `stop` are ids too.

    Raises
    ------
    UserError
        `stop` is empty, `length` is out of bounds, or `seed` is negative; raised by the call itself.
    """
    if not 0 <= length <= LONGEST:
        bound = "at least 0" if length < 0 else f"at most {LONGEST:,}"
        raise UserError(f"`length` must be {bound}, not {shown(length)}")
    if np.min(seed) < 0:
        raise UserError(f"`seed` must be at least 0, not {seed}")
    if stop is not None and not len(stop):
        raise UserError("`stop` is empty: give the text to stop after, or leave it out")
    generator = np.random.default_rng(seed)
    first = np.asarray(prime) if len(prime) else np.array([_start(vocabulary, generator)])
    ids = itertools.islice(_generate_ids(model, first, sampler or Sampler(), generator), length)
    return ids if stop is None else _until(ids, list(stop))


def starts_at_random(vocabulary: Vocabulary) -> bool:
    """Return whether a sample without a prime starts after a random character: the vocabulary has no line break."""
    return ord("\n") not in vocabulary.symbols


def _start(vocabulary: Vocabulary, generator: np.random.Generator) -> int:
    if starts_at_random(vocabulary):
        return int(generator.integers(len(vocabulary)))
    return vocabulary.symbols.index(ord("\n"))


def _generate_ids(
    model: CharModel, prime: np.ndarray, sampler: Sampler, generator: np.random.Generator
) -> Iterator[int]:
    """Read the prime, then write without end."""
    workspace = model.workspace(reuse=True)
    state = model.initial_state(1)
    for start in range(0, len(prime), READ_AT_ONCE):  # a long prime in one piece would take much memory
        logits, state = model.predict(prime[start : start + READ_AT_ONCE, None], state)
    while True:
        symbol = sampler.choose(to_host(logits)[-1, 0], generator)
        yield symbol
        logits, state = model.predict(np.array([[symbol]]), state, workspace=workspace)


def _until(ids: Iterable[int], stop: list[int]) -> Iterator[int]:
    """Yield ids up to the first occurrence of `stop`, which is included."""
    latest: deque[int] = deque(maxlen=len(stop))
    for symbol in ids:
        yield symbol
        latest.append(symbol)
        if list(latest) == stop:
            return
