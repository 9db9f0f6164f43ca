"""Puts what was measured into an experiment's page."""

import argparse
import re
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigrid.runs.folder import Record


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(values: Collection[float], form: str = ".4f") -> str:
    """Write a mean and, of more than one value, the lowest and the highest."""
    mean = format(statistics.mean(values), form)
    return f"{mean} ({min(values):{form}} to {max(values):{form}})" if len(values) > 1 else mean


def rounded(value: Any, digits: int) -> Any:
    """Turn the arrays of a measurement into lists, and its floats into such of so many significant digits."""
    if isinstance(value, dict):
        return {str(key): rounded(entry, digits) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [rounded(entry, digits) for entry in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def fill(page: Path, place: str, text: str) -> None:
    """Replace what stands in a Markdown page between ``<!-- PLACE -->`` and ``<!-- /PLACE -->``.

    Raises
    ------
    ValueError
        The page has no such place.
    """
    before = page.read_text(encoding="utf-8")
    first, last = f"<!-- {place} -->", f"<!-- /{place} -->"
    after, count = re.subn(f"{first}.*?{last}", lambda _: f"{first}\n\n{text}\n\n{last}", before, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{page} has no single {first} ... {last}")
    if after != before:
        page.write_text(after, encoding="utf-8")


def compute(metrics: Mapping[str, Sequence[Record]]) -> str:
    """Say how long finished runs took, from the last record of each, and on what."""
    made = [records[-1] for records in metrics.values()]
    hours = sum(record["minutes"] for record in made) / 60
    machines = sorted({record["machine"] for record in made})
    return f"Compute: {hours:.1f} hours of training steps, summed over the runs, on {'; '.join(machines)}."


def report_only(description: str) -> bool:
    """Read the command line of an experiment that trains no runs: whether it is only to report."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--report", action="store_true", help="measure nothing, only report on what is there")
    return parser.parse_args().report
