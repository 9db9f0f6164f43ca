"""The models and minibatches that are measured, with the settings of :mod:`benchmarks.cpu`."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from minigrid import CharModel

VOCABULARY, STEPS, BATCH = 65, 50, 50


class Size(NamedTuple):
    """A model: its kind, its layers and the units of each."""

    model: str
    layers: int
    hidden: int

    @classmethod
    def parse(cls, text: str) -> "Size":
        """Read a size such as ``grid:2x128``."""
        model, layers, hidden = text.replace("x", ":").split(":")
        return cls(model, int(layers), int(hidden))

    def build(self) -> "CharModel":
        """Return a new model of this size."""
        from minigrid import CharModel  # a process that runs PyTorch does without it

        return CharModel(self.model, vocab_size=VOCABULARY, hidden=self.hidden, layers=self.layers)

    def __str__(self) -> str:
        return f"{self.model}:{self.layers}x{self.hidden}"


SIZES = tuple(
    Size(model, layers, hidden) for model in ("lstm", "grid") for layers, hidden in ((2, 128), (3, 256), (3, 512))
)


def minibatch(columns: int) -> np.ndarray:
    """Return random characters and targets, (2, STEPS, columns)."""
    return np.random.default_rng(0).integers(0, VOCABULARY, (2, STEPS, columns))
