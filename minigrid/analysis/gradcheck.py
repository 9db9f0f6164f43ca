"""Check a gradient derived by hand against finite differences.

Every check compares an analytic gradient ``a`` with a difference quotient ``n``. The error of an array is
``max|a - n| / max(|a| + |n|)``. In float64, a correct gradient has an error of about 1e-11. The usual mistakes (a lost
term, a wrong time step, ``=`` instead of ``+=``) give an error above 1e-4. An array whose gradient is so small beside
the scalar that rounding alone would give an error of `TOLERANCE` is compared with a larger number than ``|a| + |n|``.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from minigrid.analysis.gradcheck_report import Entry, Report, make_report
from minigrid.backend import Array, array_module
from minigrid.errors import UserError
from minigrid.nn.model import CharModel, State
from minigrid.nn.ops import cross_entropy_forward
from minigrid.nn.options import check_sizes
from minigrid.training.step import TrainStep

STEP = 1e-3
WIDE = 8
"""Matrices with more rows than this are scaled down by :func:`enlarge`."""

Place = tuple[str, tuple[int, ...]]  # name of an array, and the position of one entry in it


def central_difference(f: Callable[[float], float], step: float = STEP) -> float:
    """Return the slope of `f` at 0, computed from its values at ±step and ±2 step.

    Compared with ``(f(e) - f(-e)) / 2e``, this fourth-order formula allows a step a hundred times as large. The
    rounding error, which is divided by the step, becomes a hundred times smaller.
    """
    return (8 * (f(step) - f(-step)) - (f(2 * step) - f(-2 * step))) / (12 * step)


def check_entries(
    loss: Callable[[], float],
    arrays: Mapping[str, Array],
    grads: Mapping[str, Array],
    *,
    per_array: int | None = None,
    seed: int = 0,
    progress: Callable[[list[Place]], Iterable[Place]] | None = None,
) -> Report:
    """Compare gradients entry by entry.

    Parameters
    ----------
    loss : callable
        Computes the scalar from the current contents of `arrays`, in float64.
    arrays, grads : mappings
        Name -> float64 array, and name -> gradient of the loss with respect to that array.
    per_array : int, optional
        Number of entries to check in each array, chosen at random; all of them by default.
    seed : int
        Seed of the random choice.
    progress : callable, optional
        Takes the list of all places to check and yields them one by one, for example to show a progress bar.

    Raises
    ------
    UserError
        `per_array` is not a positive whole number.
    """
    if per_array is not None:
        check_sizes(per_array=per_array)
    generator = np.random.default_rng(seed)
    places = [
        (name, tuple(int(k) for k in np.unravel_index(flat_position, array.shape)))
        for name, array in arrays.items()
        for flat_position in _choose(array.size, per_array, generator)
    ]
    entries: dict[str, list[Entry]] = {name: [] for name in arrays}
    watched = _Watched(loss)
    for name, position in places if progress is None else progress(places):
        numeric = _slope(watched, arrays[name], position, direction=1.0)
        entries[name].append(Entry(name, position, float(grads[name][position]), numeric))
    return make_report(entries, watched.rounding(arrays, grads))


def check_directions(
    loss: Callable[[], float],
    arrays: Mapping[str, Array],
    grads: Mapping[str, Array],
    *,
    directions: int = 10,
    seed: int = 0,
) -> Report:
    """Compare slopes along random directions, each of which moves all entries of an array at once.

    Each direction costs four evaluations of the loss, whatever the size of the array, and any wrong entry shows up.

    Parameters
    ----------
    loss, arrays, grads, seed
        As in :func:`check_entries`.
    directions : int
        Number of directions per array.

    Raises
    ------
    UserError
        `directions` is not a positive whole number.

    Notes
    -----
    A direction through n entries has a length of about ``n ** (1/4)``. The truncation error of the difference quotient
    grows with the length, so a longer direction would show it. A shorter one would show rounding, because the slope
    along a random unit vector shrinks as n grows.
    """
    check_sizes(directions=directions)
    generator = np.random.default_rng(seed)
    entries: dict[str, list[Entry]] = {name: [] for name in arrays}
    watched = _Watched(loss)
    for name, array in arrays.items():
        for number in range(directions):
            direction = generator.standard_normal(array.shape)
            direction = array_module(array).asarray(direction / np.linalg.norm(direction) ** 0.5)
            numeric = _slope(watched, array, ..., direction)
            entries[name].append(Entry(name, (number,), float((grads[name] * direction).sum()), numeric))
    return make_report(entries, watched.rounding(arrays, grads))


class _Watched:
    """A scalar function that remembers the largest value it has had."""

    def __init__(self, loss: Callable[[], float]):
        self._loss = loss
        self._largest = 0.0

    def __call__(self) -> float:
        value = float(self._loss())
        self._largest = max(self._largest, abs(value))
        return value

    def rounding(self, arrays: Mapping[str, Array], grads: Mapping[str, Array]) -> float:
        """Estimate how far rounding takes a slope from its true value.

        The scalar has rounded values added up inside, of which its own size shows little. Rounding the arrays in their
        last digit changes it by ``epsilon * |grad * array|``, and the rest of the computation does no better.
        """
        change = sum(float(((grads[name] * array) ** 2).sum()) for name, array in arrays.items()) ** 0.5
        size = max(self._largest, change if np.isfinite(change) else 0.0)
        return 3 * float(np.finfo(np.float64).eps) * size / STEP  # two units, times 1.5 in central_difference


def _slope(loss: Callable[[], float], array: Array, position: Any, direction: Array | float) -> float:
    """Return the slope of `loss` as ``array[position]`` moves along a direction, and then restore the array."""
    before = array[position].copy()

    def loss_at(distance: float) -> float:
        array[position] = before + distance * direction
        return loss()

    try:
        return central_difference(loss_at)
    finally:
        array[position] = before


def _choose(size: int, count: int | None, generator: np.random.Generator) -> np.ndarray:
    """Return all positions below `size`, or `count` of them chosen at random."""
    if count is None or count >= size:
        return np.arange(size)
    return np.sort(generator.choice(size, count, replace=False))


class Problem(NamedTuple):
    """A scalar to differentiate: the function, the arrays that it depends on, and the gradient derived by hand."""

    loss: Callable[[], float]
    arrays: dict[str, Array]
    grads: dict[str, Array]


def model_problem(model: CharModel, steps: int = 3, batch: int = 2, seed: int = 0) -> Problem:
    """Make a problem that reveals every known mistake in a model's backward pass.

    The scalar is a random weighting of all logits *and* of the final state. It depends on the parameters and on a
    random initial state, which is among the arrays as ``state0/...``. With dropout, one set of masks is drawn and kept.
    The first character occurs twice, so the gradients of its embedding row must add up.

    Parameters
    ----------
    model : CharModel
        A float64 model. Its gradients should not be tiny: see :func:`enlarge`.
    steps, batch : int
        T and B.
    seed : int
        Seed of the characters, masks, state and weighting.
    """
    generator = np.random.default_rng(seed)
    xp = model.xp
    x = generator.integers(0, model.vocab_size, (steps, batch))
    x[-1, -1] = x[0, 0]
    masks = model.draw_masks(steps, batch, seed) if model.dropout else None

    def random_state() -> State:
        return {name: xp.asarray(generator.standard_normal(s.shape)) for name, s in model.initial_state(batch).items()}

    state, dstate = random_state(), random_state()
    dlogits = xp.asarray(generator.standard_normal((steps, batch, model.vocab_size)))

    def loss() -> float:
        logits, last, _ = model.forward(x, state, masks)
        return float((logits * dlogits).sum() + sum((last[name] * d).sum() for name, d in dstate.items()))

    _, _, cache = model.forward(x, state, masks)
    grads, dstate0 = model.backward(cache, dlogits, dstate)
    return Problem(
        loss,
        dict(model.params) | {f"state0/{name}": s for name, s in state.items()},
        dict(grads) | {f"state0/{name}": d for name, d in dstate0.items()},
    )


def train_step_problem(step: TrainStep, steps: int = 3, batch: int = 2, seed: int = 0) -> Problem:
    """Make a problem from the gradients that a training step uses: those of the mean loss of its second minibatch.

    The step first trains on one minibatch, so that the second one starts from a carried state. One target of the
    second is not counted.

    Parameters
    ----------
    step : TrainStep
        A training step of a float64 model. Its parameters change.
    steps, batch, seed : int
        As in :func:`model_problem`.

    Raises
    ------
    UserError
        The vocabulary has only one character, so the loss is 0 for any parameters.
    """
    generator = np.random.default_rng(seed)
    model = step.model
    require_varying_loss(model)
    x, y = generator.integers(0, model.vocab_size, (2, steps, batch))
    if y.size > 1:
        y[0, 0] = -1
    step(x, y)
    state = {name: s.copy() for name, s in step.state(batch).items()}
    masks = model.draw_masks(steps, batch, step.number) if model.dropout else None

    def loss() -> float:
        logits, _, _ = model.forward(x, state, masks)
        return float(cross_entropy_forward(logits, model.xp.asarray(y))[0])

    _, grads, _ = step.gradients(x, y)
    return Problem(loss, dict(model.params), {name: g.copy() for name, g in grads.items()})


def require_varying_loss(model: CharModel) -> None:
    """Raise a UserError if the model has only one character, so that its loss is 0 whatever the parameters."""
    if model.vocab_size == 1:
        raise UserError("`vocab_size` must be at least 2 to check a training step: with 1 its loss is always 0")


def enlarge(model: CharModel, seed: int = 0, scale: float = 0.5) -> None:
    """Redraw a model's parameters uniformly from [-scale, scale), so that its gates leave their linear range.

    Matrices with more than :data:`WIDE` rows get a smaller range, so that sums over their rows do not grow with the
    width. Otherwise gates would saturate, and a plain recurrent network would become chaotic: no step of a difference
    quotient would be small enough.
    """
    values = np.random.default_rng(seed).uniform(-scale, scale, model.params.flat.size)
    model.params.flat[...] = model.xp.asarray(values)
    for array in model.params.values():
        if array.ndim == 2 and len(array) > WIDE:
            array *= (WIDE / len(array)) ** 0.5
