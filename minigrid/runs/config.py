"""All settings of a training run, with their defaults, units and meaning, in one frozen object."""

import dataclasses
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigrid.backend import BACKENDS
from minigrid.data.batches import SPLITS, check_split
from minigrid.data.corpora import CORPORA
from minigrid.data.vocabulary import KINDS
from minigrid.errors import UserError, did_you_mean
from minigrid.nn.options import MOST, ModelOptions, ModelSettings, check_fields, checked, option
from minigrid.training.optim import OPTIMIZERS

TASKS = ("text", "addition")
ONLY_FOR = {"text": ("steps", "split", "val_fraction", "test_fraction"), "addition": ("digits",)}
"""Settings that apply to one task only."""


@dataclass(frozen=True, kw_only=True)
class Config(ModelSettings):
    """Settings of a training run; the defaults of model and optimiser are those of the Torch program grid-lstm.

    Every field is an option of ``train.py`` (``val_fraction`` is ``--val-fraction``) and a key of a ``--config`` file.

    Raises
    ------
    UserError
        A value of the wrong type or out of bounds.
    """

    task: str = option("text", "what to learn", choices=TASKS, group="data")
    corpus: str | None = option(None, "a text by name (default: shakespeare)", choices=tuple(CORPORA), group="data")
    data: str | None = option(
        None, "a text file of your own, or a folder with an input.txt (default: the corpus)", group="data"
    )
    tokens: str | None = option(
        None, "read the text as characters or as bytes (default: depends on the corpus)", choices=KINDS, group="data"
    )
    split: str = option(
        "tail",
        "hold out the end of the text (tail), or the end of every stream (stripes, as Torch does)",
        choices=SPLITS,
        group="data",
    )
    val_fraction: float = option(0.05, "share of the text held out for validation", least=0, below=1, group="data")
    test_fraction: float = option(0.0, "share of the text held out for testing", least=0, below=1, group="data")
    digits: int = option(2, "addition: digits of each number", least=1, group="data")
    batch: int = option(50, "sequences read side by side", least=1, most=MOST, group="data")
    steps: int = option(50, "text: characters per sequence and minibatch", least=1, most=MOST, group="data")

    epochs: int = option(50, "passes over the training text", least=1, group="training")
    max_steps: int | None = option(
        None, "stop after this many minibatches (default: no limit)", least=1, group="training"
    )
    optimizer: str = option("rmsprop", "update rule", choices=tuple(OPTIMIZERS), group="training")
    lr: float = option(2e-3, "learning rate", above=0, group="training")
    alpha: float = option(
        0.95, "RMSprop: share of the mean square that is kept at each step", least=0, below=1, group="training"
    )
    lr_decay: float = option(
        0.97, "factor on the learning rate after each epoch beyond lr_decay_after", above=0, most=1, group="training"
    )
    lr_decay_after: int = option(10, "epochs at the full learning rate", least=0, group="training")
    clip: float = option(
        5.0,
        "limit for each element of the gradient (of the loss summed over steps); 0: none",
        least=0,
        group="training",
    )
    clip_norm: float = option(
        0.0,
        "limit for the norm of the gradient (same scale), applied before clip; 0: none",
        least=0,
        group="training",
    )
    eval_every: int | None = option(
        None,
        "minibatches between validations (default: 1000, or one epoch if that is shorter)",
        least=1,
        group="training",
    )
    seed: int = option(123, "seed of everything random", least=0, most=2**64 - 1, group="training")
    backend: str = option(
        "auto", "where to compute; auto: on the GPU if there is one", choices=BACKENDS, group="training"
    )
    device: int = option(0, "which GPU, if there are several", group="training")
    tf32: bool = option(False, "on a GPU, round the factors of float32 products to 10 bits (TF32)", group="training")

    def __post_init__(self) -> None:
        check_fields(self)
        if self.corpus and self.data:
            raise UserError(f"`corpus` {self.corpus} and `data` {self.data} are two texts: give one of them")
        if self.task == "addition":
            for name in ("corpus", "data", "tokens"):
                if getattr(self, name):
                    raise UserError(f"`{name}` does not apply to `task` addition, which makes its own problems")
        # refuse here what the model and the split would refuse later, before a large text is fetched for nothing
        ModelOptions(**self.model_options(), vocab_size=1)
        check_split(self.batch, self.steps, self.split, self.val_fraction, self.test_fraction)

    def model_options(self) -> dict[str, Any]:
        """Return the arguments of :class:`minigrid.CharModel`, except for the vocabulary's size and the dtype."""
        names = {field.name for field in dataclasses.fields(ModelOptions)}
        return {name: value for name, value in dataclasses.asdict(self).items() if name in names}

    def step_options(self) -> dict[str, Any]:
        """Return the arguments of :class:`minigrid.TrainStep`."""
        return {
            "optimizer": self.optimizer,
            "lr": self.lr,
            "alpha": self.alpha,
            "clip": self.clip or None,
            "clip_norm": self.clip_norm or None,
        }


def refuse_idle(config: Config, given: Collection[str]) -> None:
    """Refuse settings that were given by name but do not apply to the task.

    Raises
    ------
    UserError
        There is one.
    """
    for task, names in ONLY_FOR.items():
        for name in names:
            if name in given and config.task != task:
                raise UserError(f"`{name}` does not apply to `task` {config.task}: leave it out")


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
            raise UserError(f"{path}: no setting is called {key!r}{did_you_mean(key, known)}; see `train.py --help`")
        try:
            checked(known[key], value)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    return settings
