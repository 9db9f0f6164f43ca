"""The files that commands write."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from minigrid.errors import UserError
from minigrid.files import open_plain, written, written_whole
from minigrid.runs.find import BEST, LAST
from minigrid.runs.folder import CONFIG, METRICS, PICTURE

OF_A_RUN = (CONFIG, METRICS, PICTURE)


@contextlib.contextmanager
def output(path: Path, option: str = "--out", inputs: Iterable[Path] = ()) -> Iterator[Path]:
    """Write a file that the user named in an option, completely or not at all.

    Parameters
    ----------
    path : Path
        The file. An older file is replaced, but never a checkpoint, or the settings or metrics of a run.
    option : str
        The option, for messages.
    inputs : iterable of Path
        Files that the command reads, which are not replaced either.

    Yields
    ------
    Path
        Temporary file to write to; its name lacks the ending of `path`.

    Raises
    ------
    UserError
        The file is one of those, or cannot be written.
    """
    if path.suffix.lower() == ".npz":
        raise UserError(f"{option} {path} would be taken for a checkpoint: choose another ending than .npz")
    if _is_archive(path):
        raise UserError(f"{option} {path} would overwrite a checkpoint: choose another file")
    if _belongs_to_a_run(path):
        raise UserError(f"{option} {path} would overwrite a file of a run: choose another file")
    for file in inputs:
        if file.exists() and path.exists() and path.samefile(file):
            raise UserError(f"{option} {path} would overwrite a file that the command reads: choose another one")
    with written(path), written_whole(path) as temporary:
        yield temporary


def _is_archive(path: Path) -> bool:
    """Return whether there is a checkpoint, or another zip archive."""
    try:
        with open_plain(path) as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def _belongs_to_a_run(path: Path) -> bool:
    """Return whether a run keeps its settings, its metrics or its picture there."""
    target = Path(os.path.realpath(path))  # a symbolic link stands for the file that it points to
    return target.name in OF_A_RUN and any((target.parent / name).is_file() for name in (LAST, BEST))
