"""The options of a character model: one frozen object that checks itself.

To add an option, add a field here, with its bounds, and an argument to :class:`minigrid.CharModel`. The command line,
the config files and the checkpoints pick it up from the field.
"""

import dataclasses
import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import numpy as np

from minigrid.backend import BACKENDS
from minigrid.errors import UserError, did_you_mean, shown

MODELS = ("grid", "lstm", "gru", "rnn")
MOST = 1_000_000  # upper bound of every size but the layers: NumPy cannot even count the weights of a larger model
VERY_LARGE = 1_000_000_000


class Range(NamedTuple):
    """The numbers that an option accepts. None means that there is no such bound.

    Attributes
    ----------
    least, most : number or None
        Inclusive bounds.
    above, below : number or None
        Exclusive bounds.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def allows(self, value: float) -> bool:
        """Return whether a number, which may be NaN, is within the bounds."""
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def wanted(self, value: float) -> str:
        """Say which numbers are accepted, to somebody who gave `value`; a very large bound only if it is exceeded."""
        if self.least is not None and self.most is not None:
            if self.most < VERY_LARGE:
                return f"from {self.least:,} to {self.most:,}"
            return f"at least {self.least:,}" if value < self.least else f"at most {self.most:,}"
        words = {
            "at least": self.least,
            "greater than": self.above,
            "at most": self.most,
            "less than": self.below,
        }
        return " and ".join(f"{word} {bound:,}" for word, bound in words.items() if bound is not None)


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
    """Make a dataclass field that carries its help text and the values it accepts.

    Parameters
    ----------
    default : any, optional
        Default value. If it is None, None is accepted too and means "not given".
    help : str
        One line of help. Other options stand in backticks.
    choices : tuple of str, optional
        The only values accepted.
    least, most : number, optional
        Inclusive bounds.
    above, below : number, optional
        Exclusive bounds.
    **more
        Further entries of the field's metadata. `advice` is added to the message about a number out of bounds.
    """
    metadata = {"help": help, "choices": choices, "range": Range(least, most, above, below)}
    return dataclasses.field(default=default, metadata=metadata | more)


def value_type(field: dataclasses.Field) -> type:
    """Return the type of a field's values, leaving None aside."""
    kinds = get_args(field.type) if isinstance(field.type, types.UnionType) else (field.type,)
    return next(kind for kind in kinds if kind is not types.NoneType)


def checked(field: dataclasses.Field, value: Any) -> Any:
    """Check a value for a field made with :func:`option`, and convert it to the field's type.

    Returns
    -------
    any
        The value. NumPy scalars become Python numbers; a whole number becomes a float if the field holds floats.

    Raises
    ------
    UserError
        The value has the wrong type, is out of bounds, or is not one of the choices.
    """
    if value is None and field.default is None:
        return None
    value = _converted(field.name, value, value_type(field))
    choices = field.metadata["choices"]
    if value == "":
        raise UserError(f"`{field.name}` is empty: give a value, or leave it out")
    if choices and value not in choices:
        raise UserError(f"`{field.name}` must be {_one_of(choices)}, not {shown(value)}{did_you_mean(value, choices)}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        _check_number(field.name, value, field.metadata["range"], field.metadata.get("advice"))
    return value


def _converted(name: str, value: Any, kind: type) -> Any:
    """Return the value in the type `kind`, if that loses nothing."""
    if isinstance(value, np.generic):  # JSON, in which settings are saved, has no NumPy scalars
        value = value.item()
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if kind is float and is_whole:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if not isinstance(value, kind) or (kind is int and not is_whole):
        names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
        raise UserError(f"`{name}` must be {names[kind]}, not {shown(value)}")
    return value


def _check_number(name: str, value: float, allowed: Range, advice: str | None = None) -> None:
    """Raise a UserError, which ends with the advice, unless the number is finite and within the bounds."""
    ending = f": {advice}" if advice else ""
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"`{name}` must be a finite number, not {value}{ending}")
    if not allowed.allows(value):
        raise UserError(f"`{name}` must be {allowed.wanted(value)}, not {shown(value)}{ending}")


def _one_of(choices: Sequence[str]) -> str:
    """List choices as a sentence does: ``a, b or c``."""
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def check_fields(options: Any) -> None:
    """Check every field of a frozen dataclass made of :func:`option` fields, and convert it to its type."""
    for field in dataclasses.fields(options):
        _replace(options, field.name, checked(field, getattr(options, field.name)))


def _replace(options: Any, name: str, value: Any) -> None:
    """Set a field of a frozen dataclass while the object is being made."""
    object.__setattr__(options, name, value)


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The model options that you choose for a training run; see :class:`minigrid.CharModel`."""

    model: str = option("grid", "cell that the layers are made of", choices=MODELS)
    hidden: int = option(128, "units per layer", least=1, most=MOST)
    layers: int = option(2, "number of layers", least=1, most=1000)
    tie: str | None = option(
        None,
        "grid: which weights the layers share: those of the depth LSTM (depth, the default), all (layers), or none",
        choices=("depth", "layers", "none"),
        models=("grid",),
    )
    priority: str | None = option(
        None,
        "grid: the depth LSTM reads the new hidden state along time (depth, the default) or the previous one (none)",
        choices=("depth", "none"),
        models=("grid",),
    )
    lstm_output: str | None = option(
        None,
        "grid and lstm: h = o * tanh(c) (standard, the default) or h = tanh(o * c) (paper)",
        choices=("standard", "paper"),
        models=("grid", "lstm"),
    )
    dropout: float = option(
        0.0, "probability of dropping a unit between layers and before the decoder, in training", least=0, below=1
    )
    embedding: int | None = option(
        None,
        "size of the character embedding; 0 means one-hot characters (default: the same as `hidden`)",
        least=0,
        most=MOST,
    )


@dataclass(frozen=True, kw_only=True)
class ModelOptions(ModelSettings):
    """Everything that determines a :class:`minigrid.CharModel`, with the defaults filled in.

    Raises
    ------
    UserError
        A value has the wrong type, is out of bounds or unknown, or belongs to an option that the model does not have.
    """

    vocab_size: int = option(least=1, most=MOST)
    dtype: str = option("float32", choices=("float32", "float64"))
    backend: str = option("numpy", choices=BACKENDS)
    seed: int = option(0, least=0, most=2**64 - 1)

    def __post_init__(self) -> None:
        check_fields(self)
        for field in dataclasses.fields(self):
            if models := field.metadata.get("models"):
                _replace(self, field.name, self._value_for_model(field, models))
        if self.embedding is None:
            _replace(self, "embedding", self.hidden)
        if self.model == "grid" and self.embedding != self.hidden:
            raise UserError(
                f"`embedding` must equal `hidden` ({self.hidden}) in a grid model, not {self.embedding}: leave it out, "
                "because the embedding is the grid's first hidden state along depth"
            )

    def _value_for_model(self, field: dataclasses.Field, models: tuple[str, ...]) -> str | None:
        """Return the value of an option that only some models have: the default if not given, None for the others."""
        value = getattr(self, field.name)
        if self.model in models:
            return field.metadata["choices"][0] if value is None else value
        if value is not None:
            raise UserError(
                f"`{field.name}` does not apply to `model` {self.model}, only to {' and '.join(models)}: leave it out, "
                "or choose another model"
            )
        return None


CHOICES: Mapping[str, tuple[str, ...]] = {
    field.name: field.metadata["choices"] for field in dataclasses.fields(ModelOptions) if field.metadata["choices"]
}
"""The values that each option of a model accepts, by the option's name."""


def check_sizes(**sizes: int) -> None:
    """Check that each of these sizes, given by name, is a whole number from 1 to `MOST`.

    Raises
    ------
    UserError
        One of them is not.
    """
    for name, size in sizes.items():
        _check_number(name, _converted(name, size, int), Range(least=1, most=MOST))
