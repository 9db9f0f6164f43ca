"""The measurements of a run that a resumed run needs; the number of its step lives in the training step."""

import math
from dataclasses import dataclass, field

from minigrid.backend import Array
from minigrid.nn.model import CharModel
from minigrid.runs.checkpoint_format import Progress
from minigrid.runs.records import Record


@dataclass
class RunState:
    """What a run has measured so far.

    Attributes
    ----------
    metrics : list of Record
        Every record of ``metrics.jsonl``.
    best : float
        Best validation loss in nats; infinite before the first validation.
    inherits : bool
        Whether the run began with trained parameters, which are then validated before the first step.
    losses : list of 0-d arrays
        Losses since the last training record; they stay on the device.
    """

    metrics: list[Record] = field(default_factory=list)
    best: float = math.inf
    inherits: bool = False
    losses: list[Array] = field(default_factory=list)

    def progress(self, number: int, lr: float) -> Progress:
        """Return the state as a checkpoint stores it, after `number` steps, the last one at learning rate `lr`."""
        return Progress(
            number=number,
            lr=lr,
            losses=tuple(float(loss) for loss in self.losses),
            best=self.best if math.isfinite(self.best) else None,
            inherits=self.inherits,
            records=len(self.metrics),
        )

    @classmethod
    def resumed(cls, progress: Progress, metrics: list[Record], model: CharModel) -> "RunState":
        """Return the state that a checkpoint stored, together with the metrics that belong to it."""
        return cls(
            metrics=metrics,
            best=math.inf if progress.best is None else progress.best,
            inherits=progress.inherits,
            losses=[model.xp.asarray(loss, model.dtype) for loss in progress.losses],
        )
