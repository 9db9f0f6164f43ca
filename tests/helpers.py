"""What several test files share: configurations, random problems, comparisons."""

import copy
from collections.abc import Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from minigrid import CharModel
from minigrid.analysis.gradcheck import enlarge

Options = dict[str, Any]
Arrays = dict[str, np.ndarray]

SIZES = {"vocab_size": 5, "hidden": 4, "layers": 2}

CELL_OPTIONS: list[Options] = [
    *(
        {"model": "grid", "tie": tie, "priority": priority, "lstm_output": output}
        for tie, priority, output in product(("depth", "layers", "none"), ("depth", "none"), ("standard", "paper"))
    ),
    {"model": "lstm", "lstm_output": "standard"},
    {"model": "lstm", "lstm_output": "paper"},
    {"model": "gru"},
    {"model": "rnn"},
]
"""Every kind of layer with every option that changes what it computes."""

CONFIGURATIONS: list[Options] = [
    cell | {"embedding": embedding, "dropout": dropout}
    for cell in CELL_OPTIONS
    for embedding in ((None,) if cell["model"] == "grid" else (None, 0, 3))
    for dropout in (0.0, 0.4)
]
"""All that there is."""

MODELS = ("grid", "lstm", "gru", "rnn")


def label(options: Options) -> str:
    """Name a configuration in pytest's list."""
    return "-".join(
        str(value) if isinstance(value, str) else f"{name}={value}"
        for name, value in options.items()
        if value not in (None, 0.0) or (name == "embedding" and value == 0)
    )


def make_model(**options: Any) -> CharModel:
    """Build a small float64 model, its parameters redrawn so large that every gate bends."""
    model = CharModel(**(SIZES | {"dtype": "float64"} | options))
    enlarge(model, seed=1)
    return model


class Minibatch(NamedTuple):
    """Everything that a model can be given for one minibatch, drawn at random."""

    x: np.ndarray
    y: np.ndarray
    state: Arrays
    masks: Arrays | None
    dlogits: np.ndarray
    dstate: Arrays


def minibatch(model: CharModel, steps: int = 3, batch: int = 2, seed: int = 0) -> Minibatch:
    """Draw a minibatch; a character is repeated, one target is not counted, masks are drawn where there is dropout."""
    generator = np.random.default_rng(seed)
    x, y = generator.integers(0, model.vocab_size, (2, steps, batch))
    x[-1, -1] = x[0, 0]
    if y.size > 1:
        y[-1, 0] = -1
    return Minibatch(
        x,
        y,
        random_state(model, batch, generator),
        model.draw_masks(steps, batch, seed) if model.dropout else None,
        generator.standard_normal((steps, batch, model.vocab_size)).astype(model.dtype),
        random_state(model, batch, generator),
    )


def random_state(model: CharModel, batch: int, generator: np.random.Generator) -> Arrays:
    """Draw a state of the model's names and shapes."""
    return {
        name: generator.standard_normal(s.shape).astype(model.dtype) for name, s in model.initial_state(batch).items()
    }


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """``max|a - b| / max|b|``; infinite where shapes differ or anything is not a number, 0 where both are all zeros."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape:
        return np.inf
    difference, scale = float(np.abs(actual - expected).max()), float(np.abs(expected).max())
    if difference == 0:
        return 0.0
    return difference / scale if np.isfinite(difference) and scale else np.inf


def assert_close(actual: Any, expected: Any, tolerance: float, what: str = "it") -> None:
    """Compare two arrays, or two mappings name by name; a failure names the worst array and its worst entry."""
    if not isinstance(expected, Mapping):
        actual, expected = {what: actual}, {what: expected}
    assert set(actual) == set(expected)
    errors = {name: relative_error(actual[name], expected[name]) for name in expected}
    worst = max(errors, key=errors.get)
    if errors[worst] > tolerance:
        a, b = np.asarray(actual[worst]), np.asarray(expected[worst])
        assert a.shape == b.shape, f"{worst}: shape {a.shape} is not {b.shape}"
        place = np.unravel_index(np.nanargmax(np.abs(a - b)), a.shape)
        raise AssertionError(f"{worst}: error {errors[worst]:.3g}; at {place} {a[place]!r} is not {b[place]!r}")


def assert_equal(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Compare two mappings of arrays bit by bit, dtypes included."""
    assert set(actual) == set(expected)
    for name in expected:
        a, b = np.asarray(actual[name]), np.asarray(expected[name])
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), f"{name} differs"


def arrays_in(thing: Any, path: str = "") -> Arrays:
    """Find every array inside nested tuples, lists and mappings (a cache, say), by its path."""
    if isinstance(thing, np.ndarray):
        return {path: thing}
    if isinstance(thing, Mapping):
        items = thing.items()
    elif isinstance(thing, tuple | list):
        items = enumerate(thing)
    else:
        return {}
    return {name: array for key, value in items for name, array in arrays_in(value, f"{path}/{key}").items()}


def snapshot(thing: Any) -> Arrays:
    """Copy every array inside `thing`, to see later whether one was changed."""
    return copy.deepcopy(arrays_in(thing))
