"""What is on this machine: pretrained models, corpora, and the runs in a folder."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from minigrid.data.corpora import CORPORA
from minigrid.data.corpora.download import find
from minigrid.data.corpora.sources import SOURCES
from minigrid.errors import UserError
from minigrid.runs.checkpoint import read_description
from minigrid.runs.checkpoint_format import Meta
from minigrid.runs.find import BEST, LAST, PRETRAINED, find_checkpoint, pretrained_names
from minigrid.runs.folder import CONFIG, METRICS


class Model(NamedTuple):
    """A trained model, described without building it.

    Attributes
    ----------
    name : str
        What a command takes: ``pretrained:NAME``, or the folder of a run.
    model : str
        Kind, layers and units.
    vocabulary : str
        Number and kind of its symbols.
    text : str
        What it was trained on.
    step : int or None
        Training steps done; None if the file does not say.
    loss : float or None
        Best validation loss in nats; None if there was no validation.
    saved : datetime.datetime
        When its checkpoint was saved, in local time.
    """

    name: str
    model: str
    vocabulary: str
    text: str
    step: int | None
    loss: float | None
    saved: datetime.datetime


class Unreadable(NamedTuple):
    """A model that cannot be read, and why."""

    name: str
    reason: str


def pretrained_models() -> list[Model | Unreadable]:
    """Describe the models that come with minigrid."""
    names = [f"{PRETRAINED}{name}" for name in pretrained_names()]
    return [_described(name, find_checkpoint(Path(name))) for name in names]


def corpora() -> Iterator[tuple[str, str, str]]:
    """Yield the name of each corpus, its description, and where its text is on this machine."""
    for name, description in CORPORA.items():
        yield name, description, _place(name)


def _place(name: str) -> str:
    if name not in SOURCES:
        return "always here"
    try:
        path = find(SOURCES[name])
    except OSError as error:
        return f"cannot be looked for: {error.strerror or error}"
    return str(path) if path else "not here, fetched on first use"


def runs_in(folder: Path) -> list[Model | Unreadable]:
    """Describe the runs in a folder, or the run that the folder is, the latest one first.

    Raises
    ------
    OSError
        The folder cannot be read.
    """
    folders = [folder] if _is_run(folder) else filter(_is_run, folder.iterdir())
    found = [_run(run) for run in folders]
    readable = sorted((run for run in found if isinstance(run, Model)), key=lambda run: run.saved, reverse=True)
    return [*readable, *sorted(run for run in found if isinstance(run, Unreadable))]


def _is_run(folder: Path) -> bool:
    try:
        return any((folder / name).is_file() for name in (LAST, BEST, CONFIG, METRICS))
    except OSError:  # a folder that this user may not enter
        return False


def _run(folder: Path) -> Model | Unreadable:
    checkpoint = next((folder / name for name in (LAST, BEST) if (folder / name).is_file()), None)
    if checkpoint is None:
        return Unreadable(str(folder), "has saved no checkpoint yet")
    return _described(str(folder), checkpoint)


def _described(name: str, file: Path) -> Model | Unreadable:
    try:
        return _model(name, read_description(file)[0], file.stat().st_mtime)
    except (UserError, OSError, ValueError, OverflowError) as error:  # the last two for an absurd date or loss
        return Unreadable(name, str(error))


def _model(name: str, meta: Meta, modified: float) -> Model:
    options, progress = meta.model, meta.run.progress if meta.run else None
    return Model(
        name=name,
        model=f"{options.model} {options.layers} x {options.hidden}",
        vocabulary=f"{len(meta.vocabulary)} {meta.vocabulary.tokens}",
        text=_text(meta),
        step=progress.number if progress else None,
        loss=progress.best if progress else _number(meta.made or {}, "validation_loss"),
        saved=datetime.datetime.fromtimestamp(modified),
    )


def _text(meta: Meta) -> str:
    """Name what a model was trained on; the settings of its run are unchecked."""
    config = meta.run.config if meta.run else {}
    task = config.get("task", "text")
    if task != "text":
        return str(task)
    return Path(str(config["data"])).name if config.get("data") else str(config.get("corpus") or "-")


def _number(table: dict, name: str) -> float | None:
    value = table.get(name)
    return float(value) if isinstance(value, int | float) else None
