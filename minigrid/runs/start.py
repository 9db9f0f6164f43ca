"""Starting a run, and resuming one."""

import contextlib
import dataclasses
from pathlib import Path
from typing import Any
from zlib import crc32

from minigrid.backend import choose_devices, to_host
from minigrid.backend.ranks import ALONE, Ranks
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
from minigrid.training.distributed import make_step

MAY_CHANGE = ("epochs", "max_steps", "backend", "device", "tf32", "data")
"""Settings that may change when a run is resumed. A text that has moved is recognised by its hash."""


def start_run(config: Config, folder: Path | None = None, init_from: str | None = None, ranks: Ranks = ALONE) -> Run:
    """Start a new run; :func:`minigrid.runs.loop.train` then trains it.

    Parameters
    ----------
    config : Config
        Settings.
    folder : Path, optional
        Folder of the run, new or empty; by default a new one under ``runs/``.
    init_from : str, optional
        Run or checkpoint whose parameters the new run starts with.
    ranks : Ranks
        The processes that train together. Each one calls this function, and needs the text and the checkpoint.

    Raises
    ------
    UserError
        The folder is in use; the settings, the text or the checkpoint cannot be used; there are more ranks than
        sequences in a minibatch, or than GPUs.
    """
    if folder is not None:
        ranks.first(refuse_used, folder)
    ranks.each(ranks.require_columns, config.batch)
    choose_devices(ranks, config.backend, config.device, config.tf32)  # before a large text is fetched in vain
    run = ranks.first_then_others(_untrained, config, init_from, ranks)
    _require_same(run)
    run.folder = ranks.first(_claimed, folder, config)
    return run


def _untrained(config: Config, init_from: str | None, ranks: Ranks) -> Run:
    """Return a new run, apart from its folder."""
    old = None if init_from is None else read_checkpoint(init_from)
    config, corpus = resolve(config)
    warn_of_oddities(corpus)
    task = make_task(config, corpus, None if old is None else joint_vocabulary(old, corpus))
    model = CharModel(vocab_size=len(task.vocabulary), **config.model_options())
    if old is not None:
        initialise(model, task, config, old)
        tell_of_new_symbols(old.vocabulary(), corpus)
    step = make_step(model, ranks, **config.step_options())
    return Run(Path(), config, task, model, step, RunState(inherits=old is not None), ranks=ranks)


def _claimed(folder: Path | None, config: Config) -> Path:
    folder = folder or fresh_folder(config)
    claim(folder)
    return folder


def _require_same(run: Run) -> None:
    """Make sure that all ranks have the same run; the text may have another path on each machine."""
    if run.ranks.count == 1:
        return
    settings = {f"`{name}`": value for name, value in dataclasses.asdict(run.config).items()}
    run.ranks.require_same(
        settings
        | {"`data`": None, "`device`": None, "the text": run.task.sha256}
        | {"the checkpoint": (run.step.number, crc32(to_host(run.model.params.flat).data))}
    )


def resume_run(folder: Path, given: dict[str, Any] | None = None, ranks: Ranks = ALONE) -> Run:
    """Load a stopped run from its last checkpoint; :func:`minigrid.runs.loop.train` then continues it.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    given : dict, optional
        New values of settings. Only those in `MAY_CHANGE` may differ from the run's.
    ranks : Ranks
        The processes that go on together; any number of them may have trained before. Each one calls this function,
        and needs the text and the folder.

    Raises
    ------
    UserError
        There is no run to resume; a setting may not change; the text has changed; another process is training in the
        folder.
    """
    ranks.first(_require_run, folder)
    with contextlib.ExitStack() as stack:  # so that no other process trains until everything is read
        ranks.first(lambda: stack.enter_context(held(folder)))
        checkpoint, config = ranks.first_then_others(_continued, folder, given or {}, ranks)
        choose_devices(ranks, config.backend, config.device, config.tf32)
        run = ranks.first_then_others(_resumed, folder, checkpoint, config, ranks)
        _require_same(run)
        ranks.first(remove_unfinished, folder)
    return run


def _require_run(folder: Path) -> None:
    """Refuse a folder without a run, or one in which it could not go on."""
    if not folder.is_dir():
        raise UserError(
            f"{folder} is not the folder of a run ({list_runs()}); to train a checkpoint further, start a new run with "
            "`init_from`"
        )
    find_checkpoint(folder, preferred=LAST)
    for name in (LAST, BEST, METRICS, CONFIG):
        with written(folder / name):  # refuse it before anything is changed
            require_plain(folder / name)


def _continued(folder: Path, given: dict[str, Any], ranks: Ranks) -> tuple[Checkpoint, Config]:
    """Read the last checkpoint of a run, and its settings with those changes that are allowed."""
    checkpoint = read_checkpoint(find_checkpoint(folder, preferred=LAST))
    meta = checkpoint.meta
    if meta.run is None or meta.run.progress is None:
        raise UserError(
            f"{checkpoint.path} holds a model only, which cannot be resumed: start a new run with `init_from` {folder}"
        )
    config = _changed(checkpoint, given, folder)
    ranks.require_columns(config.batch)
    return checkpoint, config


def _resumed(folder: Path, checkpoint: Checkpoint, config: Config, ranks: Ranks) -> Run:
    """Return the run of a checkpoint."""
    config, task = task_again(checkpoint, config, str(folder))
    model = checkpoint.model(config.backend)
    progress = checkpoint.run().progress
    assert progress is not None
    step = make_step(model, ranks, **config.step_options())
    arrays = checkpoint.training_arrays(config.optimizer, config.batch)
    step.load_state_dict(arrays | {"number": progress.number, "lr": progress.lr})
    state = RunState.resumed(progress, _metrics_of(folder, progress), model)
    return Run(folder, config, task, model, step, state, stamp(folder / LAST), ranks=ranks)


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
