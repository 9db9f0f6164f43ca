"""Write text with a trained model, one character at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from minigrid.backend import to_host
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import UserError
from minigrid.nn.model import CharModel
from minigrid.nn.options import check_fields, option

COLDEST = 1e-100
"""A lower temperature is raised to this one, which chooses the same characters and cannot overflow."""


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
        """Choose one of V characters from their logits (V,), by inverting the cumulative distribution."""
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
        `prime` has characters that the vocabulary lacks, or `length` or `seed` is negative. This is raised by the call
        itself, not when the first character is drawn.
    """
    if length < 0:
        raise UserError(f"`length` must be at least 0, not {length}")
    if np.min(seed) < 0:
        raise UserError(f"`seed` must be at least 0, not {seed}")
    generator = np.random.default_rng(seed)
    ids = vocabulary.encode(prime)
    if not len(ids):
        start = generator.integers(len(vocabulary)) if vocabulary.unknown("\n") else vocabulary.encode("\n")[0]
        ids = np.array([start])
    return _generate(model, vocabulary, length, ids=ids, sampler=sampler or Sampler(), generator=generator)


def _generate(
    model: CharModel,
    vocabulary: Vocabulary,
    length: int,
    *,
    ids: np.ndarray,
    sampler: Sampler,
    generator: np.random.Generator,
) -> Iterator[str]:
    """Read the ids, then write: the part of :func:`generate` that waits for the first character to be drawn."""
    decoder = vocabulary.decoder()
    workspace = model.workspace(reuse=True)
    logits, state = model.predict(ids[:, None], model.initial_state(1))
    for _ in range(length):
        symbol = sampler.choose(to_host(logits)[-1, 0], generator)
        yield decoder.feed(symbol)
        logits, state = model.predict(np.array([[symbol]]), state, workspace=workspace)
