"""Sizes, times and paragraphs, as the page shows them."""

from textwrap import fill
from typing import Any

from benchmarks.scaling.sizes import Size


def wrapped(text: str) -> str:
    """Return a paragraph in lines of equal length."""
    return fill(" ".join(text.split()), 120)


def shown(size: str) -> str:
    """Return ``grid 2x128`` for ``grid:2x128``."""
    return str(Size.parse(size)).replace(":", " ")


def ms(seconds: float) -> str:
    """Return milliseconds with three digits or more."""
    value = seconds * 1e3
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}"


def ratio(row: dict[str, Any], side: str) -> str:
    """Return how many times as fast as a side the ranks are, with the interval."""
    low, median, high = row["times_as_fast"][side]
    return f"{median:.2f} ({low:.2f} to {high:.2f})"
