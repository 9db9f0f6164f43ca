"""Parameters: one flat vector, with a named view into it for each weight.

Gradient clipping, the optimisers and checkpoints work on the flat vector and need not know about layers. A weight that
several layers share has one entry, so its gradients add up in one place.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from minigrid.backend import Array


class Params(Mapping[str, Array]):
    """A read-only mapping from names to arrays that are views into one flat vector.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Name and shape of each array, in their order in the vector.
    flat : (P,) array
        The vector; it is not copied.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], flat: Array):
        self.shapes = dict(shapes)
        self._flat = flat
        size = sum(math.prod(shape) for shape in self.shapes.values())
        if size != flat.size:
            raise ValueError(f"the shapes hold {size} numbers, the flat vector has {flat.size}")
        self._views = {}
        start = 0
        for name, shape in self.shapes.items():
            stop = start + math.prod(shape)
            self._views[name] = flat[start:stop].reshape(shape)
            start = stop

    @property
    def flat(self) -> Array:
        """The vector, (P,). Write new values into it, ``params.flat[...] = values``; the views then show them."""
        return self._flat

    def __getitem__(self, name: str) -> Array:
        return self._views[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def with_flat(self, flat: Array) -> "Params":
        """Return parameters with the same names and shapes, as views into another vector."""
        return Params(self.shapes, flat)


def initial_values(shapes: Mapping[str, tuple[int, ...]], seed: int, scale: float = 0.08) -> np.ndarray:
    """Draw the initial flat vector, uniform in [-scale, scale), in float64 on the host.

    The forget-gate quarter of every LSTM bias gets 1 added, so that memory cells keep their contents until the model
    learns otherwise (Jozefowicz et al. 2015; both Torch programs do the same).
    """
    values = np.random.default_rng(seed).uniform(-scale, scale, sum(math.prod(s) for s in shapes.values()))
    for name, bias in Params(shapes, values).items():
        if name.endswith(".bias") and name.startswith(("lstm.", "time.", "depth.")):
            H = bias.size // 4
            bias[H : 2 * H] += 1  # packed [i | f | o | g]
    return values
