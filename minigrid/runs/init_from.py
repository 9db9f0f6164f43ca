"""Starting a run with the parameters of another one."""

import dataclasses
import warnings
from typing import Any

from minigrid.errors import Notice, UserError
from minigrid.nn.model import CharModel
from minigrid.runs.checkpoint import Checkpoint
from minigrid.runs.config import Config
from minigrid.runs.tasks import Task, config_of

SIZES = ("model", "hidden", "layers")
OF_THE_CELL = ("tie", "priority", "lstm_output", "embedding")
TEXT = ("corpus", "data", "task", "tokens", "digits", "split", "val_fraction", "test_fraction", "batch", "steps")


def inherited(checkpoint: Checkpoint, given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that a new run takes over from the checkpoint it starts with.

    These are the sizes of the model and, unless another text or task is given, the text with its split: otherwise the
    new run could be validated on text that the old one was trained on.

    Parameters
    ----------
    checkpoint : Checkpoint
        Of a run, or a model alone; a model alone brings its sizes only.
    given : dict
        Settings chosen for the new run.
    """
    options = dataclasses.asdict(checkpoint.meta.model)
    if options["embedding"] == options["hidden"]:
        options["embedding"] = None  # follows the hidden size, as by default
    names = SIZES if given.get("model", options["model"]) != options["model"] else SIZES + OF_THE_CELL
    settings = {name: options[name] for name in names}
    if checkpoint.meta.run is not None and not given.keys() & {"corpus", "data", "task"}:
        saved = dataclasses.asdict(config_of(checkpoint))
        settings |= {name: saved[name] for name in TEXT}
    return settings


def initialise(model: CharModel, task: Task, config: Config, checkpoint: Checkpoint) -> None:
    """Copy the parameters of a checkpoint into a new model, trained forget-gate biases included.

    Raises
    ------
    UserError
        The vocabularies or the models differ.
    """
    if difference := checkpoint.vocabulary().difference(task.vocabulary):
        raise UserError(f"`init_from` {checkpoint.path}: its vocabulary differs from that of the text: {difference}")
    run = checkpoint.meta.run
    if run is not None and task.sha256 and task.sha256 == run.sha256:
        _warn_of_another_split(config, checkpoint)
    checkpoint.copy_params_into(model)


def _warn_of_another_split(config: Config, checkpoint: Checkpoint) -> None:
    """Warn if a new run holds out text that the old one, on the same text, may have been trained on."""
    old, names = config_of(checkpoint), ["split", "val_fraction", "test_fraction"]
    if "stripes" in (old.split, config.split):  # the width of a stripe is counted in minibatches
        names += ["batch", "steps"]
    if any(getattr(old, name) != getattr(config, name) for name in names):
        before = ", ".join(f"`{name}` {getattr(old, name)}" for name in names)
        warnings.warn(
            f"{checkpoint.path} was trained on the same text, split by {before}: use the same settings, or the "
            "validation text will contain text that the model was trained on",
            Notice,
            stacklevel=2,
        )
