"""Writing files: whole or not at all, and with one sentence where it cannot be done."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from minigrid.errors import UserError


@contextlib.contextmanager
def written(path: Path) -> Iterator[None]:
    """Turn what goes wrong while `path` is written into one sentence."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


@contextlib.contextmanager
def written_whole(final: Path) -> Iterator[Path]:
    """Give the name of a temporary file that takes the place of `final` only if all goes well.

    Under `final` there is at any time the old file or the new one, whole.
    """
    temporary = final.with_name(f".{final.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, final)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Force the names of the files in a folder to the disk, so that a renamed file survives a power cut."""
    with contextlib.suppress(OSError):  # Windows cannot open folders
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def is_unfinished(file: Path) -> bool:
    """Whether this is a temporary file of :func:`written_whole`."""
    return re.fullmatch(r"\..+\.\d+\.part", file.name) is not None


def remove_unfinished(folder: Path) -> None:
    """Remove what a process that was killed while writing has left in `folder`."""
    for file in folder.iterdir():
        if is_unfinished(file):
            file.unlink(missing_ok=True)


def stamp(path: Path) -> tuple[int, int] | None:
    """Tell one version of a file from another; None where there is none."""
    if not path.exists():
        return None
    status = path.stat()
    return status.st_ino, status.st_mtime_ns
