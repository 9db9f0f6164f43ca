"""The options of a character model: one frozen object that checks itself.

A new option needs a field here, with its bounds, and an argument of :class:`minigrid.CharModel`. The command line, the
config files and the checkpoints follow by themselves.
"""

import dataclasses
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from minigrid.errors import UserError, did_you_mean

MODELS = ("grid", "lstm", "gru", "rnn")
MOST = 1_000_000  # of any size; beyond, NumPy cannot even count the weights


def option(
    default: Any = dataclasses.MISSING,
    help: str = "",
    *,
    choices: tuple[str, ...] | None = None,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    **more: Any,
) -> Any:
    """Make a dataclass field that knows its help text and which values it may have.

    Parameters
    ----------
    default : any, optional
        Default value. None also allows None, which then means "not given".
    help : str
        One line for ``--help``.
    choices : tuple of str, optional
        The only values allowed.
    least, most, above, below : number, optional
        Bounds: the first two are allowed themselves, the last two are not.
    **more
        Anything else to keep in the field's metadata.
    """
    metadata = {"help": help, "choices": choices, "least": least, "most": most, "above": above, "below": below}
    return dataclasses.field(default=default, metadata=metadata | more)


def value_type(field: dataclasses.Field) -> type:
    """Return the type of a field's values, apart from None."""
    kinds = get_args(field.type) if isinstance(field.type, types.UnionType) else (field.type,)
    return next(kind for kind in kinds if kind is not types.NoneType)


def checked(field: dataclasses.Field, value: Any) -> Any:
    """Return a value for a field made with :func:`option`, in the field's type.

    Raises
    ------
    UserError
        A value of the wrong type, out of bounds, or none of the choices.
    """
    name, kind, choices = field.name, value_type(field), field.metadata["choices"]
    if value is None and field.default is None:
        return None
    if isinstance(value, np.generic):  # JSON knows no NumPy numbers
        value = value.item()
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
        raise UserError(f"`{name}` must be {names[kind]}, not {value!r}")
    if value == "":
        raise UserError(f"`{name}` is empty: give a value, or leave it out")
    if isinstance(value, str) and choices and value not in choices:
        raise UserError(f"unknown {name} {value!r}{did_you_mean(value, choices)}: choose one of {', '.join(choices)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"`{name}` must be a finite number, not {value}")
    if isinstance(value, int | float) and not all(holds(value) for holds, _ in _bounds(field)):
        allowed = " and ".join(words for _, words in _bounds(field))
        raise UserError(f"`{name}` must be {allowed}, not {value}")
    return value


def _bounds(field: dataclasses.Field) -> list[tuple[Callable[[float], bool], str]]:
    """List the bounds of a field: whether a value keeps to it, and how to say it."""
    least, most, above, below = (field.metadata[bound] for bound in ("least", "most", "above", "below"))
    bounds = [
        (least, lambda value: value >= least, "at least"),
        (above, lambda value: value > above, "greater than"),
        (most, lambda value: value <= most, "at most"),
        (below, lambda value: value < below, "less than"),
    ]
    return [(holds, f"{words} {bound:,}") for bound, holds, words in bounds if bound is not None]


def check_fields(options: Any) -> None:
    """Check every field of a frozen dataclass made of :func:`option` fields, and bring it into its type."""
    for field in dataclasses.fields(options):
        object.__setattr__(options, field.name, checked(field, getattr(options, field.name)))


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The options of a model that a training run lets you choose; see :class:`minigrid.CharModel`."""

    model: str = option("grid", "the cell", choices=MODELS)
    hidden: int = option(128, "units per layer", least=1, most=MOST)
    layers: int = option(2, "number of layers", least=1, most=MOST)
    tie: str | None = option(
        None,
        "grid: weights that all layers share: those along depth (default), all, or none",
        choices=("depth", "layers", "none"),
        models=("grid",),
    )
    priority: str | None = option(
        None,
        "grid: the depth LSTM reads the new time state (depth, the default) or the old one (none)",
        choices=("depth", "none"),
        models=("grid",),
    )
    lstm_output: str | None = option(
        None,
        "h = o * tanh(c) (standard, the default) or h = tanh(o * c) (paper)",
        choices=("standard", "paper"),
        models=("grid", "lstm"),
    )
    dropout: float = option(0.0, "share of units dropped between layers and before the decoder", least=0, below=1)
    embedding: int | None = option(
        None, "units of the embedding; 0: one-hot characters (default: as many as hidden)", least=0, most=MOST
    )


@dataclass(frozen=True, kw_only=True)
class ModelOptions(ModelSettings):
    """Everything that determines a :class:`minigrid.CharModel`, with the defaults filled in.

    Raises
    ------
    UserError
        An unknown name, a size or a rate out of bounds, or an option that the model does not have.
    """

    vocab_size: int = option(least=1, most=MOST)
    dtype: str = option("float32", choices=("float32", "float64"))
    backend: str = "numpy"  # checked where it is chosen, see minigrid.backend
    seed: int = option(0, least=0, most=2**64 - 1)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.metadata:
                object.__setattr__(self, field.name, checked(field, getattr(self, field.name)))
            if models := field.metadata.get("models"):
                object.__setattr__(self, field.name, self._of_models(field, models))
        if self.embedding is None:
            object.__setattr__(self, "embedding", self.hidden)
        if self.model == "grid" and self.embedding != self.hidden:
            raise UserError(
                f"`embedding` must equal `hidden` ({self.hidden}) in a grid, not {self.embedding}: "
                "the embedding is the first hidden state along depth, so leave it out"
            )

    def _of_models(self, field: dataclasses.Field, models: tuple[str, ...]) -> str | None:
        """Fill in the default of an option that only some models have; refuse it for the others."""
        value = getattr(self, field.name)
        if self.model in models:
            return field.metadata["choices"][0] if value is None else value
        if value is not None:
            raise UserError(
                f"`{field.name}` is an option of {' and '.join(models)}, not of {self.model}: leave it out, "
                "or choose another `model`"
            )
        return None


CHOICES: Mapping[str, tuple[str, ...]] = {
    field.name: field.metadata["choices"] for field in dataclasses.fields(ModelOptions) if field.metadata.get("choices")
}
"""The values that each option may have, the default first."""


def check_sizes(**sizes: int) -> None:
    """Raise a UserError if one of these sizes, given by name, is not a whole number from 1 to `MOST`."""
    for name, size in sizes.items():
        if not isinstance(size, int | np.integer) or isinstance(size, bool):
            raise UserError(f"`{name}` must be a whole number, not {size!r}")
        if not 1 <= size <= MOST:
            raise UserError(f"`{name}` must be from 1 to {MOST:,}, not {size}")
