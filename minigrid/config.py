"""All settings of a training run, with their defaults, units and meaning, in one frozen object."""

import dataclasses
import tomllib
import types
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from minigrid.backend import BACKENDS
from minigrid.batches import SPLITS, check_split
from minigrid.corpora import CORPORA
from minigrid.errors import UserError, did_you_mean
from minigrid.optim import OPTIMIZERS, check_alpha
from minigrid.options import CHOICES, MOST, checked_options
from minigrid.vocabulary import KINDS

TASKS = ("text", "addition")
ONLY_FOR = {"text": ("steps", "split", "val_fraction", "test_fraction"), "addition": ("digits",)}
"""Settings that mean something for one task only."""


def setting(default: Any, help: str, choices: tuple[str, ...] | None = None, group: str = "model") -> Any:
    """Make a field that knows its help text, its choices and the group of options it is shown in."""
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices, "group": group})


@dataclass(frozen=True)
class Config:
    """Settings of a training run; the defaults of model and optimiser are those of the Torch program grid-lstm.

    Every field is an option of ``train.py`` (``val_fraction`` is ``--val-fraction``) and a key of a ``--config`` file.

    Raises
    ------
    UserError
        A value of the wrong type or out of range.
    """

    model: str = setting("grid", "the cell", CHOICES["model"])
    hidden: int = setting(128, "units of each layer")
    layers: int = setting(2, "number of layers")
    tie: str | None = setting(
        None, "grid: weights shared by all layers: those along depth (default), all, or none", CHOICES["tie"]
    )
    priority: str | None = setting(
        None,
        "grid: the depth LSTM reads the new time state (depth, default) or the old one (none)",
        CHOICES["priority"],
    )
    lstm_output: str | None = setting(
        None, "h = o * tanh(c) (standard, default) or h = tanh(o * c) (paper)", CHOICES["lstm_output"]
    )
    dropout: float = setting(0.0, "share of units dropped between layers and before the decoder, 0 to 1")
    embedding: int | None = setting(None, "units of the embedding; default: hidden; 0: one-hot characters")

    task: str = setting("text", "what to learn", TASKS, "data")
    corpus: str | None = setting(None, "a text by name (default: shakespeare)", tuple(CORPORA), "data")
    data: str | None = setting(
        None, "a text file of your own, or a folder with input.txt (default: the corpus)", None, "data"
    )
    tokens: str | None = setting(
        None, "read the text as characters or as bytes (default: the corpus's own)", KINDS, "data"
    )
    split: str = setting("tail", "hold out the end of the text, or the end of every stream (as Torch)", SPLITS, "data")
    val_fraction: float = setting(0.05, "share of the text held out for validation", None, "data")
    test_fraction: float = setting(0.0, "share of the text held out for testing", None, "data")
    digits: int = setting(2, "addition: digits of each number", None, "data")
    batch: int = setting(50, "sequences side by side", None, "data")
    steps: int = setting(50, "characters per minibatch and sequence (text)", None, "data")

    epochs: int = setting(50, "passes over the training text", None, "training")
    max_steps: int | None = setting(
        None, "stop after this many minibatches (default: only the epochs count)", None, "training"
    )
    optimizer: str = setting("rmsprop", "update rule", tuple(OPTIMIZERS), "training")
    lr: float = setting(2e-3, "learning rate", None, "training")
    alpha: float = setting(0.95, "RMSprop: how much of the mean square is kept each step", None, "training")
    lr_decay: float = setting(
        0.97, "factor on the learning rate after each epoch from --lr-decay-after on", None, "training"
    )
    lr_decay_after: int = setting(10, "epochs at the full learning rate", None, "training")
    clip: float = setting(
        5.0, "limit of each gradient element (of the loss summed over steps); 0: none", None, "training"
    )
    clip_norm: float = setting(
        0.0, "limit of the gradient's norm (same scale), before --clip; 0: none", None, "training"
    )
    eval_every: int | None = setting(
        None, "minibatches between validations (default: 1000, or an epoch where shorter)", None, "training"
    )
    seed: int = setting(123, "of everything random", None, "training")
    backend: str = setting("auto", "where to compute; auto: the GPU if there is one", BACKENDS, "training")
    device: int = setting(0, "which GPU, where there are several", None, "training")
    tf32: bool = setting(False, "round what float32 products multiply to 10 bits, on a GPU (TF32)", None, "training")

    def __post_init__(self):
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, checked(field, getattr(self, field.name)))
        self._check_ranges()
        if self.corpus and self.data:
            raise UserError(f"--corpus {self.corpus} and --data {self.data} are two texts: give one of them")
        if self.task == "addition":
            for name in ("corpus", "data", "tokens"):
                if getattr(self, name):
                    raise UserError(f"--{name} makes no sense with --task addition, which makes its own problems")

    def _check_ranges(self) -> None:
        for name in ("hidden", "layers", "batch", "steps", "epochs", "digits", "max_steps", "eval_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{flag(name)} must be at least 1, not {value}")
        for name in ("hidden", "layers", "batch", "steps"):
            if getattr(self, name) > MOST:
                raise UserError(f"{flag(name)} must be at most {MOST:,}, not {getattr(self, name)}")
        for name in ("clip", "clip_norm", "lr_decay_after"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UserError(f"{flag(name)} must be 0 or a positive number, not {getattr(self, name)}")
        if not 0 <= self.seed < 2**64:
            raise UserError(f"--seed must be from 0 to 2^64 - 1, not {self.seed}")
        if not 0 < self.lr < float("inf"):
            raise UserError(f"--lr must be a positive number, not {self.lr}")
        if not 0 < self.lr_decay <= 1:
            raise UserError(f"--lr-decay must be a number above 0, at most 1, not {self.lr_decay}")
        # what else model, optimiser and split would refuse is refused here, before a large text is fetched for nothing
        checked_options(**self.model_options(), vocab_size=1, dtype=CHOICES["dtype"][0])
        check_alpha(self.alpha)
        check_split(self.batch, self.steps, self.split, self.val_fraction, self.test_fraction)

    def model_options(self) -> dict[str, Any]:
        """The part that :class:`minigrid.CharModel` takes, without the vocabulary's size."""
        names = (
            "model",
            "hidden",
            "layers",
            "tie",
            "priority",
            "lstm_output",
            "dropout",
            "embedding",
            "backend",
            "seed",
        )
        return {name: getattr(self, name) for name in names}

    def step_options(self) -> dict[str, Any]:
        """The part that :class:`minigrid.TrainStep` takes."""
        return {
            "optimizer": self.optimizer,
            "lr": self.lr,
            "alpha": self.alpha,
            "clip": self.clip or None,
            "clip_norm": self.clip_norm or None,
        }


def refuse_idle(config: Config, given: Collection[str]) -> None:
    """Refuse settings that were given by name and mean nothing for the task.

    Raises
    ------
    UserError
        There is one.
    """
    for task, names in ONLY_FOR.items():
        for name in names:
            if name in given and config.task != task:
                raise UserError(f"{flag(name)} makes no sense with --task {config.task}: leave it out")


def flag(name: str) -> str:
    """The command-line spelling of a setting."""
    return "--" + name.replace("_", "-")


def value_type(field: dataclasses.Field) -> type:
    """The type of a setting's values, apart from None."""
    kinds = get_args(field.type) if isinstance(field.type, types.UnionType) else (field.type,)
    return next(kind for kind in kinds if kind is not types.NoneType)


def checked(field: dataclasses.Field, value: Any) -> Any:
    """Return a setting's value in its type, or say what is wrong with it."""
    kind, choices = value_type(field), field.metadata["choices"]
    if value is None and field.default is None:
        return None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
        raise UserError(f"{flag(field.name)} must be {names[kind]}, not {value!r}")
    if value == "":
        raise UserError(f"{flag(field.name)} is empty: say which, or leave it out")
    if choices and value not in choices:
        raise UserError(
            f"unknown {field.name} {value!r}{did_you_mean(value, choices)}: choose one of {', '.join(choices)}"
        )
    return value


def read_config_file(path: str) -> dict[str, Any]:
    """Read settings from a TOML file: ``hidden = 256`` and so on, with - or _ in names.

    Raises
    ------
    UserError
        No such file, not TOML, a key that is no setting, or a value of the wrong type.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the config file {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # bad TOML or UTF-8; numbers or nesting without measure
        raise UserError(f"the config file {path} is not valid TOML: {error}") from error
    settings = {key.replace("-", "_"): value for key, value in table.items()}
    known = {field.name: field for field in dataclasses.fields(Config)}
    for key, value in settings.items():
        if isinstance(value, dict):
            raise UserError(f"{path} has a section [{key}]: write its settings at the top, without one")
        if key not in known:
            raise UserError(f"{path}: no setting is called {key!r}{did_you_mean(key, known)}; see train.py --help")
        try:
            checked(known[key], value)
        except UserError as error:
            raise UserError(f"{path}: {str(error).removeprefix('--')}") from error
    return settings
