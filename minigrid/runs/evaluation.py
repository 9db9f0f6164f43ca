"""How well a model predicts a text: loss, bits per character, perplexity, share of correct digits."""

import math
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from minigrid.backend import Workspace, to_host
from minigrid.backend.ranks import ALONE, Ranks
from minigrid.data.addition import AdditionScore, accuracy
from minigrid.errors import NotFiniteError
from minigrid.nn.model import CharModel
from minigrid.nn.ops import cross_entropy_forward
from minigrid.runs.tasks import Batches
from minigrid.training.shards import Shards

READ_AT_ONCE = 256
"""Symbols that :func:`surprisals` reads in one pass."""


def bits(nats: float) -> float:
    """Convert nats to bits."""
    return nats / math.log(2)


def perplexity(nats: float) -> float:
    """Return the perplexity of a model whose mean loss is `nats`; infinity where a float cannot hold it."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


class Evaluation(NamedTuple):
    """Result of :func:`evaluate`.

    Attributes
    ----------
    loss : float
        Mean over the counted targets, in nats.
    targets : int
        Number of counted targets.
    score : AdditionScore or None
        Correct digits and answers of the addition task; None for text.
    """

    loss: float
    targets: int
    score: AdditionScore | None


def evaluate(
    model: CharModel,
    batches: Batches,
    shards: Shards | None = None,
    progress: Callable[[int], None] | None = None,
    ranks: Ranks = ALONE,
) -> Evaluation:
    """Measure a model on all of `batches`, starting from a zero state; the state of a training run stays untouched.

    Parameters
    ----------
    model : CharModel
        The model to measure.
    batches : TextBatches or AdditionBatches
        The data, read once.
    shards : Shards, optional
        Arrays to use. Pass those of a training step between two of its steps, and the evaluation allocates none.
    progress : callable, optional
        Called in this thread with the number of minibatches done: 0 at first, then after each minibatch. It may raise
        an exception to end the evaluation early. If several threads share the work, it follows the first one.
    ranks : Ranks
        The processes that share the columns of the minibatches. All of them call this function, with the same batches,
        and get the same result. If `progress` ends it early, it must do so on every rank.
    """
    shards = shards or Shards(model)
    ended = threading.Event()
    own = ranks.columns(batches.batch)

    def read(part: slice, workspace: Workspace) -> np.ndarray:
        columns = slice(own.start + part.start, own.start + part.stop)
        if part.start > 0:
            return _read_columns(model, batches, columns, workspace, ended)
        try:  # this thread reads the first part
            return _read_columns(model, batches, columns, workspace, ended, progress)
        except BaseException:
            ended.set()
            raise

    loss, *counts = ranks.sum(np.sum(shards.map_columns(read, own.stop - own.start), axis=0))
    targets, *score = map(int, counts)
    return Evaluation(float(loss) / targets, targets, None if batches.carries_state else AdditionScore(*score))


def _read_columns(
    model: CharModel,
    batches: Batches,
    columns: slice,
    workspace: Workspace,
    ended: threading.Event,
    progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Read some columns of every minibatch, until `ended`.

    Returns
    -------
    numpy.ndarray
        1-D, float64: loss, summed over the counted targets; number of counted targets; fields of the summed
        AdditionScore.
    """
    losses, targets, state, score = [], 0, None, np.zeros(len(AdditionScore._fields), int)
    for index in range(len(batches)):
        if ended.is_set():
            break
        if progress is not None:
            progress(index)
        x, y = (ids[:, columns] for ids in batches.minibatch(0, index))
        if x.size == 0:
            continue  # there are more ranks than columns
        if state is None or not batches.carries_state:
            state = model.initial_state(x.shape[1])
        logits, state = model.predict(x, state, workspace=workspace)
        loss, _ = cross_entropy_forward(logits, model.xp.asarray(y), n=1)
        losses.append(loss)
        targets += int((y >= 0).sum())
        if not batches.carries_state:
            score += accuracy(to_host(logits), y)
    total = sum(map(float, losses))  # waits for a GPU once, here, not at every minibatch
    if progress is not None:
        progress(len(batches))
    return np.array([total, targets, *score], np.float64)


def surprisals(model: CharModel, ids: np.ndarray) -> Iterator[np.ndarray]:
    """Measure how surprised a model is by each symbol of a text that it reads in one piece, from a zero state.

    Parameters
    ----------
    model : CharModel
        The model to measure.
    ids : numpy.ndarray
        1-D array of at least 2 ids; it may be memory-mapped. The first one is read, but not predicted.

    Yields
    ------
    numpy.ndarray
        ``-ln p`` in nats, float64, of the next symbols in order; `len(ids) - 1` numbers in all.

    Raises
    ------
    NotFiniteError
        A logit is not a finite number.
    """
    state = model.initial_state(1)
    for start in range(0, len(ids) - 1, READ_AT_ONCE):
        window = np.asarray(ids[start : start + READ_AT_ONCE + 1], np.int32)
        logits, state = model.predict(window[:-1, None], state)
        scores = to_host(logits)[:, 0].astype(np.float64)
        if not np.isfinite(scores).all():
            raise NotFiniteError
        scores -= scores.max(axis=1, keepdims=True)
        chosen = np.take_along_axis(scores, window[1:, None], axis=1)[:, 0]
        yield np.log(np.exp(scores).sum(axis=1)) - chosen
