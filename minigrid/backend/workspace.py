"""Workspaces, which provide the arrays for forward and backward passes."""

from types import ModuleType
from typing import Any

import numpy as np

from minigrid.backend.arrays import Array

CACHE_LINE = 64  # bytes


class Workspace:
    """Hands out uninitialised arrays, fresh ones or always the same ones.

    A plain workspace returns a fresh array every time. With ``reuse=True`` it returns the same array whenever you ask
    for the same name and shape, so that a training step allocates nothing large; the next pass overwrites it.

    Parameters
    ----------
    xp : module
        numpy or cupy.
    dtype : str or dtype
        Dtype of all arrays.
    reuse : bool
        Whether to return the same arrays again.

    Notes
    -----
    A *padded* array has a cache line of unused numbers after each row. Without padding, if the length of a row is a
    power of two, the numbers of one column compete for the same few sets of a CPU's cache.
    """

    def __init__(self, xp: ModuleType, dtype: Any, reuse: bool = False):
        self.xp = xp
        self.dtype = np.dtype(dtype)
        self._arrays: dict[tuple[str, tuple[int, ...]], Array] | None = {} if reuse else None

    def scope(self, name: str, keep: bool = True) -> "Scope":
        """Return a view of this workspace that has its arrays under `name`, apart from others: one for each layer.

        If no backward pass follows, `keep` is false: see :meth:`Scope.steps`.
        """
        return Scope(self, f"{name}.", keep)

    def scratch(self, name: str, shape: tuple[int, ...], padded: bool = False) -> Array:
        """Return an array for use inside one function.

        After that function returns, another one that asks for the same name and shape may get the same array.
        """
        if self._arrays is None:
            return self._new(shape, padded)
        array = self._arrays.get((name, shape))
        if array is None:
            array = self._arrays[name, shape] = self._new(shape, padded)
        return array

    empty = steps = scratch  # outside any scope, only the name keeps arrays apart

    def _new(self, shape: tuple[int, ...], padded: bool) -> Array:
        *outer, width = shape
        padding = CACHE_LINE // self.dtype.itemsize if padded and self.xp is np else 0
        return self.xp.empty((*outer, width + padding), self.dtype)[..., :width]


class Scope:
    """A workspace as one layer sees it: arrays of its own to keep, and scratch arrays that all layers share."""

    def __init__(self, workspace: Workspace, prefix: str, keep: bool):
        self._workspace = workspace
        self._prefix = prefix
        self._keep = keep

    def scope(self, name: str) -> "Scope":
        """Return a narrower scope."""
        return Scope(self._workspace, f"{self._prefix}{name}.", self._keep)

    def empty(self, name: str, shape: tuple[int, ...], padded: bool = False) -> Array:
        """Return an array that this scope keeps from the forward to the backward pass."""
        return self._workspace.scratch(self._prefix + name, shape, padded)

    def steps(self, name: str, shape: tuple[int, ...]) -> Array:
        """Return such an array with one entry for each step, of which a forward pass reads only the last one it wrote.

        If no backward pass follows, all entries are the same memory, which stays in a CPU's cache. A GPU's kernels need
        an array of the usual kind.
        """
        if self._keep or shape[0] <= 2 or self._workspace.xp is not np:
            return self.empty(name, shape)
        entry = self.empty(name, shape[1:])
        return np.ndarray(shape, entry.dtype, entry, strides=(0, *entry.strides))

    def scratch(self, name: str, shape: tuple[int, ...], padded: bool = False) -> Array:
        """Return an array for use inside one function, see :meth:`Workspace.scratch`."""
        return self._workspace.scratch(name, shape, padded)
