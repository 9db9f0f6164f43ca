"""The description stored in a checkpoint: its fields, the values they may have, and older formats.

The three dataclasses below are the one place where the fields are listed. Whoever changes them increases `FORMAT` and
adds a step to :func:`migrate`, so that files of every older format stay readable. The settings of a run are the
exception: they are the fields of :class:`minigrid.runs.config.Config`, and one that a file lacks has its default.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import UserError, named, shown
from minigrid.nn.options import ModelOptions, checked, option, value_type
from minigrid.runs.records import LARGEST_LOSS, MOST_COUNT, Record, checked_record
from minigrid.version import __version__

FORMAT = 2
FORMAT_1 = "minigrid checkpoint 1"
"""The value of ``format`` in files of the first format."""

Table = dict[str, Any]
Described = TypeVar("Described")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run had come when it wrote the checkpoint.

    Attributes
    ----------
    number : int
        Training steps done.
    lr : float
        Learning rate of the last step.
    losses : tuple of float
        Losses since the last training record, in nats.
    best : float or None
        Best validation loss so far, in nats; None before the first validation.
    inherits : bool
        Whether the run began with the parameters of another one.
    records : int
        How many records of ``metrics.jsonl`` belong to the checkpoint.
    metrics : tuple of dict or None
        The records themselves, if the file was of format 1 and contained them.
    """

    number: int = option(least=0, most=MOST_COUNT)
    lr: float = option(least=0)
    losses: tuple[float, ...]
    best: float | None = option(None, least=-LARGEST_LOSS, most=LARGEST_LOSS)
    inherits: bool = option()
    records: int = option(least=0, most=MOST_COUNT)
    metrics: tuple[Table, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class RunMeta:
    """The run that trained the model.

    Attributes
    ----------
    config : dict
        Its settings.
    sha256 : str or None
        Hash of its text; None for a task without a text.
    progress : Progress or None
        None if the file contains parameters only, from which the run cannot be resumed.
    """

    config: Table
    sha256: str | None = option(None)
    progress: Progress | None = None


@dataclass(frozen=True, kw_only=True)
class Meta:
    """The whole description; ``Meta(model=model.options, vocabulary=vocabulary)`` describes a model without a run.

    Attributes
    ----------
    format : int
        Format of the file.
    version : str or None
        Version of minigrid that wrote the file; None if unknown, or not written yet.
    model : ModelOptions
        Options of the model.
    vocabulary : Vocabulary
        Its symbols.
    run : RunMeta or None
        None if no run wrote the file.
    made : dict or None
        How a pretrained model was made.

    Raises
    ------
    UserError
        The model and the vocabulary have different sizes.
    """

    format: int = option(FORMAT, least=FORMAT, most=FORMAT)
    version: str | None = option(None)
    model: ModelOptions
    vocabulary: Vocabulary
    run: RunMeta | None = None
    made: Table | None = None

    def __post_init__(self) -> None:
        if len(self.vocabulary) != self.model.vocab_size:
            raise UserError(
                f"the model is made for {self.model.vocab_size} symbols, but the vocabulary has {len(self.vocabulary)}"
            )


def to_json(meta: Meta) -> dict[str, Any]:
    """Return a description as plain values, signed with the present version."""
    return dataclasses.asdict(meta) | {"format": FORMAT, "version": __version__}


def from_json(values: Mapping[str, Any], source: str) -> Meta:
    """Read a description of any format up to the present one.

    Parameters
    ----------
    values : mapping
        What the JSON in the file says.
    source : str
        The file, for messages.

    Raises
    ------
    UserError
        A newer format; an unknown, missing or wrong field.
    """
    version = values.get("version")
    if isinstance(values.get("format"), int) and values["format"] > FORMAT:
        raise UserError(
            f"{source} is a checkpoint of format {shown(values['format'])}, written by {_writer(version, 'a newer')}, "
            f"but this is minigrid {__version__}, which reads formats up to {FORMAT}: update minigrid"
        )
    try:
        return _described(Meta, migrate(dict(values)))
    except UserError as error:
        problem = str(error).rstrip(".").replace("`", "'")  # these are fields of the file, not parameters
        raise UserError(
            f"the description in the checkpoint {source} is not valid: {problem}; the file, written by "
            f"{_writer(version, 'an older')}, is damaged or does not suit this version, so use another checkpoint"
        ) from error


def _writer(version: Any, otherwise: str) -> str:
    """Name the version that wrote a file, if the file says it."""
    return f"minigrid {named(version)}" if isinstance(version, str) else f"{otherwise} version"


def migrate(meta: dict[str, Any]) -> dict[str, Any]:
    """Bring the description in a file of an older format to the present one, field by field and unchecked."""
    if meta.get("format") == FORMAT_1:
        meta = _from_format_1(meta)
    return meta


def _from_format_1(old: dict[str, Any]) -> dict[str, Any]:
    """Sort the fields, all on one level in format 1; a file of parameters only has no ``step``."""
    new = _those(old, "model", "vocabulary") | {"format": 2, "version": None, "run": None, "made": old.get("made")}
    if "config" in old:
        new["run"] = _those(old, "config", "sha256") | {"progress": None}
    if "config" in old and "step" in old:
        step, metrics = old["step"], old.get("metrics")
        new["run"]["progress"] = {
            **_those(step if isinstance(step, dict) else {}, "number", "lr"),
            **_those(old, "losses", "best", "metrics"),
            "inherits": old.get("inherits", False),
            "records": len(metrics) if isinstance(metrics, list) else 0,
        }
    return new


def _those(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


# -- checking


class FieldError(UserError):
    """A field that is missing, unknown or wrong; `path` names the tables around it, from the outside in."""

    def __init__(self, problem: str, path: tuple[str, ...] = ()):
        super().__init__(f"in `{'.'.join(path)}`, {problem}" if path else problem)
        self.problem, self.path = problem, path


def _described(kind: type[Described], values: Any) -> Described:
    """Build one of the dataclasses above from plain values, every one of which is checked."""
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    _check_names(_table(values), known=set(fields), required=set(fields))
    return kind(**{name: _checked(field, values[name]) for name, field in fields.items()})


def _check_names(values: Table, known: set[str], required: set[str]) -> None:
    if missing := sorted(required - set(values)):
        raise FieldError(f"`{missing[0]}` is missing")
    if unknown := sorted(set(values) - known):
        raise FieldError(f"`{named(unknown[0])}` is unknown")


def _checked(field: dataclasses.Field, value: Any) -> Any:
    if value is None and field.default is None:
        return None
    read = READERS.get(value_type(field))
    if read is None:
        return checked(field, value)
    try:
        return read(value)
    except FieldError as error:
        raise FieldError(error.problem, (field.name, *error.path)) from error
    except UserError as error:
        raise FieldError(str(error), (field.name,)) from error


def _table(value: Any) -> Table:
    if not isinstance(value, dict):
        raise FieldError(f"it must be a table of names and values, not {shown(value)}")
    return value


def _numbers(value: Any) -> tuple[float, ...]:
    # nan is not less than anything
    if not all(type(number) in (int, float) and abs(number) <= LARGEST_LOSS for number in _list(value)):
        raise FieldError(f"it must be a list of finite numbers, not {shown(value)}")
    return tuple(map(float, value))


def _records(value: Any) -> tuple[Record, ...]:
    return tuple(map(checked_record, _list(value)))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise FieldError(f"it must be a list, not {shown(value)}")
    return value


def _model_options(value: Any) -> ModelOptions:
    fields = dataclasses.fields(ModelOptions)
    required = {field.name for field in fields if field.default is dataclasses.MISSING}
    _check_names(_table(value), known={field.name for field in fields}, required=required)
    return ModelOptions(**value)


def _vocabulary(value: Any) -> Vocabulary:
    _check_names(_table(value), known={"tokens", "symbols"}, required={"tokens", "symbols"})
    if not all(type(symbol) is int for symbol in _list(value["symbols"])):
        raise FieldError(f"`symbols` must be whole numbers, not {shown(value['symbols'])}")
    return Vocabulary.from_json(value)


READERS: dict[Any, Callable[[Any], Any]] = {
    Table: _table,
    tuple[float, ...]: _numbers,
    tuple[Table, ...]: _records,
    ModelOptions: _model_options,
    Vocabulary: _vocabulary,
    RunMeta: lambda value: _described(RunMeta, value),
    Progress: lambda value: _described(Progress, value),
}
"""How fields of these types are read; :func:`minigrid.nn.options.checked` reads the others."""
