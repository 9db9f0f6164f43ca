"""Starting a run, and resuming one."""

import dataclasses
from pathlib import Path
from typing import Any

from minigrid.backend import choose_device
from minigrid.errors import UserError
from minigrid.files import remove_unfinished, require_plain, stamp, written
from minigrid.nn.model import CharModel
from minigrid.runs.checkpoint import Checkpoint, read_checkpoint
from minigrid.runs.checkpoint_format import Progress
from minigrid.runs.config import Config
from minigrid.runs.find import BEST, LAST, find_checkpoint
from minigrid.runs.folder import (
    CONFIG,
    METRICS,
    claim,
    fresh_folder,
    held,
    list_runs,
    metrics_until,
    refuse_used,
)
from minigrid.runs.init_from import initialise, joint_vocabulary, tell_of_new_symbols
from minigrid.runs.records import Record
from minigrid.runs.run import Run
from minigrid.runs.state import RunState
from minigrid.runs.tasks import config_of, make_task, resolve, task_again, warn_of_oddities
from minigrid.training.step import TrainStep

MAY_CHANGE = ("epochs", "max_steps", "backend", "device", "tf32", "data")
"""Settings that may change when a run is resumed. A text that has moved is recognised by its hash."""


def start_run(config: Config, folder: Path | None = None, init_from: str | None = None) -> Run:
    """Start a new run; :func:`minigrid.runs.loop.train` then trains it.

    Parameters
    ----------
    config : Config
        Settings.
    folder : Path, optional
        Folder of the run, new or empty; by default a new one under ``runs/``.
    init_from : str, optional
        Run or checkpoint whose parameters the new run starts with.

    Raises
    ------
    UserError
        The folder is in use; the settings, the text or the checkpoint cannot be used.
    """
    if folder is not None:
        refuse_used(folder)
    choose_device(config.backend, config.device, config.tf32)  # before a large text is fetched in vain
    old = None if init_from is None else read_checkpoint(init_from)
    config, corpus = resolve(config)
    warn_of_oddities(corpus)
    task = make_task(config, corpus, None if old is None else joint_vocabulary(old, corpus))
    model = CharModel(vocab_size=len(task.vocabulary), **config.model_options())
    if old is not None:
        initialise(model, task, config, old)
        tell_of_new_symbols(old.vocabulary(), corpus)
    step = TrainStep(model, **config.step_options())
    folder = folder or fresh_folder(config)
    claim(folder)
    return Run(folder, config, task, model, step, RunState(inherits=old is not None))


def resume_run(folder: Path, given: dict[str, Any] | None = None) -> Run:
    """Load a stopped run from its last checkpoint; :func:`minigrid.runs.loop.train` then continues it.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    given : dict, optional
        New values of settings. Only those in `MAY_CHANGE` may differ from the run's.

    Raises
    ------
    UserError
        There is no run to resume; a setting may not change; the text has changed; another process is training in the
        folder.
    """
    if not folder.is_dir():
        raise UserError(
            f"{folder} is not the folder of a run ({list_runs()}); to train a checkpoint further, start a new run with "
            "`init_from`"
        )
    path = find_checkpoint(folder, preferred=LAST)
    for name in (LAST, BEST, METRICS, CONFIG):
        with written(folder / name):  # refuse it before anything is changed
            require_plain(folder / name)
    with held(folder):  # so that no other process trains until everything is read
        return _resumed(folder, read_checkpoint(path), given or {})


def _resumed(folder: Path, checkpoint: Checkpoint, given: dict[str, Any]) -> Run:
    meta = checkpoint.meta
    if meta.run is None or meta.run.progress is None:
        raise UserError(
            f"{checkpoint.path} holds a model only, which cannot be resumed: start a new run with `init_from` {folder}"
        )
    config = _changed(checkpoint, given, folder)
    choose_device(config.backend, config.device, config.tf32)
    config, task = task_again(checkpoint, config, str(folder))
    model = checkpoint.model(config.backend)
    progress = meta.run.progress
    step = TrainStep(model, **config.step_options())
    arrays = checkpoint.training_arrays(config.optimizer, config.batch)
    step.load_state_dict(arrays | {"number": progress.number, "lr": progress.lr})
    state = RunState.resumed(progress, _metrics_of(folder, progress), model)
    remove_unfinished(folder)
    return Run(folder, config, task, model, step, state, stamp(folder / LAST))


def _changed(checkpoint: Checkpoint, given: dict[str, Any], folder: Path) -> Config:
    """Return the settings of a run with those changes that are allowed."""
    saved = config_of(checkpoint)
    # the options of the model have the defaults filled in
    before = dataclasses.asdict(saved) | dataclasses.asdict(checkpoint.meta.model)
    for name, value in given.items():
        if (name not in MAY_CHANGE or (name == "data" and not before[name])) and value != before[name]:
            has = "none" if before[name] is None else before[name]
            raise UserError(
                f"`{name}` cannot change to {value} when a run is resumed (the run has {has}): leave it out, or start "
                f"a new run with `init_from` {folder}"
            )
    return dataclasses.replace(saved, **{name: value for name, value in given.items() if name in MAY_CHANGE})


def _metrics_of(folder: Path, progress: Progress) -> list[Record]:
    if progress.metrics is not None:  # format 1
        return list(progress.metrics)
    return metrics_until(folder, progress.records, progress.number)
