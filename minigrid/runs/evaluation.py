"""How well a model predicts a held-out part: loss, bits per character, digits right."""

import math
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import numpy as np

from minigrid.backend import Workspace, to_host
from minigrid.data.addition import AdditionScore, accuracy
from minigrid.nn.model import CharModel
from minigrid.nn.ops import cross_entropy_forward
from minigrid.progress import progress_bar
from minigrid.runs.tasks import Batches
from minigrid.training.shards import Shards


def bits(nats: float) -> float:
    """Bits for nats."""
    return nats / math.log(2)


class Evaluation(NamedTuple):
    """Mean loss in nats over the counted targets, their number, and the score of an addition task (None for text)."""

    loss: float
    targets: int
    score: AdditionScore | None


Progress = Callable[[range], Iterable[int]]
"""Wraps the indices of the minibatches, for each part of the batch in its thread; may raise to stop."""


def watched(indices: range, what: str) -> Iterable[int]:
    """Show on a terminal how far an evaluation is: the first part of the batch does, the others keep pace with it."""
    first = threading.current_thread() is threading.main_thread()
    return progress_bar(indices, desc=what, unit="minibatch", leave=False) if first else indices


def evaluate(model: CharModel, batches: Batches, shards: Shards | None = None, progress: Progress = iter) -> Evaluation:
    """Read all of `batches` once, from a state of zeros; nothing that a training run goes on with is touched.

    Parameters
    ----------
    model : CharModel
        What reads.
    batches : TextBatches or AdditionBatches
        What is read.
    shards : Shards, optional
        Gives the arrays: a training step's own between two steps, so that an evaluation needs no memory of its own.
    progress : Progress
        See there.
    """
    shards = shards or Shards(model)
    parts = shards.map_columns(partial(_evaluate_columns, model, batches, progress), batches.batch)
    losses, targets, scores = zip(*parts, strict=True)
    score = None if batches.carries_state else AdditionScore(*np.sum(scores, axis=0).tolist())
    return Evaluation(sum(losses) / sum(targets), sum(targets), score)


def _evaluate_columns(
    model: CharModel, batches: Batches, progress: Progress, columns: slice, workspace: Workspace
) -> tuple[float, int, np.ndarray]:
    """Read some columns of every minibatch; return the summed loss, the counted targets, the summed addition score."""
    losses, targets, state, score = [], 0, None, np.zeros(len(AdditionScore._fields), int)
    for index in progress(range(len(batches))):
        x, y = (ids[:, columns] for ids in batches.minibatch(0, index))
        if state is None or not batches.carries_state:
            state = model.initial_state(x.shape[1])
        logits, state = model.predict(x, state, workspace=workspace)
        loss, _ = cross_entropy_forward(logits, model.xp.asarray(y), n=1)
        losses.append(loss)
        targets += int((y >= 0).sum())
        if not batches.carries_state:
            score += accuracy(to_host(logits), y)
    return sum(map(float, losses)), targets, score  # a GPU is waited for here, not at every minibatch
