"""Files that the output of a command must not overwrite."""

from pathlib import Path

from minigrid.errors import UserError
from minigrid.runs.find import BEST, LAST
from minigrid.runs.folder import CONFIG, METRICS, PICTURE


def refuse_overwriting(out: Path, checkpoint: Path) -> None:
    """Make sure that an output overwrites no checkpoint and no file of a run.

    Parameters
    ----------
    out : Path
        The file to write.
    checkpoint : Path
        The model that the command reads.

    Raises
    ------
    UserError
        `out` is such a file.
    """
    target = out.resolve()  # a symbolic link stands for the file that it points to
    if target.suffix.lower() == ".npz" or (target.exists() and target.samefile(checkpoint)):
        raise UserError(f"`out` {out} names a checkpoint: choose another name, one that ends with .txt for example")
    run_files = (BEST, LAST, CONFIG, METRICS, PICTURE)
    is_run = any((target.parent / name).exists() for name in (BEST, LAST, CONFIG))
    if is_run and target.name.lower() in run_files:
        raise UserError(f"`out` {out} is a file of the run in {target.parent}: choose another name")
