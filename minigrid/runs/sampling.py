"""Writing text with a trained model, one character at a time."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from minigrid.backend import to_host
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import UserError
from minigrid.nn.model import CharModel


class Sampler(NamedTuple):
    """How the next character is chosen from the model's scores.

    Attributes
    ----------
    temperature : float
        The scores are divided by it: below 1 the likely gets likelier, above 1 everything becomes possible.
    top_k : int or None
        Choose among the k likeliest only.
    argmax : bool
        Always take the likeliest.
    """

    temperature: float = 1.0
    top_k: int | None = None
    argmax: bool = False

    def check(self) -> None:
        """Raise a UserError where a value is out of range."""
        if not 0 < self.temperature < float("inf"):
            raise UserError(
                f"--temperature must be a finite number above 0, not {self.temperature}: give a small one such as 0.1, "
                "or --argmax for the likeliest character every time"
            )
        if self.top_k is not None and self.top_k < 1:
            raise UserError(f"--top-k must be at least 1, not {self.top_k}")

    def choose(self, logits: np.ndarray, generator: np.random.Generator) -> int:
        """Choose one of V characters from their scores (V,), by inverting the cumulative distribution."""
        if self.argmax:
            return int(logits.argmax())
        # a still smaller temperature would overflow, and choose the likeliest all the same
        scores = (logits.astype(np.float64) - logits.max()) / max(self.temperature, 1e-100)
        if self.top_k is not None and self.top_k < len(scores):
            scores[np.argpartition(scores, -self.top_k)[: -self.top_k]] = -np.inf
        cumulative = np.exp(scores).cumsum()
        # cumulative[-1] itself is never drawn, so the last character with any probability is the highest answer
        return int(cumulative.searchsorted(generator.random() * cumulative[-1], side="right"))


def generate(
    model: CharModel,
    vocabulary: Vocabulary,
    length: int,
    *,
    prime: str = "",
    sampler: Sampler = Sampler(),  # noqa: B008  (immutable)
    seed: int | list[int] = 0,
) -> Iterator[str]:
    """Write `length` characters (bytes, where the vocabulary is of bytes), giving each as soon as it is made.

    Parameters
    ----------
    model : CharModel
        Trained, with the size of `vocabulary`.
    vocabulary : Vocabulary
        Turns ids into text.
    length : int
        How many symbols to make.
    prime : str
        Text that the model reads first; it is not given out. Without one the model begins as after a line break or,
        where the vocabulary has none, after a character drawn at random.
    sampler : Sampler
        Chooses.
    seed : int or list of int
        Of the choices.

    Raises
    ------
    UserError
        `prime` holds characters outside the vocabulary; the sampler's values, `length` or `seed` are out of range.
    """
    sampler.check()
    if length < 0:
        raise UserError(f"--length must not be negative, not {length}")
    if np.min(seed) < 0:
        raise UserError(f"--seed must not be negative, not {seed}")
    generator = np.random.default_rng(seed)
    ids = vocabulary.encode(prime)
    if not len(ids):
        start = generator.integers(len(vocabulary)) if vocabulary.unknown("\n") else vocabulary.encode("\n")[0]
        ids = np.array([start])
    return _generate(model, vocabulary, length, ids, sampler, generator)


def _generate(model, vocabulary, length, ids, sampler, generator) -> Iterator[str]:
    decoder = vocabulary.decoder()
    workspace = model.workspace(reuse=True)
    logits, state = model.predict(ids[:, None], model.initial_state(1))
    for _ in range(length):
        symbol = sampler.choose(to_host(logits)[-1, 0], generator)
        yield decoder.feed(symbol)
        logits, state = model.predict(np.array([[symbol]]), state, workspace=workspace)
