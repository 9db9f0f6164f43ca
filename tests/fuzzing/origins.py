"""Real checkpoints, from which the altered ones are made."""

import dataclasses
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from run_fixtures import HERE, TEXT

from minigrid import CharModel, Vocabulary, save
from minigrid.runs import loop
from minigrid.runs.checkpoint import read_checkpoint, write_checkpoint
from minigrid.runs.config import Config
from minigrid.runs.find import LAST
from minigrid.runs.folder import CONFIG, METRICS
from minigrid.runs.start import start_run

TEXT_FILE = "text.txt"
FROZEN = HERE / "frozen"
STEPS = 13
"""At which the runs stopped."""


class Origin(NamedTuple):
    """A right checkpoint."""

    name: str
    content: bytes
    description: dict[str, Any]
    params: dict[str, np.ndarray]
    folder: Path | None = None  # of its run, with its text beside it; None if it cannot be resumed

    @property
    def is_run(self) -> bool:
        return self.folder is not None


def origins(place: Path) -> list[Origin]:
    """Make the checkpoints in an empty folder."""
    made = [_run(place, name, **settings) for name, settings in RUNS.items()]
    return [*made, _frozen(place), *(_saved(place, model) for model in ("grid", "rnn")), _parameters_only(place)]


SMALL: dict[str, Any] = {"hidden": 4, "batch": 3, "steps": 5, "backend": "numpy", "max_steps": STEPS, "eval_every": 12}
RUNS: dict[str, dict[str, Any]] = {
    "grid": {"optimizer": "adam", "dropout": 0.2},
    "grid of bytes": {"tokens": "bytes", "tie": "none", "layers": 1, "test_fraction": 0.1},
    "lstm": {"model": "lstm", "embedding": 3, "split": "stripes"},
    "gru of bytes": {"model": "gru", "tokens": "bytes", "embedding": 0},
    "rnn": {"model": "rnn", "clip_norm": 5.0},
    "addition": {"task": "addition", "digits": 1, "model": "lstm"},
}


def _run(place: Path, name: str, **settings: Any) -> Origin:
    """Train for a few steps, one of them after the last validation, as a run that was stopped."""
    home = place / name.replace(" ", "-")
    home.mkdir()
    text = home / TEXT_FILE
    text.write_text(TEXT, encoding="utf-8")
    data = {} if settings.get("task") == "addition" else {"data": str(text)}
    folder = home / "run"
    run = start_run(Config(**SMALL | data | settings), folder)
    draw, loop._draw = loop._draw, lambda run, report: None
    try:
        loop.train(run)
    finally:
        loop._draw = draw
    checkpoint = read_checkpoint(folder / LAST)
    assert checkpoint.meta.run is not None
    config = checkpoint.meta.run.config | ({"data": TEXT_FILE} if data else {}) | {"max_steps": STEPS + 2}
    meta = dataclasses.replace(checkpoint.meta, run=dataclasses.replace(checkpoint.meta.run, config=config))
    with np.load(folder / LAST) as file:
        arrays = {key: file[key] for key in file.files if key != "meta"}
    write_checkpoint(folder / LAST, arrays, meta)  # a path below a temporary folder would differ from time to time
    for other in folder.iterdir():
        if other.name not in (LAST, CONFIG, METRICS):
            other.unlink()
    return _origin(name, folder / LAST, folder)


def _frozen(place: Path) -> Origin:
    home = place / "format-1"
    (home / "run").mkdir(parents=True)
    shutil.copy(FROZEN / "text.txt", home / TEXT_FILE)
    shutil.copy(FROZEN / "run-format-1.npz", home / "run" / LAST)
    return _origin("format 1", home / "run" / LAST, home / "run")


def _saved(place: Path, kind: str) -> Origin:
    vocabulary = Vocabulary.from_text("abc \né🙂")
    dtype = "float64" if kind == "rnn" else "float32"
    model = CharModel(kind, vocab_size=len(vocabulary), hidden=3, layers=2, dtype=dtype)
    path = place / f"saved-{kind}.npz"
    save(path, model, vocabulary)
    return _origin(f"saved {kind}", path)


def _parameters_only(place: Path) -> Origin:
    """A checkpoint of a run without its progress, like those that come with minigrid."""
    checkpoint = read_checkpoint(place / "addition" / "run")
    assert checkpoint.meta.run is not None
    run = dataclasses.replace(checkpoint.meta.run, progress=None)
    path = place / "parameters.npz"
    write_checkpoint(path, checkpoint.arrays, dataclasses.replace(checkpoint.meta, run=run, made={"minutes": 4.5}))
    return _origin("parameters only", path)


def _origin(name: str, path: Path, folder: Path | None = None) -> Origin:
    with np.load(path) as file:
        description = json.loads(file["meta"].tobytes())
        params = {key.removeprefix("params/"): file[key] for key in file.files if key.startswith("params/")}
    return Origin(name, path.read_bytes(), description, params, folder)


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def lay_out(origin: Origin, place: Path) -> None:
    """Copy the folder of an origin, with its text, into an empty folder, or another run's for a model alone."""
    home = origin.folder.parent if origin.folder is not None else None
    if home is not None:
        shutil.copytree(home, place, dirs_exist_ok=True)
    else:
        (place / TEXT_FILE).write_text(TEXT, encoding="utf-8")
    (place / "folder").mkdir(exist_ok=True)
    os.mkfifo(place / "pipe")
