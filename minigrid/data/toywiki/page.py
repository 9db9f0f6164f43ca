"""The text as it is written, with the truth about it."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

TRUTH = {
    "in_url": np.bool_,
    "in_external": np.bool_,
    "link_depth": np.uint8,
    "in_quote": np.bool_,
    "in_comment": np.bool_,
    "in_ref": np.bool_,
    "heading_level": np.uint8,
}
"""The truth arrays of :func:`minigrid.data.toywiki.generate`: name -> dtype."""


class Page:
    """The text so far, and for each kind of truth the spans (start, end, weight) it holds for."""

    def __init__(self):
        self.pieces: list[str] = []
        self.length = 0
        self.spans: dict[str, list[tuple[int, int, int]]] = {name: [] for name in TRUTH}

    def write(self, text: str) -> None:
        """Go on with this text."""
        self.pieces.append(text)
        self.length += len(text)

    @contextmanager
    def inside(self, name: str, opening: str = "", closing: str = "", weight: int = 1) -> Iterator[None]:
        """Within this context all text, from `opening` to `closing`, is of one kind of truth; weights add up."""
        start = self.length
        self.write(opening)
        yield
        self.write(closing)
        self.spans[name].append((start, self.length, weight))

    def truth(self, characters: int) -> dict[str, np.ndarray]:
        """Return the truth about so many characters, an array for each kind."""
        return {name: self._levels(name, characters).astype(dtype) for name, dtype in TRUTH.items()}

    def _levels(self, name: str, characters: int) -> np.ndarray:
        """Sum the weights of the spans over each character: a step up at a start, a step down at an end."""
        start, end, weight = np.array(self.spans[name], np.int64).reshape(-1, 3).T
        steps = np.bincount(start, weight, self.length + 1) - np.bincount(end, weight, self.length + 1)
        return np.cumsum(steps)[:characters]
