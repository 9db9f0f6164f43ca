"""Checkpoints: one ``.npz`` file of plain arrays and one piece of JSON, written whole or not at all.

The same file loads on NumPy and on CuPy, and ``numpy.load`` alone can read it. Never pickle: a checkpoint from a
stranger can hold wrong numbers, but nothing that runs.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigrid.backend import to_host
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import UserError, did_you_mean
from minigrid.files import written_whole
from minigrid.nn.model import CharModel

FORMAT = "minigrid checkpoint 1"
BEST, LAST = "best.npz", "last.npz"
PRETRAINED = "pretrained:"
"""What the names of the models that come with minigrid begin with."""
PRETRAINED_FOLDER = Path(__file__).parents[1] / "pretrained"


class Checkpoint(NamedTuple):
    """What a checkpoint file holds.

    Attributes
    ----------
    arrays : dict
        Name -> NumPy array; the parameters are called ``params/...``.
    meta : dict
        Anything that JSON can hold: at least ``model`` (options of CharModel) and ``vocabulary``.
    path : Path
        Where it was read from.
    """

    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]
    path: Path

    def vocabulary(self) -> Vocabulary:
        """The vocabulary that the model was trained with."""
        try:
            return Vocabulary.from_json(self.meta["vocabulary"])
        except (KeyError, TypeError) as error:
            raise UserError(f"the vocabulary in {self.path} is damaged: use another checkpoint of its run") from error

    def model(self, backend: str = "numpy") -> CharModel:
        """Build the model with its parameters on a backend.

        Raises
        ------
        UserError
            The arrays do not fit the model that the file describes.
        """
        try:
            model = CharModel(**self.meta["model"] | {"backend": backend})
        except TypeError as error:
            raise UserError(f"the checkpoint {self.path} is of a model that this version lacks ({error})") from error
        self.copy_params_into(model)
        return model

    def copy_params_into(self, model: CharModel) -> None:
        """Overwrite a model's parameters with those of the file.

        Raises
        ------
        UserError
            Some are missing, of another shape, not finite, or too many.
        """
        saved_names = {name.removeprefix("params/") for name in self.arrays if name.startswith("params/")}
        if extra := sorted(saved_names - set(model.params)):
            raise self._misfit(f"it has {extra[0]}, the model has not")
        for name, array in model.params.items():
            saved = self.arrays.get(f"params/{name}")
            if saved is None or saved.shape != array.shape or saved.dtype.kind != "f":
                found = "is missing" if saved is None else f"is {saved.dtype} of shape {saved.shape}"
                raise self._misfit(f"{name} {found}, the model's is {array.dtype} of shape {array.shape}")
            if not np.isfinite(saved).all():
                raise UserError(
                    f"the checkpoint {self.path} is useless, not all numbers of {name} are finite: "
                    f"{_instead_of(self.path)}"
                )
            array[...] = model.xp.asarray(saved)

    def _misfit(self, how: str) -> UserError:
        return UserError(
            f"the checkpoint {self.path} does not fit the model: {how}; use the settings it was trained with"
        )


class _Meta(dict):
    """The JSON part of a checkpoint, which says what it lacks."""

    def __init__(self, values: Mapping[str, Any], path: Path):
        super().__init__(values)
        self._path = path

    def __missing__(self, key: str) -> Any:
        raise UserError(f"the checkpoint {self._path} lacks {key!r}: give one that train.py wrote")


def model_arrays(model: CharModel) -> dict[str, np.ndarray]:
    """Return the parameters as :func:`write_checkpoint` wants them."""
    return {f"params/{name}": to_host(array) for name, array in model.params.items()}


def write_checkpoint(path: Path, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically: under `path` there is at any time the old file or the new one, whole.

    Raises
    ------
    UserError
        It cannot be written, no space being left for example; what `path` held before is untouched.
    """
    try:
        with written_whole(path) as unfinished, open(unfinished, "wb") as file:
            np.savez(file, meta=_as_bytes({"format": FORMAT, **meta}), **arrays)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if any(path.with_name(name).exists() for name in (BEST, LAST)):
            advice = "what was saved before is still good: make room and go on with --resume"
        else:
            advice = "nothing had been saved yet: make room and begin again in a new folder"
        raise UserError(f"cannot save {path} ({error.strerror or error}); {advice}") from error


def _as_bytes(meta: Mapping[str, Any]) -> np.ndarray:
    """Turn JSON into an array of bytes; one of text would take four times the room."""
    return np.frombuffer(json.dumps(meta).encode(), np.uint8)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint file, a run folder's best one (its last, where none is the best yet), or a ``pretrained:NAME``.

    Raises
    ------
    UserError
        No such file or folder; not a checkpoint; cut off or damaged.
    """
    path = find_checkpoint(Path(path))
    zipped, meta = False, None
    try:
        with open(path, "rb") as stream:
            zipped = stream.read(4) == b"PK\x03\x04"
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        meta = json.loads(arrays.pop("meta").tobytes())
    except MemoryError:
        raise
    except Exception as error:  # zipfile, numpy and json raise a dozen kinds for damaged files
        if isinstance(error, OSError) and error.strerror:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        if zipped and not isinstance(error, KeyError):
            raise UserError(f"the checkpoint {path} is cut off or damaged: {_instead_of(path)}") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise UserError(f"{path} is not a minigrid checkpoint: give a .npz file that train.py wrote, or its run folder")
    return Checkpoint(arrays, _Meta(meta, path), path)


def _instead_of(path: Path) -> str:
    """Say what to do about a checkpoint that is of no use."""
    other = path.with_name({BEST: LAST, LAST: BEST}.get(path.name, path.name))
    if other != path and other.exists():
        return f"delete it, and {other.name} beside it is used"
    return "use a copy of it, or another checkpoint"


def find_checkpoint(path: Path, preferred: str = BEST) -> Path:
    """Return the checkpoint file that `path` stands for: itself, one of a run folder's, or one that minigrid brings.

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
            f"no such run or checkpoint: {path}{hint}; give a run's folder, a checkpoint file or {PRETRAINED}NAME"
        )
    if not path.is_dir():
        return path
    for name in (preferred, BEST, LAST):
        if (path / name).exists():
            return path / name
    raise UserError(f"the folder {path} holds no checkpoint ({BEST} or {LAST}): give the folder of a run that has one")


def _pretrained_names() -> list[str]:
    return sorted(file.stem for file in PRETRAINED_FOLDER.glob("*.npz"))


def _find_pretrained(name: str) -> Path:
    names = _pretrained_names()
    if name not in names:
        raise UserError(
            f"no pretrained model is called {name!r}{did_you_mean(name, names)}: there are {', '.join(names)}"
        )
    return PRETRAINED_FOLDER / f"{name}.npz"


def load(path: str | Path, backend: str = "numpy") -> tuple[CharModel, Vocabulary]:
    """Load a trained model and its vocabulary.

    Parameters
    ----------
    path : str or Path
        A run folder (its best checkpoint), a checkpoint file, or the name of a model that comes with minigrid, such as
        ``pretrained:shakespeare-grid-1``.
    backend : {"numpy", "cupy", "auto"}
        Where the model shall compute.

    Raises
    ------
    UserError
        Nothing there that can be loaded; a backend that this machine lacks.
    """
    checkpoint = read_checkpoint(path)
    return checkpoint.model(backend), checkpoint.vocabulary()
