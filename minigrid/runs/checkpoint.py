"""Checkpoints: one ``.npz`` file of plain arrays and one piece of JSON, written whole or not at all.

The same file loads on NumPy and on CuPy, and ``numpy.load`` alone can read it. Nothing is pickled: a checkpoint from a
stranger can hold wrong numbers, but no code. The JSON is described in :mod:`minigrid.runs.checkpoint_format`.
"""

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigrid.backend import to_host
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import UserError, named
from minigrid.files import open_plain, sync_folder, written_whole
from minigrid.nn.cells import CELLS
from minigrid.nn.model import CharModel
from minigrid.nn.naming import parameter_shapes, state_names
from minigrid.runs.archive import Archive, DamagedError, MisfitError
from minigrid.runs.checkpoint_format import FORMAT_1, Meta, RunMeta, from_json, to_json
from minigrid.runs.find import BEST, LAST, find_checkpoint, instead_of
from minigrid.training.optim import OPTIMIZERS

DESCRIPTION = "meta"
"""Name of the array of bytes that holds the JSON."""
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class Checkpoint(NamedTuple):
    """The model in a checkpoint file, and where it comes from.

    Attributes
    ----------
    arrays : dict
        ``params/NAME`` -> NumPy array, in the shapes and the dtype of the model that `meta` describes. All numbers are
        finite.
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

    def files(self) -> list[Path]:
        """Return the files that nothing may overwrite: the checkpoint, and the text of its run."""
        text = None if self.meta.run is None else self.meta.run.config.get("data")
        return [self.path, *([Path(text)] if isinstance(text, str) else [])]

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
            The model differs from the one in the file.
        """
        for name, shape in model.params.shapes.items():
            saved = self.arrays.get(f"params/{name}")
            if saved is None or saved.shape != shape:
                found = "is missing" if saved is None else f"has shape {saved.shape}"
                raise self._misfit(f"{name} {found}, but the model's has shape {shape}")
        if extra := sorted(set(self.arrays) - {f"params/{name}" for name in model.params}):
            raise self._misfit(f"it has {extra[0].removeprefix('params/')}, which the model lacks")
        for name, array in model.params.items():
            array[...] = model.xp.asarray(self.arrays[f"params/{name}"])

    def training_arrays(self, optimizer: str, batch: int) -> dict[str, np.ndarray]:
        """Read the rest of the file: the arrays from which :class:`minigrid.TrainStep` continues.

        Parameters
        ----------
        optimizer : str
            Name of the optimiser.
        batch : int
            Sequences per minibatch.

        Returns
        -------
        dict
            ``optimizer/NAME`` and ``state/NAME`` -> NumPy array; no states if the run starts each minibatch afresh.

        Raises
        ------
        UserError
            An array is missing, of another shape or dtype, or not finite.
        """
        options = self.meta.model
        with _opened(self.path) as archive:
            size = sum(array.size for array in self.arrays.values())
            shapes: dict[str, tuple[int, ...]] = {f"optimizer/{m}": (size,) for m in OPTIMIZERS[optimizer].moments}
            if any(name.startswith("state/") for name in archive.names):
                names = state_names(options, CELLS[options.model](options))
                shapes |= {f"state/{name}": (batch, options.hidden) for name in names}
            return _arrays(archive, shapes, options.dtype)

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
        np.savez(file, **{DESCRIPTION: description}, **arrays)  # type: ignore[arg-type]  # mypy expects a bool
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)  # so that a best checkpoint is never older than the last one says


@contextlib.contextmanager
def saving(path: Path) -> Iterator[None]:
    """Turn an operating system's error while a checkpoint is saved into one sentence that says what to do."""
    try:
        yield
    except OSError as error:
        remedy = "free some space" if error.errno in NO_SPACE else "check the path and its permissions"
        if any((path.parent / name).exists() for name in (BEST, LAST)):
            advice = f"the checkpoint saved before is intact: {remedy}, then continue with `resume`"
        else:
            advice = f"nothing has been saved: {remedy}, and try again"
        raise UserError(f"cannot save {path} ({error.strerror or error}); {advice}") from error


# -- reading


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read the model in a checkpoint.

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
    with _opened(path) as archive:
        meta = _description(archive, path)
        shapes = {
            f"params/{name}": shape
            for name, shape in parameter_shapes(meta.model, CELLS[meta.model.model](meta.model)).items()
        }
        known = {DESCRIPTION, *shapes}
        for name in archive.names:
            if name not in known and not name.startswith(("optimizer/", "state/")):
                raise MisfitError(f"it has {named(name.removeprefix('params/'))}, which the model lacks")
        return Checkpoint(_arrays(archive, shapes, meta.model.dtype), meta, path)


def read_description(path: str | Path) -> tuple[Meta, Path]:
    """Read the description in a checkpoint, without its arrays, and return it with the path of the file.

    See :func:`read_checkpoint`.
    """
    path = find_checkpoint(Path(path))
    with _opened(path) as archive:
        return _description(archive, path), path


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Archive]:
    """Open a checkpoint; turn what goes wrong while it is read into one sentence."""
    zipped = False
    try:
        with open_plain(path) as stream:
            zipped = stream.read(4) == b"PK\x03\x04"
            stream.seek(0)
            yield Archive(stream)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except DamagedError as error:
        if not zipped:
            raise _not_a_checkpoint(path) from error
        raise UserError(f"the checkpoint {path} is cut off or damaged: {instead_of(path)}") from error
    except MisfitError as error:
        raise UserError(f"the checkpoint {path} cannot be used, because {error}: {instead_of(path)}") from error


def _description(archive: Archive, path: Path) -> Meta:
    if DESCRIPTION not in archive.names:
        raise _not_a_checkpoint(path)
    try:
        values = json.loads(archive.text(DESCRIPTION))
    except (ValueError, RecursionError) as error:
        raise DamagedError(str(error)) from error
    except MisfitError as error:
        raise _not_a_checkpoint(path) from error
    if not isinstance(values, dict) or not (isinstance(values.get("format"), int) or values.get("format") == FORMAT_1):
        raise _not_a_checkpoint(path)
    return from_json(values, str(path))


def _arrays(archive: Archive, shapes: Mapping[str, tuple[int, ...]], dtype: str) -> dict[str, np.ndarray]:
    return {name: archive.numbers(name, shape, np.dtype(dtype)) for name, shape in shapes.items()}


def _not_a_checkpoint(path: Path) -> UserError:
    return UserError(
        f"{path} is not a minigrid checkpoint: give a .npz file that minigrid wrote, or the folder of a run"
    )


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
