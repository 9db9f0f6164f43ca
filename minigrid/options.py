"""The options of a character model: what each may be, its default, and what is said of a wrong one."""

from typing import Any

import numpy as np

from minigrid.cells import CELLS
from minigrid.errors import UserError, did_you_mean

MOST = 1_000_000  # of any size; beyond, NumPy cannot even count the weights

CHOICES = {
    "model": tuple(CELLS),
    "tie": ("depth", "layers", "none"),
    "priority": ("depth", "none"),
    "lstm_output": ("standard", "paper"),
    "dtype": ("float32", "float64"),
}
"""What each option of :class:`CharModel` may be, the default first."""


def checked_options(**given: Any) -> dict[str, Any]:
    """Return the arguments of :class:`minigrid.CharModel` with every default filled in.

    Raises
    ------
    UserError
        An unknown name, a size or a rate out of range, or an option that the model does not have.
    """
    model, seed, dropout = (given[name] for name in ("model", "seed", "dropout"))
    _check_choice("model", model)
    _check_choice("dtype", given["dtype"])
    check_sizes(**{name: given[name] for name in ("vocab_size", "hidden", "layers")})
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
        raise UserError(f"seed must be a whole number from 0 to 2**64 - 1, not {seed!r}")
    if not 0 <= dropout < 1:
        raise UserError(f"dropout {dropout} is not a rate: give a number from 0 up to, not including, 1")
    sizes = {name: int(given[name]) for name in ("vocab_size", "hidden", "layers")}  # JSON knows no NumPy number
    others = {
        "tie": _option("tie", given["tie"], model, ("grid",)),
        "priority": _option("priority", given["priority"], model, ("grid",)),
        "lstm_output": _option("lstm_output", given["lstm_output"], model, ("grid", "lstm")),
        "embedding": _embedding_size(given["embedding"], given["hidden"], model),
    }
    return given | sizes | others


def _check_choice(option: str, value: Any) -> None:
    choices = CHOICES[option]
    if value not in choices:
        raise UserError(
            f"unknown {option} {value!r}{did_you_mean(str(value), choices)}: choose one of {', '.join(choices)}"
        )


def check_sizes(**sizes: int) -> None:
    """Raise a UserError where one of the sizes, by their names, is no whole number from 1 to `MOST`."""
    for name, size in sizes.items():
        if not isinstance(size, int | np.integer) or size < 1:
            raise UserError(f"{name} must be a whole number of at least 1, not {size!r}")
        if size > MOST:
            raise UserError(f"{name} must be at most {MOST:,}, not {size}")


def _option(name: str, value: str | None, model: str, models: tuple[str, ...]) -> str | None:
    """Fill in the default of an option that only some models have; refuse it elsewhere."""
    if model in models:
        value = CHOICES[name][0] if value is None else value
        _check_choice(name, value)
        return value
    if value is not None:
        raise UserError(f"{name} {value!r} makes no sense for the model {model}: it belongs to {' and '.join(models)}")
    return None


def _embedding_size(embedding: int | None, hidden: int, model: str) -> int:
    if embedding is None:
        return hidden
    if isinstance(embedding, int | np.integer) and embedding > MOST:
        raise UserError(f"embedding must be at most {MOST:,}, not {embedding}")
    if not isinstance(embedding, int | np.integer) or embedding < 0:
        raise UserError(f"embedding must be a whole number of at least 0 (0: one-hot characters), not {embedding!r}")
    if model == "grid" and embedding != hidden:
        raise UserError(
            f"embedding {embedding} does not fit the grid, whose first depth state is the embedding: "
            f"leave it out, or give hidden's {hidden}"
        )
    return embedding
