"""Where forward and backward passes get their arrays from."""

from types import ModuleType
from typing import Any

import numpy as np

from minigrid.backend.arrays import Array

CACHE_LINE = 64  # bytes


class Workspace:
    """Where forward and backward passes get their arrays from.

    A plain workspace gives fresh arrays. One with ``reuse=True`` hands out the same array for the same name and shape,
    so that training steps find the large ones ready; whoever keeps one knows that the next pass overwrites it.

    Parameters
    ----------
    xp : module
        numpy or cupy.
    dtype : str or dtype
        Of every array handed out.
    reuse : bool
        Whether to hand the same arrays out again.

    Notes
    -----
    A *padded* array has a cache line of unused numbers after each row. Without it, rows of a power of two of numbers
    lie so far apart that what a product reads together falls into the same few places of a CPU's cache.
    """

    def __init__(self, xp: ModuleType, dtype: Any, reuse: bool = False):
        self.xp = xp
        self.dtype = np.dtype(dtype)
        self._kept: dict[tuple, Array] | None = {} if reuse else None
        self._scope = ""
        self._scoped: dict[str, Workspace] = {}

    def scope(self, name: str) -> "Workspace":
        """Return this workspace with `name` put before the names of what :meth:`empty` gives, one per layer."""
        if name not in self._scoped:
            scoped = self._scoped[name] = Workspace(self.xp, self.dtype)
            scoped._kept, scoped._scope = self._kept, f"{self._scope}{name}."
        return self._scoped[name]

    def empty(self, name: str, shape: tuple[int, ...], padded: bool = False) -> Array:
        """Return an array for this scope to keep from the forward to the backward pass, contents undefined."""
        return self._take(self._scope + name, shape, padded)

    def scratch(self, name: str, shape: tuple[int, ...], padded: bool = False) -> Array:
        """Return an array whose contents only matter until anybody else asks for the same name, in any scope."""
        return self._take(name, shape, padded)

    def _take(self, name: str, shape: tuple[int, ...], padded: bool) -> Array:
        if self._kept is None:
            return self._new(shape, padded)
        array = self._kept.get((name, shape))
        if array is None:
            array = self._kept[name, shape] = self._new(shape, padded)
        return array

    def _new(self, shape: tuple[int, ...], padded: bool) -> Array:
        *outer, width = shape
        padding = CACHE_LINE // self.dtype.itemsize if padded and self.xp is np else 0
        return self.xp.empty((*outer, width + padding), self.dtype)[..., :width]
