"""How well a model predicts a held-out part: loss, bits per character, digits right."""

import math
from typing import NamedTuple

import numpy as np

from minigrid.addition import AdditionScore, accuracy
from minigrid.backend import Workspace, to_host
from minigrid.model import CharModel
from minigrid.ops import cross_entropy_forward
from minigrid.tasks import Batches


def bits(nats: float) -> float:
    """Bits for nats."""
    return nats / math.log(2)


class Evaluation(NamedTuple):
    """Mean loss in nats over the counted targets, their number, and the score of an addition task (None for text)."""

    loss: float
    targets: int
    score: AdditionScore | None


def evaluate(model: CharModel, batches: Batches, workspace: Workspace | None = None) -> Evaluation:
    """Read all of `batches` once, from a state of zeros; nothing that a training run goes on with is touched.

    `workspace` gives the arrays: a training step's own between two steps, so that an evaluation needs no memory of
    its own.
    """
    workspace = workspace or model.workspace(reuse=True)
    total, targets, state, scores = 0.0, 0, None, []
    for index in range(len(batches)):
        x, y = batches.minibatch(0, index)
        if state is None or not batches.carries_state:
            state = model.initial_state(x.shape[1])
        logits, state = model.predict(x, state, workspace=workspace)
        loss, _ = cross_entropy_forward(logits, model.xp.asarray(y))
        counted = int((y >= 0).sum())
        total += float(loss) * counted
        targets += counted
        if not batches.carries_state:
            scores.append(accuracy(to_host(logits), y))
    score = AdditionScore(*np.sum(scores, axis=0).tolist()) if scores else None
    return Evaluation(total / targets, targets, score)
