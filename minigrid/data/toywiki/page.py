"""A text under construction, with the labels of its characters."""

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
"""The label arrays that :func:`minigrid.data.toywiki.generate` returns: name -> dtype."""


class Page:
    """The text so far, and for each label its spans (start, end, weight)."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.length = 0
        self.spans: dict[str, list[tuple[int, int, int]]] = {name: [] for name in TRUTH}

    def write(self, text: str) -> None:
        """Append to the text."""
        self.pieces.append(text)
        self.length += len(text)

    @contextmanager
    def inside(self, name: str, opening: str = "", closing: str = "", weight: int = 1) -> Iterator[None]:
        """Label the text written in this context, from `opening` to `closing`; weights of nested spans add up."""
        start = self.length
        self.write(opening)
        yield
        self.write(closing)
        self.spans[name].append((start, self.length, weight))

    def truth(self, characters: int) -> dict[str, np.ndarray]:
        """Return the labels of the first `characters` characters, one array for each name."""
        return {name: self._levels(name, characters).astype(dtype) for name, dtype in TRUTH.items()}

    def _levels(self, name: str, characters: int) -> np.ndarray:
        """Add up the weights of the spans that contain each character: up at a start, down at an end."""
        start, end, weight = np.array(self.spans[name], np.int64).reshape(-1, 3).T
        steps = np.bincount(start, weight, self.length + 1) - np.bincount(end, weight, self.length + 1)
        return np.cumsum(steps)[:characters]
