"""The folders that training runs live in.

A run's folder holds ``config.json`` (its settings), ``metrics.jsonl`` (one record per line), ``last.npz`` and
``best.npz`` (checkpoints) and ``loss.png``.
"""

import contextlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from minigrid.errors import UserError
from minigrid.files import is_unfinished, written, written_whole
from minigrid.runs.checkpoint import LAST
from minigrid.runs.config import Config

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

CONFIG, METRICS, PICTURE = "config.json", "metrics.jsonl", "loss.png"

Record = dict[str, Any]
"""One measurement: ``split`` ("train" or "val"), ``step``, ``epoch``, ``loss`` (nats) and what else was measured."""


def refuse_used(folder: Path) -> None:
    """Make sure that a new run overwrites nothing.

    What a run has left that was stopped before its first save does not count.

    Raises
    ------
    UserError
        It is a file, or a folder that is not empty.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: name a new folder with --run")
    if folder.exists() and not all(map(is_unfinished, folder.iterdir())):
        raise UserError(
            f"{folder} already holds something: go on with the run in it by --resume, or name a new folder with --run"
        )


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep every other process that trains out of a run's folder, where the system and its files know locks.

    Raises
    ------
    UserError
        Another process is training in it; it is not there.
    """
    if fcntl is None:
        yield
        return
    with written(folder):
        lock = os.open(folder, os.O_RDONLY)  # of the folder itself: it needs no file, and ends with the process
    try:
        _lock(lock, folder)
        yield
    finally:
        os.close(lock)


def _lock(opened: int, folder: Path) -> None:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(
            f"another process is training in {folder}: wait for it, stop it, or name a new folder with --run"
        ) from error
    except OSError:  # some network file systems have no locks
        pass


def fresh_folder(config: Config) -> Path:
    """Make a folder under runs/ that is named for what is trained; of two runs that ask at once each gets its own."""
    text = config.task if config.task == "addition" else Path(config.data).stem if config.data else config.corpus
    name = f"{text}-{config.model}-{config.layers}x{config.hidden}"
    runs = Path("runs")
    make_folder(runs)
    for k in itertools.count(1):
        folder = runs / (name if k == 1 else f"{name}-{k}")
        with written(folder), contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder


def make_folder(folder: Path) -> None:
    """Make the folder that a run is to live in, unless it is there."""
    with written(folder):
        folder.mkdir(parents=True, exist_ok=True)


def write_config(folder: Path, settings: dict[str, Any]) -> None:
    """Write a run's settings where a person can read them; the checkpoints hold them too."""
    with written(folder / CONFIG), written_whole(folder / CONFIG) as temporary:
        temporary.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def list_runs() -> str:
    """Name the runs under runs/, the newest first."""
    found = sorted(Path("runs").glob(f"*/{LAST}"), key=lambda path: path.stat().st_mtime, reverse=True)
    return f"under runs/: {', '.join(path.parent.name for path in found[:5])}" if found else "there is none under runs/"


def read_metrics(folder: Path) -> list[Record]:
    """Read the metrics of a run: one dict per record, ``split`` being "train" or "val".

    Raises
    ------
    UserError
        The folder holds none.
    """
    try:
        lines = (folder / METRICS).read_text(encoding="utf-8").splitlines()
        return [_record(line) for line in lines]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{folder} holds no {METRICS}: give the folder of a run") from error
    except OSError as error:
        raise UserError(f"cannot read {folder / METRICS}: {error.strerror}; give the folder of a run") from error
    except ValueError as error:  # not JSON, not UTF-8, or no record
        raise UserError(f"{folder / METRICS} is damaged ({error}): --resume of the run writes it anew") from error


def _record(line: str) -> Record:
    record = json.loads(line)
    if not isinstance(record, dict) or not {"split", "step", "loss"} <= record.keys():
        raise ValueError(f"{line[:40]!r} is no measurement")
    return record


def write_metrics(folder: Path, records: Iterable[Record]) -> None:
    """Write a run's metrics anew."""
    with written(folder / METRICS), written_whole(folder / METRICS) as temporary:
        temporary.write_text("".join(map(_line, records)), encoding="utf-8")


def append_metrics(folder: Path, record: Record) -> None:
    """Add a record to a run's metrics."""
    with written(folder / METRICS), open(folder / METRICS, "a", encoding="utf-8") as file:
        file.write(_line(record))


def _line(record: Record) -> str:
    return json.dumps(record) + "\n"
