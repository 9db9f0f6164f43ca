"""A training run in memory and in its folder: where it stands, and how it is saved."""

import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minigrid.backend.ranks import ALONE, Ranks
from minigrid.files import stamp
from minigrid.nn.model import CharModel
from minigrid.runs.checkpoint import model_arrays, saving, write_checkpoint
from minigrid.runs.checkpoint_format import Meta, RunMeta
from minigrid.runs.config import Config
from minigrid.runs.find import LAST
from minigrid.runs.folder import append_metrics, sync_metrics, write_config
from minigrid.runs.records import Record
from minigrid.runs.state import RunState
from minigrid.runs.tasks import Task
from minigrid.training.step import TrainStep


class DivergedError(Exception):
    """The loss, a gradient or a weight is not a finite number."""

    agreed = True  # they are the same on all ranks


class InterruptedRunError(Exception):
    """The run was asked to stop; it is saved and can be resumed."""

    agreed = True  # all ranks stop


@dataclass
class Run:
    """One training run; see :func:`minigrid.runs.start.start_run` and :func:`minigrid.runs.loop.train`.

    Attributes
    ----------
    folder : Path
        Where the run is kept, see :mod:`minigrid.runs.folder`.
    config : Config
        Settings, with the text resolved.
    task : Task
        What the model learns.
    model : CharModel
        The model.
    step : TrainStep
        Its number of steps done determines the epoch, the minibatch and the random numbers.
    state : RunState
        What has been measured so far.
    last_stamp : tuple or None
        Identifies the last checkpoint that this process wrote or read; None before the first save.
    saved_at : float
        When this process last saved, in seconds of the monotonic clock.
    ranks : Ranks
        The processes that train together; the first one writes. Each has a `Run` of its own, and calls the methods
        that write at the same time as the others.
    """

    folder: Path
    config: Config
    task: Task
    model: CharModel
    step: TrainStep
    state: RunState = field(default_factory=RunState)
    last_stamp: tuple[int, int] | None = None
    saved_at: float = field(default_factory=time.monotonic)
    ranks: Ranks = ALONE

    # -- where it stands

    @property
    def total_steps(self) -> int:
        """Number of steps after which the run is over."""
        total = self.config.epochs * len(self.task.train)
        return total if self.config.max_steps is None else min(total, self.config.max_steps)

    @property
    def is_over(self) -> bool:
        """Whether every step is done."""
        return self.step.number >= self.total_steps

    @property
    def epoch(self) -> float:
        """Epochs done, with fractions."""
        return self.step.number / len(self.task.train)

    @property
    def eval_every(self) -> int:
        """Steps from one validation to the next."""
        return self.config.eval_every or min(1000, len(self.task.train))

    @property
    def validates_now(self) -> bool:
        """Whether a validation follows the last step."""
        if self.step.number == 0:
            return self.state.inherits
        return self.step.number % self.eval_every == 0 or self.step.number == self.total_steps

    @property
    def validation_is_due(self) -> bool:
        """Whether a validation comes before the next step: of inherited parameters, or one that a stop cut short."""
        validated = {record["step"] for record in self.state.metrics if record["split"] == "val"}
        return self.task.val is not None and self.validates_now and self.step.number not in validated

    def require_finite(self) -> None:
        """Raise a DivergedError if any loss or gradient so far was not finite. This waits for a GPU."""
        if not bool(self.step.finite):
            raise self.diverged("loss or gradient")

    def diverged(self, what: str) -> DivergedError:
        """Return the error for something that is not a finite number."""
        return DivergedError(
            f"the {what} is not a finite number at step {self.step.number}; the checkpoints in {self.folder} are from "
            f"before: start a new run with `init_from` {self.folder} and a smaller `lr` (it was {self.config.lr}) or "
            "`clip_norm` 5"
        )

    # -- keeping it

    def record(self, split: str, values: dict[str, Any]) -> Record:
        """Add a measurement to the metrics and return its record."""
        record = {"split": split, "step": self.step.number, "epoch": round(self.epoch, 4), **values}
        self.state.metrics.append(record)
        self.ranks.first(append_metrics, self.folder, record)
        return record

    def save(self, name: str) -> None:
        """Write the checkpoint `name`, after the metrics that belong to it.

        Raises
        ------
        DivergedError
            A number is not finite; nothing is written.
        UserError
            The disk is full, for example; the older checkpoint is intact.
        """
        self.require_finite()
        params = model_arrays(self.model)
        if not all(np.isfinite(array).all() for array in params.values()):  # the last update may have been too large
            raise self.diverged("updated weight")
        saved = self.step.state_dict()
        written = self.ranks.first(self._write, self.folder / name, params, saved)
        if name == LAST:
            self.saved_at, self.last_stamp = time.monotonic(), written

    def _write(self, path: Path, params: dict[str, Any], saved: dict[str, Any]) -> tuple[int, int] | None:
        """Write a checkpoint, after the metrics that belong to it; return its stamp."""
        number, lr = saved.pop("number"), saved.pop("lr")
        run = RunMeta(
            config=dataclasses.asdict(self.config), sha256=self.task.sha256, progress=self.state.progress(number, lr)
        )
        if self.state.metrics:
            with saving(path):
                sync_metrics(self.folder)
        meta = Meta(model=self.model.options, vocabulary=self.task.vocabulary, run=run)
        write_checkpoint(path, params | saved, meta)
        return stamp(path)

    def write_config(self) -> None:
        """Write the settings into the folder, with the model's defaults filled in."""
        settings = dataclasses.asdict(self.config)
        filled_in = {k: v for k, v in dataclasses.asdict(self.model.options).items() if k in settings}
        write_config(self.folder, settings | filled_in)
