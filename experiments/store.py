"""What experiments keep in files: thinned metrics and rounded measurements."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigrid.files import written_whole
from minigrid.runs.folder import Record

TRAINING_DIGITS = 6  # significant
EVERY = 10  # training records


def rounded(value: Any, digits: int) -> Any:
    """Round every float in a nested value to `digits` significant digits, and turn arrays and tuples into lists."""
    if isinstance(value, dict):
        return {str(key): rounded(entry, digits) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [rounded(entry, digits) for entry in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def thinned(records: Sequence[Record]) -> list[Record]:
    """Thin the metrics of a run to a size that can be committed.

    Parameters
    ----------
    records : sequence of dict
        All metrics of a run, in order.

    Returns
    -------
    list of dict
        The first, every tenth and the last training record, rounded to six significant digits, and all other records
        unchanged.
    """
    training = [index for index, record in enumerate(records) if record["split"] == "train"]
    chosen = {*training[:1], *training[EVERY - 1 :: EVERY], *training[-1:]}
    dropped = set(training) - chosen
    return [
        rounded(record, TRAINING_DIGITS) if index in chosen else record
        for index, record in enumerate(records)
        if index not in dropped
    ]


def read_records(file: Path) -> list[Record]:
    """Read JSON lines."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def write_records(file: Path, records: Sequence[Record]) -> None:
    """Write JSON lines, and make the folder if it is missing."""
    _write(file, "".join(json.dumps(record) + "\n" for record in records))


def read_results(file: Path) -> Any:
    """Read a file of JSON."""
    return json.loads(file.read_text(encoding="utf-8"))


def write_results(file: Path, value: Any) -> None:
    """Write an indented file of JSON, and make its folder if it is missing."""
    _write(file, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_by_line(file: Path, value: dict[str, Any]) -> None:
    """Write a file of JSON with a line for each key of the outermost mapping, and make its folder if it is missing."""
    lines = [f"{json.dumps(key)}: {json.dumps(entry)}" for key, entry in value.items()]
    _write(file, "{\n" + ",\n".join(lines) + "\n}\n")


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(file) as temporary:
        temporary.write_text(text, encoding="utf-8")
