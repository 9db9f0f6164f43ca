"""Checkpoints: one ``.npz`` file of plain arrays and one piece of JSON, written whole or not at all.

The same file loads on NumPy and on CuPy, and ``numpy.load`` alone can read it. Nothing is pickled: a checkpoint from a
stranger can hold wrong numbers, but no code. The JSON is described in :mod:`minigrid.runs.checkpoint_format`.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigrid.backend import to_host
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import UserError, did_you_mean
from minigrid.files import sync_folder, written_whole
from minigrid.nn.model import CharModel
from minigrid.runs.checkpoint_format import FORMAT_1, Meta, RunMeta, from_json, to_json

BEST, LAST = "best.npz", "last.npz"
PRETRAINED = "pretrained:"
"""Prefix of the names of the models that come with minigrid."""
PRETRAINED_FOLDER = Path(__file__).parents[1] / "pretrained"


class Checkpoint(NamedTuple):
    """The contents of a checkpoint file.

    Attributes
    ----------
    arrays : dict
        Name -> NumPy array. The parameters are called ``params/...``; a run adds ``optimizer/...`` and ``state/...``.
    meta : Meta
        Options of the model, its vocabulary, and the run that trained it.
    path : Path
        The file.
    """

    arrays: dict[str, np.ndarray]
    meta: Meta
    path: Path

    def vocabulary(self) -> Vocabulary:
        """Return the vocabulary that the model was trained with."""
        return self.meta.vocabulary

    def run(self) -> RunMeta:
        """Return the description of the run that wrote the file.

        Raises
        ------
        UserError
            The file holds a model without a run.
        """
        if self.meta.run is None:
            raise UserError(
                f"the checkpoint {self.path} holds a model only and does not say what it was trained on: "
                "name a text with `data`"
            )
        return self.meta.run

    def model(self, backend: str = "numpy") -> CharModel:
        """Build the model, with its parameters, on a backend.

        Raises
        ------
        UserError
            The arrays do not fit the model that the file describes.
        """
        model = CharModel.from_options(self.meta.model, backend=backend)
        self.copy_params_into(model)
        return model

    def copy_params_into(self, model: CharModel) -> None:
        """Overwrite the parameters of a model with those in the file.

        Raises
        ------
        UserError
            A parameter is missing, unknown, of another shape, or not finite.
        """
        saved_names = {name.removeprefix("params/") for name in self.arrays if name.startswith("params/")}
        if extra := sorted(saved_names - set(model.params)):
            raise self._misfit(f"it has {extra[0]}, which the model lacks")
        for name, array in model.params.items():
            saved = self.arrays.get(f"params/{name}")
            if saved is None or saved.shape != array.shape or saved.dtype.kind != "f":
                found = "is missing" if saved is None else f"is {saved.dtype} of shape {saved.shape}"
                raise self._misfit(f"{name} {found}, but the model's is {array.dtype} of shape {array.shape}")
            if not np.isfinite(saved).all():
                raise UserError(
                    f"the checkpoint {self.path} is useless, because {name} has values that are not finite numbers: "
                    f"{_instead_of(self.path)}"
                )
            array[...] = model.xp.asarray(saved)

    def _misfit(self, how: str) -> UserError:
        return UserError(
            f"the checkpoint {self.path} does not fit the model: {how}; use the settings it was trained with"
        )


def model_arrays(model: CharModel) -> dict[str, np.ndarray]:
    """Return the parameters of a model under the names that they have in a checkpoint."""
    return {f"params/{name}": to_host(array) for name, array in model.params.items()}


def write_checkpoint(path: Path, arrays: Mapping[str, np.ndarray], meta: Meta) -> None:
    """Write a checkpoint atomically: at any time, `path` is the old file or the new one, complete.

    For a model alone, `arrays` are ``model_arrays(model)`` and `meta` is ``Meta(model=model.options,
    vocabulary=vocabulary)``.

    Raises
    ------
    UserError
        The file cannot be written, because the disk is full for example; an older file at `path` is untouched.
    """
    description = np.frombuffer(
        json.dumps(to_json(meta)).encode(), np.uint8
    )  # as text it would take four times as much
    with saving(path), written_whole(path) as unfinished, open(unfinished, "wb") as file:
        np.savez(file, meta=description, **arrays)  # type: ignore[arg-type]  # mypy expects a bool among them
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)  # so that a best checkpoint is never older than the last one says


@contextlib.contextmanager
def saving(path: Path) -> Iterator[None]:
    """Turn an operating system's error while a checkpoint is saved into one sentence that says what to do."""
    try:
        yield
    except OSError as error:
        if any(path.with_name(name).exists() for name in (BEST, LAST)):
            advice = "the checkpoint saved before is intact: free some space, then continue with `resume`"
        else:
            advice = "nothing has been saved yet: free some space and try again"
        raise UserError(f"cannot save {path} ({error.strerror or error}); {advice}") from error


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint.

    Parameters
    ----------
    path : str or Path
        A checkpoint file, the folder of a run (its best checkpoint or, if there is none yet, its last one), or
        ``pretrained:NAME``.

    Raises
    ------
    UserError
        No such file or folder; not a checkpoint; cut off or damaged; written by a newer version.
    """
    path = find_checkpoint(Path(path))
    values: Any = None
    zipped = False
    try:
        with open(path, "rb") as stream:
            zipped = stream.read(4) == b"PK\x03\x04"
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        values = json.loads(arrays.pop("meta").tobytes())
    except MemoryError:
        raise
    except Exception as error:  # zipfile, numpy and json raise a dozen kinds for damaged files
        if isinstance(error, OSError) and error.strerror:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        if zipped and not isinstance(error, KeyError):
            raise UserError(f"the checkpoint {path} is cut off or damaged: {_instead_of(path)}") from error
    if not _is_description(values):
        raise UserError(
            f"{path} is not a minigrid checkpoint: give a .npz file that minigrid wrote, or the folder of a run"
        )
    return Checkpoint(arrays, from_json(values, str(path)), path)


def _is_description(values: Any) -> bool:
    return isinstance(values, dict) and (isinstance(values.get("format"), int) or values.get("format") == FORMAT_1)


def _instead_of(path: Path) -> str:
    """Suggest a replacement for a checkpoint that cannot be used."""
    other = path.with_name({BEST: LAST, LAST: BEST}.get(path.name, path.name))
    if other != path and other.exists():
        return f"delete it to use {other.name} in the same folder"
    return "use a copy of it, or another checkpoint"


def find_checkpoint(path: Path, preferred: str = BEST) -> Path:
    """Return the checkpoint file that `path` means: itself, one in the folder of a run, or a pretrained model.

    Parameters
    ----------
    path : Path
        As in :func:`read_checkpoint`.
    preferred : {"best.npz", "last.npz"}
        Which file of a run to use if it has both.

    Raises
    ------
    UserError
        There is none.
    """
    if str(path).startswith(PRETRAINED):
        return _find_pretrained(str(path).removeprefix(PRETRAINED))
    if not path.exists():
        hint = f" (did you mean {PRETRAINED}{path}?)" if str(path) in _pretrained_names() else ""
        raise UserError(
            f"no such run or checkpoint: {path}{hint}; give the folder of a run, a checkpoint file or {PRETRAINED}NAME"
        )
    if not path.is_dir():
        return path
    for name in (preferred, BEST, LAST):
        if (path / name).exists():
            return path / name
    raise UserError(
        f"the folder {path} contains no checkpoint ({BEST} or {LAST}): give the folder of a run that has saved one"
    )


def _pretrained_names() -> list[str]:
    return sorted(file.stem for file in PRETRAINED_FOLDER.glob("*.npz"))


def _find_pretrained(name: str) -> Path:
    names = _pretrained_names()
    if name not in names:
        raise UserError(
            f"no pretrained model is called {name!r}{did_you_mean(name, names)}: choose one of {', '.join(names)}"
        )
    return PRETRAINED_FOLDER / f"{name}.npz"


def load(path: str | Path, backend: str = "numpy") -> tuple[CharModel, Vocabulary]:
    """Load a trained model and its vocabulary.

    Parameters
    ----------
    path : str or Path
        The folder of a run (its best checkpoint), a checkpoint file, or a model that comes with minigrid, such as
        ``pretrained:shakespeare-grid-1``.
    backend : {"numpy", "cupy", "auto"}
        Where the model computes.

    Returns
    -------
    model : CharModel
    vocabulary : Vocabulary

    Raises
    ------
    UserError
        There is no checkpoint, or it cannot be read; this machine lacks the backend.
    """
    checkpoint = read_checkpoint(path)
    return checkpoint.model(backend), checkpoint.vocabulary()
