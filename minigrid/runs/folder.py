"""The folder of a training run.

It contains ``config.json`` (the settings), ``metrics.jsonl`` (one record per line), ``last.npz`` and ``best.npz``
(checkpoints) and ``loss.png``.
"""

import contextlib
import json
import os
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from minigrid.errors import Notice, UserError
from minigrid.files import (
    A_DAY,
    is_unfinished,
    lock,
    read_plain,
    remove_unfinished,
    sync_folder,
    written,
    written_whole,
)
from minigrid.runs.checkpoint import read_description
from minigrid.runs.config import Config
from minigrid.runs.find import BEST, LAST, PRETRAINED
from minigrid.runs.records import Record, checked_record
from minigrid.version import __version__

CONFIG, METRICS, PICTURE = "config.json", "metrics.jsonl", "loss.png"
FILES = (PICTURE, BEST, METRICS, CONFIG, LAST)
"""The files of a run, in the order in which they are removed: without its last checkpoint, no run can be recognised."""
MOST_BYTES = 1_000_000_000  # of metrics that are read: ten million records


def refuse_used(folder: Path) -> None:
    """Make sure that a new run overwrites nothing.

    A run that was stopped before its first step does not count: it can be started again at no loss.

    Raises
    ------
    UserError
        `folder` is a file, or a folder that is not empty.
    """
    if str(folder).startswith(PRETRAINED):
        raise UserError(f"{folder} names a model that comes with minigrid: choose another folder for the `run`")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: choose a new folder for the `run`")
    if folder.exists() and not all(map(is_unfinished, folder.iterdir())) and not _is_untrained(folder):
        raise UserError(
            f"the folder {folder} is not empty: `resume` the run in it, or choose a new folder for the `run`"
        )


def _is_untrained(folder: Path) -> bool:
    """Return whether a folder contains only what a run writes before its first step.

    That includes a validation of inherited parameters.
    """
    names = {file.name for file in folder.iterdir() if not is_unfinished(file)}
    if LAST not in names or not names <= set(FILES) or (PICTURE in names and BEST not in names):
        return False
    return all(_is_at_step_0(folder / name) for name in names & {LAST, BEST})


def _is_at_step_0(checkpoint: Path) -> bool:
    try:
        run = read_description(checkpoint)[0].run
    except UserError:
        return False
    return run is not None and run.progress is not None and run.progress.number == 0


def claim(folder: Path) -> None:
    """Make the folder of a new run, and remove what a run that never began has left in it.

    Raises
    ------
    UserError
        The folder is in use, as in :func:`refuse_used`, or another process is training in it.
    """
    make_folder(folder)
    with held(folder):
        refuse_used(folder)  # again: another process may just have ended a run here
        remove_unfinished(folder)
        _remove_run(folder)


def discard(folder: Path) -> None:
    """Remove the files of a run that has not done its first step, and its folder."""
    with contextlib.suppress(OSError):  # the folder may be the current one, or contain the user's files
        _remove_run(folder)
        folder.rmdir()


def _remove_run(folder: Path) -> None:
    for name in FILES:
        (folder / name).unlink(missing_ok=True)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock the folder of a run against other processes that train, if the system supports locks.

    Raises
    ------
    UserError
        Another process is training in the folder, or the folder does not exist.
    """
    if os.name == "nt":  # Windows cannot open folders
        yield
        return
    with written(folder):
        opened = os.open(folder, os.O_RDONLY)  # a lock on the folder itself needs no file
    try:
        if lock(opened) is False:
            raise UserError(
                f"another process is training in {folder}: wait for it, stop it, or choose a new folder for the `run`"
            )
        yield
    finally:
        os.close(opened)


def fresh_folder(config: Config) -> Path:
    """Make a new folder under runs/, named after what is trained; simultaneous calls get different folders."""
    text = config.task if config.task == "addition" else Path(config.data).stem if config.data else config.corpus
    name = f"{text}-{config.model}-{config.layers}x{config.hidden}"
    runs = Path("runs")
    make_folder(runs)
    folder, k = runs / name, 1
    while True:
        _remove_empty(folder)
        with written(folder), contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder
        k += 1
        folder = runs / f"{name}-{k}"


def _remove_empty(folder: Path) -> None:
    """Remove an empty folder that is a day old: its run was killed before it could save."""
    with contextlib.suppress(OSError):  # it does not exist, or is not empty
        if time.time() - folder.stat().st_mtime > A_DAY:
            remove_unfinished(folder)
            folder.rmdir()


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, unless it exists."""
    with written(folder):
        folder.mkdir(parents=True, exist_ok=True)


def list_runs() -> str:
    """Name the newest runs under runs/, for messages."""
    found = sorted(
        filter(Path.is_file, Path("runs").glob(f"*/{LAST}")), key=lambda path: path.stat().st_mtime, reverse=True
    )
    return f"under runs/: {', '.join(path.parent.name for path in found[:5])}" if found else "there is none under runs/"


# -- files that survive a power cut


def write_config(folder: Path, settings: dict[str, Any]) -> None:
    """Write the settings of a run, and the version of minigrid, where a person can read them.

    The checkpoints hold them too.
    """
    _write_durably(folder / CONFIG, json.dumps({"version": __version__} | settings, indent=1) + "\n")


def write_metrics(folder: Path, records: Iterable[Record]) -> None:
    """Replace the metrics of a run."""
    _write_durably(folder / METRICS, "".join(map(_line, records)))


def append_metrics(folder: Path, record: Record) -> None:
    """Add a record to the metrics of a run; only :func:`sync_metrics` makes it durable."""
    with written(folder / METRICS), open(folder / METRICS, "a", encoding="utf-8") as file:
        file.write(_line(record))


def sync_metrics(folder: Path) -> None:
    """Force the metrics of a run to the disk, before a checkpoint that counts them is written.

    Raises
    ------
    OSError
        The disk is full, for example.
    """
    with open(folder / METRICS, "a", encoding="utf-8") as file:
        os.fsync(file.fileno())


def _write_durably(path: Path, text: str) -> None:
    with written(path):
        with written_whole(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)


# -- reading metrics


def read_metrics(folder: Path) -> list[Record]:
    """Read the metrics of a run.

    Raises
    ------
    UserError
        The folder has none, or they cannot be read.
    """
    try:
        lines = read_plain(folder / METRICS, MOST_BYTES).decode().splitlines()
        return [_record(line) for line in lines]
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "contains no" if folder.is_dir() else "is no folder with"
        raise UserError(f"{folder} {what} {METRICS}: give the folder of a run") from error
    except OSError as error:
        raise UserError(f"cannot read {folder / METRICS}: {error.strerror}; give the folder of a run") from error
    except ValueError as error:  # not JSON, not UTF-8, or not a record
        raise UserError(f"{folder / METRICS} is damaged ({error}): resume the run to repair the file") from error


def metrics_until(folder: Path, count: int, step: int) -> list[Record]:
    """Return the records that belong to a checkpoint: the first `count`, but none after `step`.

    Warns if some of them are missing or damaged; the others are returned.
    """
    try:
        lines, reason = read_plain(folder / METRICS, MOST_BYTES).split(b"\n")[:count], "incomplete or damaged"
    except OSError as error:
        lines, reason = [], f"not readable ({error.strerror})"
    records = []
    for line in lines:
        with contextlib.suppress(ValueError):
            records.append(_record(line.decode()))
    if len(records) < count:
        warnings.warn(
            f"{folder / METRICS} is {reason}: the run continues without {count - len(records)} of its {count} records "
            f"up to step {step}",
            Notice,
            stacklevel=2,
        )
    return [record for record in records if record["step"] <= step]


def _record(line: str) -> Record:
    """Read a line of the metrics.

    Raises
    ------
    ValueError
        It is not a record with a whole step and a finite loss.
    """
    try:
        return checked_record(json.loads(line))
    except RecursionError as error:
        raise ValueError(f"{line[:40]!r} is nested too deeply") from error


def _line(record: Record) -> str:
    return json.dumps(record) + "\n"
