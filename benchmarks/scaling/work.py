"""Measure what one core takes for a model: the figures that :mod:`benchmarks.scaling.model` predicts from."""

from collections.abc import Iterable

from benchmarks.scaling.model import Work
from benchmarks.scaling.sides import minigrid
from benchmarks.scaling.sizes import Size


def measured_work(size: Size, columns: Iterable[int], budget: float) -> Work:
    """Measure the work of a step on one core, for some numbers of columns."""
    options = ["--size", str(size), "--budget", str(budget)]
    after = minigrid("update", *options)
    times = {b: minigrid("train", *options, "--columns", str(b))["seconds"] - after["update"] for b in sorted(columns)}
    P = after["parameters"]
    return Work(P, after["update"] / P, after["add"] / P, times)
