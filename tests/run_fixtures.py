"""What the tests of training runs share: a small text, small runs, their contents, and the command line."""

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigrid import CharModel
from minigrid.cli.main import main
from minigrid.data.vocabulary import Vocabulary
from minigrid.runs.checkpoint import model_arrays, write_checkpoint
from minigrid.runs.checkpoint_format import Meta
from minigrid.runs.config import Config
from minigrid.runs.loop import train
from minigrid.runs.report import Report
from minigrid.runs.run import Run
from minigrid.runs.start import start_run

HERE = Path(__file__).parent
PROJECT = HERE.parent

VERSE = "Été à Zürich: 😀 the café, naïve über alles, waits for 3 more rains.\nNo one sees the smile 🙂 of the cat.\n"
TEXT = "".join(VERSE[k:] + VERSE[:k] for k in range(0, 60, 3))  # 2,080 characters: 20 rotations of one verse

SMALL: dict[str, Any] = {"hidden": 8, "layers": 2, "batch": 4, "steps": 6, "backend": "numpy"}


def write_text(folder: Path, text: str = TEXT, name: str = "text.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def text_config(data: Path, **settings: Any) -> Config:
    return Config(**SMALL | {"data": str(data)} | settings)


def addition_config(**settings: Any) -> Config:
    return Config(**{"task": "addition", "digits": 1} | SMALL | settings)


def trained(folder: Path, config: Config, report: Report | None = None) -> Run:
    run = start_run(config, folder)
    train(run, report)
    return run


def save_model(path: Path, vocabulary: Vocabulary, **described: Any) -> None:
    """Write a checkpoint of a small untrained model."""
    model = CharModel(vocab_size=len(vocabulary), hidden=4)
    path.parent.mkdir(exist_ok=True)
    write_checkpoint(path, model_arrays(model), Meta(model=model.options, vocabulary=vocabulary, **described))


def arrays_of(checkpoint: Path) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint: parameters, optimiser, carried state."""
    with np.load(checkpoint) as file:
        return {name: file[name] for name in file.files if name != "meta"}


def meta_of(checkpoint: Path) -> dict[str, Any]:
    with np.load(checkpoint) as file:
        return json.loads(file["meta"].tobytes())


def same_bits(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    """Whether two checkpoints hold the same arrays, to the last bit."""
    return a.keys() == b.keys() and all(
        (a[name].dtype, a[name].shape, a[name].tobytes()) == (b[name].dtype, b[name].shape, b[name].tobytes())
        for name in a
    )


def metrics_of(folder: Path) -> list[dict[str, Any]]:
    """The metrics of a run, apart from what depends on the clock."""
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key != "per_second"} for record in records]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


def call(capsys: Any, *arguments: object) -> Outcome:
    """Give a command to the command line, as `python -m minigrid` does."""
    capsys.readouterr()
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as leaving:
        code = leaving.code
    return Outcome(code, *capsys.readouterr())


def done(capsys: Any, *arguments: object) -> str:
    """Return what a command that must succeed has printed."""
    outcome = call(capsys, *arguments)
    assert outcome.code == 0, outcome.err
    return outcome.out


def refused(capsys: Any, *arguments: object) -> str:
    """Return the one line with which a command must refuse what it was given."""
    outcome = call(capsys, *arguments)
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith("minigrid"), outcome.err
    assert outcome.err.endswith((".\n", "--help)\n")), outcome.err
    assert ".." not in outcome.err.replace("...", "")
    return outcome.err


CHILD = {
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONPATH": str(PROJECT),
    "PYTHONUTF8": "1",
    "PYTHONUNBUFFERED": "",  # a stream without a buffer hides what goes wrong when one is emptied at the exit
}


def python(*arguments: object, cwd: Path, **variables: str) -> subprocess.Popen:
    """Start Python in a process of its own, with one thread, so that it disturbs no other, and with more variables."""
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | CHILD | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def outcome(process: subprocess.Popen, seconds: float = 60) -> Outcome:
    out, err = process.communicate(timeout=seconds)
    return Outcome(process.returncode, out, err)


def no_space(*args: object, **options: object) -> None:
    """Take the place of a function that writes, on a disk that is full."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def half_of(savez: Callable, then: Callable[[], None]) -> Callable:
    """Make a `numpy.savez` that writes half of the bytes, on to the disk, and then goes wrong."""

    def write_half(file: Any, **arrays: np.ndarray) -> None:
        whole = io.BytesIO()
        savez(whole, **arrays)
        file.write(whole.getvalue()[: whole.tell() // 2])
        file.flush()
        os.fsync(file.fileno())
        then()

    return write_half
