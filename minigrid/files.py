"""Write files completely or not at all, and report failures in one sentence."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from minigrid.errors import UserError


@contextlib.contextmanager
def written(path: Path) -> Iterator[None]:
    """Turn an OSError that occurs while `path` is being written into a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


@contextlib.contextmanager
def written_whole(final: Path) -> Iterator[Path]:
    """Write to a temporary file, which replaces `final` only if no exception occurs.

    At any time, `final` is either the complete old file or the complete new one.

    Yields
    ------
    Path
        Temporary file to write to, in the folder of `final`.
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
    """Return whether this is a temporary file of :func:`written_whole`."""
    return re.fullmatch(r"\..+\.\d+\.part", file.name) is not None


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files left in `folder` by processes that were killed while writing."""
    for file in folder.iterdir():
        if is_unfinished(file):
            file.unlink(missing_ok=True)


def stamp(path: Path) -> tuple[int, int] | None:
    """Return a value that differs between two versions of a file, or None if there is no file."""
    if not path.exists():
        return None
    status = path.stat()
    return status.st_ino, status.st_mtime_ns
