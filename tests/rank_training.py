"""Training on any number of ranks, for the tests that compare them with one process."""

from collections.abc import Iterable, Iterator

import numpy as np
from helpers import Arrays, Options, make_model

from minigrid import CharModel, TrainStep
from minigrid.backend import to_host
from minigrid.backend.ranks import Ranks
from minigrid.training.distributed import make_step

B = 7  # which neither 2 nor 3 nor 5 ranks divide


def make(ranks: Ranks, options: Options, settings: Options | None = None) -> TrainStep:
    return make_step(make_model(**options), ranks, **(settings or {}))


def minibatches(model: CharModel, numbers: Iterable[int], batch: int = B) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draw minibatches in which targets do not count, more on the left than on the right: none in the first column."""
    for number in numbers:
        x, y = np.random.default_rng(number).integers(0, model.vocab_size, (2, 4, batch))
        y[:, 0] = y[-1, : batch // 2] = -1
        yield x, y


def go_on(step: TrainStep, numbers: Iterable[int], batch: int = B) -> Arrays:
    """Train on some minibatches; return what there is after each of them, and the state at the end."""
    losses, norms, params = [], [], []
    for x, y in minibatches(step.model, numbers, batch):
        losses.append(float(step(x, y)))
        norms.append(float(step.norm))
        params.append(to_host(step.model.params.flat).copy())
    assert bool(step.finite)
    after = {name: to_host(s) for name, s in step.state(batch).items()}
    return {"losses": np.array(losses), "norms": np.array(norms), "params": np.array(params)} | after


def train(ranks: Ranks, options: Options, settings: Options | None = None, steps: int = 30, batch: int = B) -> Arrays:
    return go_on(make(ranks, options, settings), range(steps), batch)
