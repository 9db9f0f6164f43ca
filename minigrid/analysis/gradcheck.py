"""Finite differences: is the gradient that was derived by hand the gradient of the function that is computed?

Every check compares ``a``, the gradient that the code gives, with ``n``, a difference quotient. Its error is
``max|a - n| / max(|a| + |n|)`` over an array. In float64 a right gradient has an error near 1e-11, and the mistakes one
makes by hand (a lost term, a wrong time step, = for +=) have one above 1e-4.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from minigrid.backend import Array, array_module
from minigrid.errors import UserError
from minigrid.nn.model import CharModel, State
from minigrid.nn.ops import cross_entropy_forward
from minigrid.training.step import TrainStep

STEP = 1e-3
TOLERANCE = 1e-8
WIDE = 8
"""Rows of a matrix from which on :func:`enlarge` narrows it."""


class Entry(NamedTuple):
    """One number of one array: where it is, and what the two gradients say."""

    name: str
    index: tuple[int, ...]
    analytic: float
    numeric: float

    @property
    def difference(self) -> float:
        """|a - n|."""
        return abs(self.analytic - self.numeric)

    def __str__(self) -> str:
        index = ", ".join(map(str, self.index))
        return f"{self.name}[{index}]: by hand {self.analytic:.10g}, by differences {self.numeric:.10g}"


class Report(NamedTuple):
    """What a check found.

    Attributes
    ----------
    errors : dict
        Array name -> ``max|a - n| / max(|a| + |n|)``.
    worst : list of Entry
        The entries that differ most, relative to the scale of their array, worst first.
    checked : int
        How many numbers were compared.
    """

    errors: dict[str, float]
    worst: list[Entry]
    checked: int

    @property
    def error(self) -> float:
        """The largest of `errors`; not a number if any of them is not."""
        return float(np.max(list(self.errors.values())))

    def passed(self, tolerance: float = TOLERANCE) -> bool:
        """Whether every array's error is at most `tolerance`; not a number never passes."""
        return bool(self.error <= tolerance)


def central_difference(f: Callable[[float], float], step: float = STEP) -> float:
    """Slope of `f` at 0 from its values at +-step and +-2 step.

    The fourth-order formula: it allows a step a hundred times that of ``(f(e) - f(-e)) / 2e``, so that rounding, which
    the step divides, costs a hundred times less.
    """
    return (8 * (f(step) - f(-step)) - (f(2 * step) - f(-2 * step))) / (12 * step)


def check_entries(
    loss: Callable[[], float],
    arrays: Mapping[str, Array],
    grads: Mapping[str, Array],
    *,
    per_array: int | None = None,
    step: float = STEP,
    seed: int = 0,
    progress: Callable[[list], list] = iter,
) -> Report:
    """Compare gradients entry by entry.

    Parameters
    ----------
    loss : callable
        Computes the scalar from the current contents of `arrays`; should work in float64.
    arrays, grads : mappings
        Name -> float64 array, and the gradient of `loss` with respect to it.
    per_array : int, optional
        Check this many entries of each array, drawn at random; None checks them all.
    step : float
        How far an entry is moved, see :func:`central_difference`.
    seed : int
        Of the draw.
    progress : callable
        Wraps the list of what is to be checked, to show a progress bar.
    """
    generator = np.random.default_rng(seed)
    places = [
        (name, np.unravel_index(k, array.shape))
        for name, array in arrays.items()
        for k in _some(array.size, per_array, generator)
    ]
    entries: dict[str, list[Entry]] = {name: [] for name in arrays}
    for name, index in progress(places):
        numeric = _slope(loss, arrays[name], index, 1.0, step)
        entries[name].append(Entry(name, tuple(map(int, index)), float(grads[name][index]), numeric))
    return _report(entries)


def check_directions(
    loss: Callable[[], float],
    arrays: Mapping[str, Array],
    grads: Mapping[str, Array],
    *,
    directions: int = 10,
    step: float = STEP,
    seed: int = 0,
) -> Report:
    """Compare slopes along random directions through all entries of an array at once.

    Costs four evaluations per array and direction, whatever the arrays' size, and any wrong entry shows. Parameters as
    in :func:`check_entries`; an entry's index in the report is the number of the direction.

    Notes
    -----
    A direction through n entries is about ``n ** (1/4)`` long. In a longer one the quotient's own error would show,
    which grows with the length; in a shorter one rounding, for the slope along a random unit vector falls with n.
    """
    generator = np.random.default_rng(seed)
    entries: dict[str, list[Entry]] = {}
    for name, array in arrays.items():
        entries[name] = []
        for k in range(directions):
            direction = generator.standard_normal(array.shape)
            direction = array_module(array).asarray(direction / np.linalg.norm(direction) ** 0.5)
            numeric = _slope(loss, array, ..., direction, step)
            entries[name].append(Entry(name, (k,), float((grads[name] * direction).sum()), numeric))
    return _report(entries)


def _slope(loss: Callable[[], float], array: Array, index: Any, direction: Array | float, step: float) -> float:
    """Slope of `loss` as ``array[index]`` moves along a direction; the array is changed in place and put back."""
    before = array[index].copy()

    def moved(distance: float) -> float:
        array[index] = before + distance * direction
        return float(loss())

    try:
        return central_difference(moved, step)
    finally:
        array[index] = before


def _some(size: int, count: int | None, generator: np.random.Generator) -> np.ndarray:
    """All positions below `size`, or `count` of them drawn at random."""
    if count is None or count >= size:
        return np.arange(size)
    return np.sort(generator.choice(size, count, replace=False))


def _report(entries: dict[str, list[Entry]], worst: int = 5) -> Report:
    # np.max, unlike max, hands on what is not a number
    scales = {name: float(np.max([abs(e.analytic) + abs(e.numeric) for e in found])) for name, found in entries.items()}

    def error(entry: Entry) -> float:
        return entry.difference / scales[entry.name] if scales[entry.name] else 0.0

    ranked = sorted(
        (e for found in entries.values() for e in found),
        key=lambda e: (np.isnan(e.difference), np.nan_to_num(error(e))),
        reverse=True,
    )
    errors = {name: float(np.max([error(e) for e in found])) for name, found in entries.items()}
    return Report(errors, ranked[:worst], len(ranked))


class Problem(NamedTuple):
    """A scalar to differentiate: the function, what it depends on, and the gradient by hand."""

    loss: Callable[[], float]
    arrays: dict[str, Array]
    grads: dict[str, Array]


def model_problem(model: CharModel, steps: int = 3, batch: int = 2, seed: int = 0) -> Problem:
    """Make the problem that catches every known mistake in a backward pass.

    The scalar is a random weighting of all logits *and* of the final state; it depends on the parameters and on a
    random initial state, ``state0/...`` among the arrays. With dropout one set of masks is drawn and kept. The first
    character comes twice, so that gradients of one embedding row must add up.

    Parameters
    ----------
    model : CharModel
        In float64. Its gradients should be large enough to see: see :func:`enlarge`.
    steps, batch : int
        T and B.
    seed : int
        Of everything random here.
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
    """Make the problem of the gradients that a training step uses: the mean loss of its second minibatch.

    The first minibatch is trained on, so that the second begins in a carried state; some of its targets do not count.
    Parameters as in :func:`model_problem`.

    Raises
    ------
    UserError
        The vocabulary has one character: the loss is 0 whatever the parameters are.
    """
    generator = np.random.default_rng(seed)
    model = step.model
    if model.vocab_size == 1:
        raise UserError("with a vocabulary of 1 a training step has nothing to learn: check one of at least 2")
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


def enlarge(model: CharModel, seed: int = 0, scale: float = 0.5) -> None:
    """Redraw a model's parameters uniform in [-scale, scale), so that no gate is near its linear range only.

    Matrices of more than :data:`WIDE` rows are redrawn narrower, so that sums over their rows do not grow with the
    width: gates would saturate, and a plain recurrent network would become chaotic, for which no step is short enough.
    """
    values = np.random.default_rng(seed).uniform(-scale, scale, model.params.flat.size)
    model.params.flat[...] = model.xp.asarray(values)
    for array in model.params.values():
        if array.ndim == 2 and len(array) > WIDE:
            array *= (WIDE / len(array)) ** 0.5
