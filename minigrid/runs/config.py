"""All settings of a training run, with their defaults and bounds, in one frozen object."""

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
from minigrid.errors import UserError, did_you_mean, named
from minigrid.files import read_plain
from minigrid.nn.options import MOST, ModelOptions, ModelSettings, check_fields, checked, option
from minigrid.training.optim import OPTIMIZERS

MOST_BYTES = 1_000_000  # of a config file
MOST_STEPS = 10**12  # which no run will ever reach

TASKS = ("text", "addition")
ONLY_FOR = {"text": ("steps", "split", "val_fraction", "test_fraction"), "addition": ("digits",)}
"""Settings that apply to one task only."""


@dataclass(frozen=True, kw_only=True)
class Config(ModelSettings):
    """Settings of a training run. The defaults are those of the Torch program grid-lstm.

    Every field is also an option of the ``train`` command and a key of its config files.

    Raises
    ------
    UserError
        A value has the wrong type or is out of bounds, or two settings contradict each other.
    """

    task: str = option("text", "what the model learns", choices=TASKS, group="data")
    corpus: str | None = option(
        None, "text to train on, by name (default: shakespeare)", choices=tuple(CORPORA), group="data"
    )
    data: str | None = option(
        None, "text file to train on, or a folder that holds an input.txt (default: the corpus)", group="data"
    )
    tokens: str | None = option(
        None,
        "read the text as Unicode characters or as bytes (default: bytes for enwik8, text8 and wiki-excerpt, "
        "otherwise chars)",
        choices=KINDS,
        group="data",
    )
    split: str = option(
        "tail",
        "hold out the end of the text (tail) or, like the Torch programs, the end of each of the batch's streams "
        "(stripes)",
        choices=SPLITS,
        group="data",
    )
    val_fraction: float = option(0.05, "fraction of the text held out for validation", least=0, below=1, group="data")
    test_fraction: float = option(0.0, "fraction of the text held out for testing", least=0, below=1, group="data")
    digits: int = option(2, "addition: number of digits of each operand", least=1, group="data")
    batch: int = option(50, "sequences per minibatch", least=1, most=MOST, group="data")
    steps: int = option(50, "text: characters per sequence in a minibatch", least=1, most=MOST, group="data")

    epochs: int = option(50, "number of passes over the training text", least=1, most=MOST_STEPS, group="training")
    max_steps: int | None = option(
        None, "stop after this many minibatches (default: no limit)", least=1, most=MOST_STEPS, group="training"
    )
    optimizer: str = option("rmsprop", "update rule", choices=tuple(OPTIMIZERS), group="training")
    lr: float = option(2e-3, "learning rate", above=0, group="training")
    alpha: float = option(
        0.95, "RMSprop: decay rate of the running mean of squared gradients", least=0, below=1, group="training"
    )
    lr_decay: float = option(
        0.97,
        "multiply the learning rate by this for every epoch after the first `lr_decay_after`; 1 means no decay",
        above=0,
        most=1,
        group="training",
    )
    lr_decay_after: int = option(
        10, "number of epochs with the full learning rate", least=0, most=MOST_STEPS, group="training"
    )
    clip: float = option(
        5.0,
        "limit on each element of the gradient (of the loss summed over the steps); 0 means no limit",
        least=0,
        group="training",
    )
    clip_norm: float = option(
        0.0,
        "limit on the norm of the same gradient, applied before `clip`; 0 means no limit",
        least=0,
        group="training",
    )
    eval_every: int | None = option(
        None,
        "number of minibatches between validations (default: 1000, or one epoch if that is shorter)",
        least=1,
        most=MOST_STEPS,
        group="training",
    )
    seed: int = option(123, "seed of every random number", least=0, most=2**64 - 1, group="training")
    backend: str = option(
        "auto",
        "library to compute with: numpy (CPU), cupy (NVIDIA GPU), or auto (the GPU if there is one)",
        choices=BACKENDS,
        group="training",
    )
    device: int = option(0, "number of the GPU to use, from 0", least=0, most=MOST, group="training")
    tf32: bool = option(
        False, "on a GPU, round the factors of float32 products to 10 bits of mantissa (TF32)", group="training"
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.corpus and self.data:
            raise UserError(f"`corpus` {self.corpus} and `data` {self.data} name two texts: give only one of them")
        if self.task == "addition":
            for name in ("corpus", "data", "tokens"):
                if getattr(self, name):
                    raise UserError(
                        f"`{name}` does not apply to `task` addition, which makes its own problems: leave it out"
                    )
        # Refuse now what the model and the split would refuse only after a large text has been downloaded.
        ModelOptions(**self.model_options(), vocab_size=1)
        check_split(self.batch, self.steps, self.split, self.val_fraction, self.test_fraction)

    def model_options(self) -> dict[str, Any]:
        """Return the arguments of :class:`minigrid.CharModel`, except for `vocab_size` and `dtype`."""
        names = {field.name for field in dataclasses.fields(ModelOptions)}
        return {name: value for name, value in dataclasses.asdict(self).items() if name in names}

    def step_options(self) -> dict[str, Any]:
        """Return the arguments of :class:`minigrid.TrainStep`, except for the model."""
        return {
            "optimizer": self.optimizer,
            "lr": self.lr,
            "alpha": self.alpha,
            "clip": self.clip or None,
            "clip_norm": self.clip_norm or None,
        }


def refuse_idle(config: Config, given: Collection[str]) -> None:
    """Refuse settings that have no effect on the task or the optimiser.

    Parameters
    ----------
    config : Config
        The complete settings.
    given : collection of str
        Names of the settings that the user gave; defaults that have no effect are fine.

    Raises
    ------
    UserError
        One of the given settings does not apply to the task.
    """
    if "alpha" in given and config.optimizer != "rmsprop":
        raise UserError(f"`alpha` does not apply to `optimizer` {config.optimizer}: leave it out")
    for task, names in ONLY_FOR.items():
        for name in names:
            if name in given and config.task != task:
                raise UserError(f"`{name}` does not apply to `task` {config.task}: leave it out")


class ConfigFileError(UserError):
    """A mistake in a config file. Names in backticks are keys of that file, so they keep their spelling."""


def read_config_file(path: str) -> dict[str, Any]:
    """Read settings from a TOML file with lines such as ``hidden = 256``; names may be written with - or _.

    Returns
    -------
    dict
        Name -> value, for the settings in the file.

    Raises
    ------
    ConfigFileError
        The file cannot be read or is not TOML, a key is unknown, or a value has the wrong type or is out of bounds.
    """
    try:
        # Windows editors begin a file with a byte-order mark
        table = tomllib.loads(read_plain(Path(path), MOST_BYTES).decode("utf-8-sig"))
    except OSError as error:
        raise ConfigFileError(f"cannot read the config file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigFileError(f"the config file {path} is not UTF-8 at byte {error.start}: save it as UTF-8") from error
    except RecursionError as error:
        raise ConfigFileError(f"the config file {path} is nested too deeply to be read") from error
    except ValueError as error:  # bad TOML, or endless digits
        raise ConfigFileError(f"the config file {path} is not valid TOML: {error}") from error
    settings: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name in settings:
            raise ConfigFileError(
                f"{path}: `{named(name)}` is given twice, written with - and with _: remove one of the two"
            )
        settings[name] = value
    for name, value in settings.items():
        try:
            _check_setting(name, value)
        except UserError as error:
            raise ConfigFileError(f"{path}: {error}") from error
    return settings


def _check_setting(name: str, value: Any) -> None:
    """Check one entry of a config file."""
    fields = {field.name: field for field in dataclasses.fields(Config)}
    if isinstance(value, dict):
        raise UserError(f"remove the section header [{named(name)}]: settings stand at the top, outside any section")
    if name not in fields:
        raise UserError(f"there is no setting `{named(name)}`{did_you_mean(name, fields)}: correct or remove it")
    checked(fields[name], value)
