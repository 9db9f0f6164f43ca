"""Read plain files only, write files completely or not at all, and report failures in one sentence."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from minigrid.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NOT_PLAIN = "it is a pipe or a device, not a plain file"
A_DAY = 24 * 60 * 60  # seconds


# -- reading


def open_plain(path: Path) -> BufferedReader:
    """Open a plain file for reading: reading a pipe may wait forever, and a device may never end.

    Raises
    ------
    OSError
        The file is missing, unreadable, a folder, a pipe or a device; `strerror` says which.
    """
    stream = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115  # the caller closes it
    if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        return stream
    stream.close()
    raise OSError(errno.EINVAL, NOT_PLAIN, str(path))


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_plain(path: Path, most: int) -> bytes:
    """Read a plain file of at most `most` bytes.

    Raises
    ------
    OSError
        As :func:`open_plain`; or the file is larger.
    """
    with open_plain(path) as stream:
        if os.fstat(stream.fileno()).st_size > most:
            raise OSError(errno.EFBIG, f"it is larger than {most / 1e6:,.0f} MB", str(path))
        return stream.read()


# -- writing


def require_plain(path: Path) -> None:
    """Raise an OSError if there is something at `path` that is not a plain file, which nothing should replace."""
    if path.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, NOT_PLAIN, str(path))


@contextlib.contextmanager
def written(path: Path) -> Iterator[None]:
    """Turn an OSError that occurs while `path` is being written into a UserError."""
    try:
        yield
    except OSError as error:
        no_folder = isinstance(error, FileNotFoundError) and not path.parent.exists()
        reason = f"there is no folder {path.parent}" if no_folder else error.strerror or error
        raise UserError(f"cannot write {path}: {reason}") from error


@contextlib.contextmanager
def written_whole(final: Path) -> Iterator[Path]:
    """Write to a temporary file, which replaces `final` only if no exception occurs.

    At any time, `final` is either the complete old file or the complete new one. Several processes may do this at the
    same time: the last one wins. If `final` is a symbolic link, the file it points to is replaced. Temporary files that
    were left when a process was killed here are removed.

    Yields
    ------
    Path
        Temporary file to write to, in the folder of `final`.

    Raises
    ------
    OSError
        `final` is a folder, a pipe or a device; or the folder cannot be written to.
    """
    final = Path(os.path.realpath(final))
    require_plain(final)
    with contextlib.suppress(OSError):  # a folder that lets you write need not let you list its files
        remove_unfinished(final.parent, final.name)
    with _temporary_file(final) as temporary:
        yield temporary
        os.replace(temporary, final)


@contextlib.contextmanager
def _temporary_file(final: Path) -> Iterator[Path]:
    """Make a temporary file, locked to show :func:`remove_unfinished` that its writer is alive; remove it at the end.

    Its name is random, because processes in two containers can have the same number.
    """
    while True:
        temporary = final.with_name(f".{final.name}.{secrets.token_hex(8)}.part")
        opened = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        if fcntl is None:
            os.close(opened)  # Windows replaces only files that are closed
        try:
            if lock(opened) is not False and temporary.exists():  # otherwise it was removed before it was locked
                yield temporary
                return
        finally:
            if fcntl is not None:
                os.close(opened)
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_folder(folder: Path) -> Iterator[Path]:
    """Make a folder in `folder`, and remove it at the end; :func:`remove_unfinished` removes one that was left."""
    temporary = folder / f".folder.{secrets.token_hex(8)}.part"
    temporary.mkdir()
    opened = None if fcntl is None else os.open(temporary, os.O_RDONLY)
    try:
        if opened is not None:
            lock(opened)
        yield temporary
    finally:
        if opened is not None:
            os.close(opened)
        shutil.rmtree(temporary, ignore_errors=True)


def is_unfinished(file: Path, final: str | None = None) -> bool:
    """Return whether this is a temporary file or folder of this module, of any final name or of the one given.

    Earlier versions put a number in the name.
    """
    name = ".+" if final is None else re.escape(final)
    return re.fullmatch(rf"\.{name}\.([0-9a-f]{{16}}|\d+)\.part", file.name) is not None


def remove_unfinished(folder: Path, final: str | None = None) -> None:
    """Remove the temporary files and folders left in `folder` by processes that were killed.

    Parameters
    ----------
    folder : Path
        The folder.
    final : str, optional
        Name of the file that they were to replace. By default all of them are removed.
    """
    for file in folder.iterdir():
        if is_unfinished(file, final) and _is_abandoned(file):
            with contextlib.suppress(OSError):  # another process was quicker, or the file is another user's
                shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)


def _is_abandoned(file: Path) -> bool:
    """Return whether the process that wrote a temporary file has ended: its lock ended with it.

    Without locks, it has ended if the file is more than a day old.
    """
    try:
        if fcntl is None:  # Windows, which cannot open folders
            return _is_old(file.stat())
        opened = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        locked = lock(opened)
        return _is_old(os.fstat(opened)) if locked is None else locked
    finally:
        os.close(opened)


def _is_old(status: os.stat_result) -> bool:
    return time.time() - status.st_mtime > A_DAY


def lock(opened: int) -> bool | None:
    """Lock an open file or folder until it is closed or the process ends.

    Returns
    -------
    bool or None
        Whether this process now holds the lock; None if the system or the file system has no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems have none
        return None
    return True


def sync_folder(folder: Path) -> None:
    """Force the names of the files in a folder to the disk, so that a renamed file survives a power cut."""
    with contextlib.suppress(OSError):  # Windows cannot open folders
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def stamp(path: Path) -> tuple[int, int] | None:
    """Return a value that differs between two versions of a file, or None if there is no file."""
    if not path.exists():
        return None
    status = path.stat()
    return status.st_ino, status.st_mtime_ns
