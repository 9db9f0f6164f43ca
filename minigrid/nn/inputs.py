"""Checks on what callers pass to a model, so that a mistake is reported where it was made."""

from collections.abc import Collection, Mapping
from types import ModuleType

import numpy as np

from minigrid.backend import Array, array_module
from minigrid.errors import UserError


def check_characters(x: Array, vocab_size: int, lowest: int = 0) -> Array:
    """Return a minibatch of characters (T, B), checked if it is still on the host.

    Raises
    ------
    UserError
        Not a (T, B) array of whole numbers from `lowest` to V - 1.
    """
    if array_module(x) is not np:  # an array on a GPU was checked before it went there
        return x
    x = np.asarray(x)
    if x.ndim != 2 or x.dtype.kind not in "iu" or x.size == 0:
        raise UserError(f"characters must be integers of shape (T, B), not {x.dtype} of shape {x.shape}")
    if x.min() < lowest or x.max() >= vocab_size:
        raise UserError(
            f"characters must be numbers from {lowest} to {vocab_size - 1}, but these go from {x.min()} to {x.max()}"
        )
    return x.astype(np.int64) if x.dtype == np.uint64 else x  # NumPy 2.0 cannot take rows by uint64


def check_names(what: str, given: Collection[str], names: Collection[str], all_of_them: bool = True) -> None:
    """Raise a UserError if `given` has a name that is not among `names` or, if `all_of_them`, lacks one."""
    if unknown := sorted(set(given) - set(names)):
        raise UserError(f"the {what} has no {unknown[0]!r}: its names are {', '.join(names)}")
    if all_of_them and (missing := sorted(set(names) - set(given))):
        raise UserError(f"the {what} lacks {missing[0]!r}: its names are {', '.join(names)}")


def check_array(what: str, array: Array, shape: tuple[int, ...], xp: ModuleType) -> None:
    """Check that an array is on the model's device and has the right shape.

    Raises
    ------
    TypeError
        It belongs to another array module.
    UserError
        It has another shape.
    """
    if not isinstance(array, xp.ndarray):
        kind = f"{type(array).__module__}.{type(array).__name__}"
        raise TypeError(f"{what} is a {kind}, but the model computes on {xp.__name__}.ndarray")
    if array.shape != shape:
        raise UserError(f"{what} has shape {array.shape}, but the model needs {shape}")


def check_arrays(what: str, arrays: Mapping[str, Array], shape: tuple[int, ...], xp: ModuleType) -> None:
    """Check several arrays by name, see :func:`check_array`."""
    for name, array in arrays.items():
        check_array(f"{what} {name}", array, shape, xp)
