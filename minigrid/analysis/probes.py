"""Linear probes: how well do the units of a state, all together or one alone, reveal a fact about the text?

A fact is true for some characters ("inside a URL") and false for the others. Probes are scored by *balanced accuracy*:
the mean of the accuracy on the true characters and the accuracy on the false ones. Chance level is 50%, and so is the
score of a constant answer, however rare the fact.
"""

import warnings
from typing import NamedTuple

import numpy as np

from minigrid.errors import UserError

RIDGE = 1e-4  # L2 penalty on the weights of standardised units; decides only between units that carry the same signal
ROUNDS = 30  # of Newton's method
CONVERGED = 1e-4  # largest change of a weight in the last round


class Probe(NamedTuple):
    """A linear classifier: the answer is yes if ``states @ weights + bias`` is above 0.

    Attributes
    ----------
    weights : (H,) array
        One weight per unit.
    bias : float
        The negative of the threshold.
    """

    weights: np.ndarray
    bias: float

    def says(self, states: np.ndarray) -> np.ndarray:
        """Return the answers for states (..., H), as a bool array (...)."""
        return states @ self.weights + self.bias > 0


def balanced_accuracy(truth: np.ndarray, said: np.ndarray) -> float:
    """Return the mean of the accuracy on the true entries and the accuracy on the false ones.

    Parameters
    ----------
    truth, said : bool arrays of the same shape
        The fact, and the answers. Both values occur in `truth`.
    """
    return float((said[truth].mean() + (~said[~truth]).mean()) / 2)


def fit_probe(states: np.ndarray, truth: np.ndarray) -> Probe:
    """Fit a logistic regression on all units by Newton's method.

    The true and the false characters get the same total weight. The weights of the standardised units have a small L2
    penalty.

    Parameters
    ----------
    states : (N, H) array
        One row per character.
    truth : (N,) bool array
        The fact to predict.

    Returns
    -------
    Probe
        The fitted classifier, for states that are not standardised.

    Warns
    -----
    RuntimeWarning
        Newton's method did not converge.

    Raises
    ------
    UserError
        `truth` has the same value everywhere.
    """
    importance = _importance(truth)
    mean, scale = states.mean(axis=0), states.std(axis=0) + 1e-8
    x = np.column_stack([(states - mean) / scale, np.ones(len(states))]).astype(np.float64)
    ridge = np.full(x.shape[1], RIDGE)
    ridge[-1] = 0  # the bias has no penalty
    w = np.zeros(x.shape[1])
    for _ in range(ROUNDS):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        gradient = x.T @ (importance * (p - truth)) + ridge * w
        curvature = (x * (importance * p * (1 - p))[:, None]).T @ x + np.diag(ridge + 1e-9)
        step = np.linalg.solve(curvature, gradient)
        w -= step
        if abs(step).max() < CONVERGED:
            break
    else:
        warnings.warn(
            f"the probe has not converged after {ROUNDS} rounds of Newton's method: the last round changed a weight by "
            f"{abs(step).max():.2g}. Its answers may be poor; try more characters or fewer units",
            RuntimeWarning,
            stacklevel=2,
        )
    weights = w[:-1] / scale
    return Probe(weights, float(w[-1] - mean @ weights))


def fit_units(states: np.ndarray, truth: np.ndarray) -> tuple[list[Probe], np.ndarray]:
    """Find the best threshold for each unit alone, and the side of it that means yes.

    Parameters
    ----------
    states, truth
        As in :func:`fit_probe`.

    Returns
    -------
    probes : list of Probe
        One per unit, in which all other weights are 0.
    accuracies : (H,) array
        Balanced accuracy of each probe on these states.

    Raises
    ------
    UserError
        `truth` has the same value everywhere.
    """
    importance = np.where(truth, 1, -1) * _importance(truth)
    order = np.argsort(states, axis=0)
    # twice the summed weights at or below each value: the true positive rate minus the false positive rate of
    # a probe that says yes there
    caught = np.cumsum(importance[order], axis=0)[:-1] * 2
    ordered = np.take_along_axis(states, order, axis=0)
    caught[ordered[1:] == ordered[:-1]] = 0  # no threshold lies between equal values
    at, units = abs(caught).argmax(axis=0), np.arange(states.shape[1])
    threshold = (ordered[at, units] + ordered[at + 1, units]) / 2
    side = -np.sign(caught[at, units])  # +1 if yes is above the threshold
    probes = [Probe(side[u] * (units == u), float(-side[u] * threshold[u])) for u in units]
    return probes, (1 + abs(caught[at, units])) / 2


def _importance(truth: np.ndarray) -> np.ndarray:
    """Return a weight for each entry; the weights of the true entries sum to 1/2, and so do those of the false."""
    share = truth.mean()
    if not 0 < share < 1:
        raise UserError("a probe has nothing to tell apart: `truth` must be true for some characters, false for others")
    return np.where(truth, 0.5 / share, 0.5 / (1 - share)) / len(truth)


def fit_context(ids: np.ndarray, truth: np.ndarray, length: int) -> dict[bytes, bool]:
    """Memorise the likelier answer for each string of `length` characters.

    This is not a probe of a model but the baseline to compare one with: a model that remembers only the last `length`
    characters cannot do better.

    Parameters
    ----------
    ids, truth : (T, B) arrays
        Characters of B sequences, and the fact.
    length : int
        Number of characters in a context, including the current one.

    Returns
    -------
    dict
        Context, as bytes -> answer, for :func:`context_says`.

    Raises
    ------
    UserError
        `truth` has the same value everywhere.
    """
    odds: dict[bytes, float] = {}
    importance = np.where(truth, 1, -1).ravel() * _importance(truth.ravel())
    for key, weight in zip(_contexts(ids, length), importance[(length - 1) * ids.shape[1] :], strict=True):
        odds[key] = odds.get(key, 0) + weight
    return {key: weight > 0 for key, weight in odds.items()}


def context_says(table: dict[bytes, bool], ids: np.ndarray, length: int) -> np.ndarray:
    """Return the memorised answers for every step but the first ``length - 1``: (T - length + 1, B) bool.

    The answer for a context that was never seen is no.
    """
    said = [table.get(key, False) for key in _contexts(ids, length)]
    return np.array(said).reshape(-1, ids.shape[1])


def _contexts(ids: np.ndarray, length: int) -> list[bytes]:
    """Return the last `length` characters at each step from ``length - 1`` on, as bytes."""
    windows = np.lib.stride_tricks.sliding_window_view(ids.astype(np.int32), length, axis=0)
    return [window.tobytes() for window in windows.reshape(-1, length)]
