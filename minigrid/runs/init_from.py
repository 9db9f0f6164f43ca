"""Begin a run with the parameters of another one, ``--init-from``."""

import dataclasses
import sys
from typing import Any

from minigrid.errors import UserError
from minigrid.nn.model import CharModel
from minigrid.runs.checkpoint import Checkpoint
from minigrid.runs.config import Config
from minigrid.runs.tasks import Task, config_of


def inherited(checkpoint: Checkpoint, given: dict[str, Any]) -> dict[str, Any]:
    """Settings that a new run takes over from the checkpoint it begins with: the sizes, and the text unless given.

    With the text comes what is held out of it: the old run must not have trained on what the new one is measured by.
    """
    saved = dataclasses.asdict(config_of(checkpoint))
    names = ["model", "hidden", "layers", "tie", "priority", "lstm_output", "embedding"]
    if not given.keys() & {"corpus", "data", "task"}:
        names += ["corpus", "data", "task", "tokens", "digits"]
        names += ["split", "val_fraction", "test_fraction", "batch", "steps"]
    return {name: saved[name] for name in names}


def initialise(model: CharModel, task: Task, config: Config, checkpoint: Checkpoint) -> None:
    """Take over the parameters of a checkpoint, forget-gate biases and all."""
    if difference := checkpoint.vocabulary().difference(task.vocabulary):
        raise UserError(f"--init-from {checkpoint.path}: its vocabulary is not that of the text: {difference}")
    if task.sha256 and task.sha256 == checkpoint.meta.get("sha256"):
        _tell_of_another_split(config, checkpoint)
    checkpoint.copy_params_into(model)


def _tell_of_another_split(config: Config, checkpoint: Checkpoint) -> None:
    """Say where a new run is measured by what the old one, on the same text, may have been trained on."""
    old, names = config_of(checkpoint), ["split", "val_fraction", "test_fraction"]
    if "stripes" in (old.split, config.split):  # stripes are as many minibatches wide
        names += ["batch", "steps"]
    if any(getattr(old, name) != getattr(config, name) for name in names):
        before = ", ".join(f"`{name}` {getattr(old, name)}" for name in names)
        print(
            f"note: {checkpoint.path} was trained on the same text, cut by {before}: give the same, or the validation "
            "is of text that the model has learnt from",
            file=sys.stderr,
        )
