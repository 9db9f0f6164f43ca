"""Find the checkpoint file that a user names: a file, the folder of a run, or a pretrained model."""

import os
from pathlib import Path

from minigrid.errors import UserError, did_you_mean, shown

BEST, LAST = "best.npz", "last.npz"
PRETRAINED = "pretrained:"
"""Prefix of the names of the models that come with minigrid."""
PRETRAINED_FOLDER = Path(__file__).parents[1] / "pretrained"


def find_checkpoint(path: Path, preferred: str = BEST) -> Path:
    """Return the checkpoint file that `path` means: itself, one in the folder of a run, or a pretrained model.

    Parameters
    ----------
    path : Path
        As in :func:`minigrid.runs.checkpoint.read_checkpoint`.
    preferred : {"best.npz", "last.npz"}
        Which file of a run to use if it has both.

    Raises
    ------
    UserError
        There is none.
    """
    if str(path).startswith(PRETRAINED):
        return _find_pretrained(str(path).removeprefix(PRETRAINED))
    if not os.path.exists(path):  # Path.exists raises an error for a name that is too long
        hint = f" (did you mean {PRETRAINED}{path}?)" if str(path) in pretrained_names() else ""
        raise UserError(
            f"no such run or checkpoint: {path}{hint}; give the folder of a run, a checkpoint file or {PRETRAINED}NAME"
        )
    if not path.is_dir():
        return path
    for name in (preferred, BEST, LAST):
        if (path / name).exists():
            return path / name
    raise UserError(
        f"the folder {path} contains no checkpoint ({BEST} or {LAST}): give the folder of a run that has saved one"
    )


def pretrained_names() -> list[str]:
    """Return the names of the models that come with minigrid, without the prefix."""
    return sorted(file.stem for file in PRETRAINED_FOLDER.glob("*.npz"))


def _find_pretrained(name: str) -> Path:
    names = pretrained_names()
    if name not in names:
        raise UserError(
            f"no pretrained model is called {shown(name)}{did_you_mean(name, names)}: choose one of {', '.join(names)}"
        )
    return PRETRAINED_FOLDER / f"{name}.npz"


def instead_of(path: Path) -> str:
    """Suggest a replacement for a checkpoint that cannot be used."""
    other = path.with_name({BEST: LAST, LAST: BEST}.get(path.name, path.name))
    if other != path and other.exists():
        return f"delete it to use {other.name} in the same folder"
    return "use a copy of it, or another checkpoint"
