"""The description stored in a checkpoint: its fields, the values they may have, and older formats.

The dataclasses below are the one place where the fields are listed. A change to them is a new `FORMAT` and a new step
in :func:`migrate`, so that files of every older format stay readable. The settings of a run are the exception: they
are those of :class:`minigrid.runs.config.Config`, and a setting that a file lacks has its default.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import UserError
from minigrid.nn.options import ModelOptions, checked, option
from minigrid.version import __version__

FORMAT = 2
FORMAT_1 = "minigrid checkpoint 1"
"""What the first format has in its field ``format``."""

Described = TypeVar("Described")


class FieldError(UserError):
    """A field that is missing, unknown or wrong; `path` names the tables around it, from the outside in."""

    def __init__(self, problem: str, path: tuple[str, ...] = ()):
        super().__init__(f"in `{'.'.join(path)}`, {problem}" if path else problem)
        self.problem, self.path = problem, path


# -- reading single fields


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FieldError(f"it must be a table of names and values, not {_shown(value)}")
    return value


def _optional_table(value: Any) -> dict[str, Any] | None:
    return None if value is None else _table(value)


def _numbers(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or not all(
        type(number) in (int, float) and math.isfinite(number) for number in value
    ):
        raise FieldError(f"it must be a list of finite numbers, not {_shown(value)}")
    return tuple(map(float, value))


def _optional_records(value: Any) -> tuple[dict[str, Any], ...] | None:
    if value is not None and not isinstance(value, list):
        raise FieldError(f"it must be a list of records, not {_shown(value)}")
    if value is None:
        return None
    for record in value:
        _check_names(_table(record), known=set(record), required={"split", "step", "loss"})
    return tuple(value)


def _model_options(value: Any) -> ModelOptions:
    options = _table(value)
    fields = {one.name: one for one in dataclasses.fields(ModelOptions)}
    required = {name for name, one in fields.items() if one.default is dataclasses.MISSING}
    _check_names(options, known=set(fields), required=required)
    return ModelOptions(**options)


def _vocabulary(value: Any) -> Vocabulary:
    _check_names(_table(value), known={"tokens", "symbols"}, required={"tokens", "symbols"})
    symbols = value["symbols"]
    if not isinstance(symbols, list) or not all(type(symbol) is int for symbol in symbols):
        raise FieldError(f"`symbols` must be a list of whole numbers, not {_shown(symbols)}")
    return Vocabulary.from_json(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


# -- the fields


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run had come when it wrote the checkpoint."""

    number: int = option(help="training steps done", least=0)
    lr: float = option(help="learning rate of the last step", least=0)
    losses: tuple[float, ...] = field(metadata={"read": _numbers})  # since the last training record, nats
    best: float | None = option(None, "best validation loss so far, nats")
    inherits: bool = option(help="whether the run began with the parameters of another one")
    records: int = option(help="number of records in metrics.jsonl that belong to the checkpoint", least=0)
    metrics: tuple[dict[str, Any], ...] | None = field(  # the records themselves, in files of format 1 only
        default=None, metadata={"read": _optional_records}
    )


def _progress(value: Any) -> Progress | None:
    return None if value is None else _described(Progress, value)


@dataclass(frozen=True, kw_only=True)
class RunMeta:
    """The run that trained the model."""

    config: dict[str, Any] = field(metadata={"read": _table})  # settings, see minigrid.runs.config
    sha256: str | None = option(None, "hash of the text; None if the task has none")
    progress: Progress | None = field(default=None, metadata={"read": _progress})  # None: cannot be resumed


def _run(value: Any) -> RunMeta | None:
    return None if value is None else _described(RunMeta, value)


@dataclass(frozen=True, kw_only=True)
class Meta:
    """The description in a checkpoint; ``Meta(model=model.options, vocabulary=vocabulary)`` describes a model alone.

    Raises
    ------
    UserError
        The model and the vocabulary differ in size.
    """

    format: int = option(FORMAT, "format of the file", least=FORMAT, most=FORMAT)
    version: str | None = option(None, "version of minigrid that wrote the file; None if unknown or not yet written")
    model: ModelOptions = field(metadata={"read": _model_options})
    vocabulary: Vocabulary = field(metadata={"read": _vocabulary})
    run: RunMeta | None = field(default=None, metadata={"read": _run})  # None: no run wrote the file
    made: dict[str, Any] | None = field(default=None, metadata={"read": _optional_table})  # of a pretrained model

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
    written_by = values.get("version")
    if isinstance(values.get("format"), int) and values["format"] > FORMAT:
        raise UserError(
            f"{source} is a checkpoint of format {values['format']}, written by minigrid {written_by}, but this is "
            f"minigrid {__version__}, which reads formats up to {FORMAT}: update minigrid"
        )
    try:
        return _described(Meta, migrate(dict(values)))
    except UserError as error:
        writer = f"minigrid {written_by}" if isinstance(written_by, str) else "an older version"
        raise UserError(
            f"the description in the checkpoint {source} is not valid: {error}; the file was written by {writer} and "
            "is damaged or does not suit this version, so use another checkpoint"
        ) from error


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


def _described(kind: type[Described], values: Any) -> Described:
    """Build one of the dataclasses above from plain values, every one of which is checked."""
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    _check_names(_table(values), known=set(fields), required=set(fields))
    return kind(**{name: _checked(field, values[name]) for name, field in fields.items()})


def _check_names(values: dict[str, Any], known: set[str], required: set[str]) -> None:
    if missing := sorted(required - set(values)):
        raise FieldError(f"`{missing[0]}` is missing")
    if unknown := sorted(set(values) - known):
        raise FieldError(f"`{unknown[0]}` is unknown")


def _checked(field: dataclasses.Field, value: Any) -> Any:
    if not (read := field.metadata.get("read")):
        return checked(field, value)
    try:
        return read(value)
    except FieldError as error:
        raise FieldError(error.problem, (field.name, *error.path)) from error
    except UserError as error:
        raise FieldError(str(error), (field.name,)) from error
