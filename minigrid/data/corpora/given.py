"""Find the text file that a user means, or say what to name instead."""

import glob
import re
from collections.abc import Iterable
from pathlib import Path

from minigrid.data.corpora.formats import quoted, unused
from minigrid.errors import UserError

_SAVE = "save the text to a file, and name that"
_MOST_NAMED = 5  # files that a command lists where a pattern is shorter


def text_file(given: Path, corpora: Iterable[str]) -> Path:
    """Return the text file that is meant by a path: itself, or the input.txt in a folder.

    Parameters
    ----------
    given : Path
        File or folder, as the user wrote it.
    corpora : iterable of str
        Names of the corpora, which are no paths.

    Raises
    ------
    UserError
        There is no such file, or it is a pipe or a device.
    """
    try:
        file = _in_folder(given) if given.is_dir() else given
        if file.is_file():
            return file
        if file.exists():
            kind = "a folder" if file.is_dir() else "a pipe or a device, but a text is read twice"
            raise UserError(f"{file} is {kind}: {_SAVE}.")
        raise _missing(given, corpora)
    except OSError as problem:
        raise UserError(
            f"{given} cannot be read ({problem.strerror}): check the path and its permissions."
        ) from problem


def _in_folder(folder: Path) -> Path:
    file = folder / "input.txt"
    if file.exists():
        return file
    texts = [name for name in sorted(folder.glob("*.txt")) if not name.name.startswith(".")]
    if not texts:
        advice = "name the text file itself"
    elif len(texts) == 1:
        advice = f"name the text file itself, such as {texts[0]}"
    else:
        advice = _joined(f"{quoted(folder)}/*.txt", "its texts")
    raise UserError(f"the folder {folder} contains no input.txt: {advice}.")


def _missing(given: Path, corpora: Iterable[str]) -> UserError:
    name = str(given)
    if re.match(r"(https?|ftp):/", name):  # a path has no two slashes in a row
        return UserError(f"`data` must be a file, not an address: download it first, and name the file ({given}).")
    if name.startswith("pretrained:"):
        return UserError(f"`data` must be a text, but {given} is a model: start from it with `init_from`.")
    if name == "-":
        return UserError(f"`data` cannot be standard input, because a text is read twice: {_SAVE}.")
    if name in corpora:
        return UserError(f"there is no file {given}: the corpus of this name is chosen with `corpus`.")
    files = [Path(part) for part in name.split(",")] if "," in name else sorted(map(Path, glob.glob(name)))
    if files and all(file.is_file() for file in files):
        short = len(files) > _MOST_NAMED and re.fullmatch(r"[\w./*?-]+", name)
        listed = name if short else " ".join(map(quoted, files))
        return UserError(f"`data` is one text, but {given} names {len(files)}: {_joined(listed)}.")
    return UserError(f"there is no file {given}: check the path.")


def _joined(files: str, what: str = "them") -> str:
    return f"join {what} into one file (`cat {files} > {unused(Path('all.txt'))}`), and name that"
