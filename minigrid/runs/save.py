"""Save a model that was trained in Python."""

from pathlib import Path

import numpy as np

from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import UserError
from minigrid.nn.model import CharModel
from minigrid.runs.checkpoint import model_arrays, write_checkpoint
from minigrid.runs.checkpoint_format import Meta


def save(path: str | Path, model: CharModel, vocabulary: Vocabulary) -> None:
    """Save a model that you trained in Python.

    :func:`minigrid.load` and every command that reads a checkpoint accept the file. It holds neither an optimiser nor a
    text, so no run can be resumed from it, but ``train --init-from`` starts a new run with its parameters.

    Parameters
    ----------
    path : str or Path
        File to write, usually ending in ``.npz``. An older file is replaced; if saving fails, it stays.
    model : CharModel
        The model.
    vocabulary : Vocabulary
        Its symbols, as many as the model's `vocab_size`.

    Raises
    ------
    UserError
        `vocabulary` is no Vocabulary or does not fit the model; a parameter is not a finite number; the file cannot be
        written.
    """
    if not isinstance(vocabulary, Vocabulary):
        raise UserError(
            f"`vocabulary` must be a Vocabulary, not {type(vocabulary).__name__}: make one with "
            "minigrid.Vocabulary.from_text(text)"
        )
    arrays = model_arrays(model)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise UserError(
                f"the model cannot be saved, because {name.removeprefix('params/')} has values that are not finite "
                "numbers: train it again with a lower learning rate"
            )
    write_checkpoint(Path(path), arrays, Meta(model=model.options, vocabulary=vocabulary))
