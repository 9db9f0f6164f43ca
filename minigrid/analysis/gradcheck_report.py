"""The result of a gradient check: the errors of the arrays, and the worst entries."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

TOLERANCE = 1e-8


class Entry(NamedTuple):
    """The two gradients of one entry of an array: the one derived by hand, and the difference quotient."""

    name: str
    position: tuple[int, ...]  # or, from check_directions, the number of the direction
    analytic: float
    numeric: float

    @property
    def difference(self) -> float:
        """|analytic - numeric|."""
        return abs(self.analytic - self.numeric)

    def __str__(self) -> str:
        position = ", ".join(map(str, self.position))
        return f"{self.name}[{position}]: by hand {self.analytic:.10g}, by differences {self.numeric:.10g}"


class Report(NamedTuple):
    """The result of a check.

    Attributes
    ----------
    errors : dict
        Array name -> ``max|a - n| / max(|a| + |n|)``.
    worst : list of Entry
        Entries with the largest difference relative to the scale of their array, worst first.
    checked : int
        Number of entries (or directions) compared.
    """

    errors: dict[str, float]
    worst: list[Entry]
    checked: int

    @property
    def error(self) -> float:
        """The largest of `errors`; NaN if any of them is NaN."""
        return float(np.max(list(self.errors.values())))

    def passed(self, tolerance: float = TOLERANCE) -> bool:
        """Return whether the error of every array is at most `tolerance`. NaN never passes."""
        return bool(self.error <= tolerance)


def make_report(entries: Mapping[str, list[Entry]], rounding: float, worst: int = 5) -> Report:
    """Compare the two gradients of each array, whose slopes may be off by `rounding`; name the `worst` entries."""
    errors: dict[str, float] = {}
    ranked: list[tuple[bool, float, Entry]] = []
    for name, found in entries.items():
        # np.max propagates NaN, the built-in max does not
        scale = float(np.max([abs(entry.analytic) + abs(entry.numeric) for entry in found]))
        if scale:
            scale = float(np.maximum(scale, rounding / TOLERANCE))
        relative = [entry.difference / scale if scale else 0.0 for entry in found]
        errors[name] = float(np.max(relative))
        for entry, error in zip(found, relative, strict=True):
            ranked.append((bool(np.isnan(entry.difference)), float(np.nan_to_num(error)), entry))
    ranked.sort(key=lambda item: item[:2], reverse=True)
    return Report(errors, [entry for _, _, entry in ranked[:worst]], len(ranked))
