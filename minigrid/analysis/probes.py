"""Linear probes: how well a fact about the text can be read off a state, by all of its units or by a single one.

A guess by tossing a coin is right for half of the characters inside and half of those outside, so everything here is
judged by *balanced accuracy*: the mean of the share that is right inside and the share that is right outside. It is
50 % for whoever always gives the same answer, however rare the fact.
"""

from typing import NamedTuple

import numpy as np

from minigrid.errors import UserError

RIDGE = 1e-4  # pulls the weights of standardised units towards 0; only matters for units that say the same
ROUNDS = 30
CONVERGED = 1e-4  # largest change of a weight


class Probe(NamedTuple):
    """Says yes where ``states @ weights + bias`` is above 0.

    Attributes
    ----------
    weights : (H,) array
        One per unit.
    bias : float
        Minus the threshold.
    """

    weights: np.ndarray
    bias: float

    def says(self, states: np.ndarray) -> np.ndarray:
        """Answer for each of the states (..., H): a bool array (...)."""
        return states @ self.weights + self.bias > 0


def balanced_accuracy(truth: np.ndarray, said: np.ndarray) -> float:
    """Return the mean of the share of true entries that are said to be so, and of false ones that are not.

    Parameters
    ----------
    truth, said : bool arrays of the same shape
        `truth` has both values.
    """
    return float((said[truth].mean() + (~said[~truth]).mean()) / 2)


def fit_probe(states: np.ndarray, truth: np.ndarray) -> Probe:
    """Fit a logistic regression to all units by Newton's method, inside and outside weighing the same in all.

    Parameters
    ----------
    states : (N, H) array
        One row per character.
    truth : (N,) bool array
        What is to be read off them.

    Raises
    ------
    UserError
        All of `truth` is the same.
    """
    importance = _importance(truth)
    mean, scale = states.mean(axis=0), states.std(axis=0) + 1e-8
    x = np.column_stack([(states - mean) / scale, np.ones(len(states))]).astype(np.float64)
    ridge = np.full(x.shape[1], RIDGE)
    ridge[-1] = 0  # the bias is free
    w = np.zeros(x.shape[1])
    for _ in range(ROUNDS):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        gradient = x.T @ (importance * (p - truth)) + ridge * w
        curvature = (x * (importance * p * (1 - p))[:, None]).T @ x + np.diag(ridge + 1e-9)
        step = np.linalg.solve(curvature, gradient)
        w -= step
        if abs(step).max() < CONVERGED:
            break
    weights = w[:-1] / scale
    return Probe(weights, float(w[-1] - mean @ weights))


def fit_units(states: np.ndarray, truth: np.ndarray) -> tuple[list[Probe], np.ndarray]:
    """Find for every unit on its own the best threshold, and which side of it means yes.

    Parameters
    ----------
    states, truth
        As for :func:`fit_probe`.

    Returns
    -------
    probes : list of Probe
        One per unit; all weights but that unit's are 0.
    accuracies : (H,) array
        Balanced accuracy of each on these same states.
    """
    importance = np.where(truth, 1, -1) * _importance(truth)
    order = np.argsort(states, axis=0)
    # if "yes" means at or below a value: what of the true ones is caught, less what of the false ones is
    caught = np.cumsum(importance[order], axis=0)[:-1] * 2
    ordered = np.take_along_axis(states, order, axis=0)
    caught[ordered[1:] == ordered[:-1]] = 0  # no threshold lies between equal values
    at, units = abs(caught).argmax(axis=0), np.arange(states.shape[1])
    threshold = (ordered[at, units] + ordered[at + 1, units]) / 2
    side = -np.sign(caught[at, units])  # +1: yes is above
    probes = [Probe(side[u] * (units == u), float(-side[u] * threshold[u])) for u in units]
    return probes, (1 + abs(caught[at, units])) / 2


def _importance(truth: np.ndarray) -> np.ndarray:
    """Give each entry a weight so that those inside sum to a half and those outside too."""
    share = truth.mean()
    if not 0 < share < 1:
        raise UserError("a probe has nothing to tell apart: the truth is the same for all characters")
    return np.where(truth, 0.5 / share, 0.5 / (1 - share)) / len(truth)


def fit_context(ids: np.ndarray, truth: np.ndarray, length: int) -> dict[bytes, bool]:
    """Learn by heart what the last characters tell: for each string of them the likelier answer.

    This is no probe of a model but what one is to be compared with: whoever remembers nothing but the last `length`
    characters can do no better than this.

    Parameters
    ----------
    ids, truth : (T, B) arrays
        Characters and the fact, B sequences side by side.
    length : int
        How many characters, the present one included.
    """
    odds: dict[bytes, float] = {}
    importance = np.where(truth, 1, -1).ravel() * _importance(truth.ravel())
    for key, weight in zip(_contexts(ids, length), importance[(length - 1) * ids.shape[1] :], strict=True):
        odds[key] = odds.get(key, 0) + weight
    return {key: weight > 0 for key, weight in odds.items()}


def context_says(table: dict[bytes, bool], ids: np.ndarray, length: int) -> np.ndarray:
    """Answer from the last characters, for every step but the first ``length - 1``: (T - length + 1, B) bool.

    Strings that were never seen count as no.
    """
    said = [table.get(key, False) for key in _contexts(ids, length)]
    return np.array(said).reshape(-1, ids.shape[1])


def _contexts(ids: np.ndarray, length: int) -> list[bytes]:
    windows = np.lib.stride_tricks.sliding_window_view(ids.astype(np.int32), length, axis=0)
    return [window.tobytes() for window in windows.reshape(-1, length)]
