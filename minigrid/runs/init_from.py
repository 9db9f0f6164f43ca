"""Starting a run with the parameters of another one."""

import dataclasses
import warnings
from typing import Any

import numpy as np

from minigrid.backend import to_host
from minigrid.data.corpora import Corpus
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import Notice, UserError
from minigrid.nn.model import CharModel
from minigrid.runs.checkpoint import Checkpoint
from minigrid.runs.config import Config
from minigrid.runs.tasks import Task, config_of, unit_of

THAT_SHAPE_PARAMETERS = ("model", "hidden", "layers", "tie", "embedding")
SETTINGS_OF_THE_MODEL = (*THAT_SHAPE_PARAMETERS, "priority", "lstm_output")
TEXT = ("corpus", "data", "task", "tokens", "digits", "split", "val_fraction", "test_fraction", "batch", "steps")
ENOUGH = 1000
"""Length of text, in symbols, for each symbol that is new to the model."""


def inherited(checkpoint: Checkpoint, given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that a new run takes over from the checkpoint it starts with.

    These are the sizes of the model and, unless another text or task is given, the text with its split: otherwise the
    new run could be validated on text that the old one was trained on. Another text is read in characters or bytes as
    the model reads them.

    Parameters
    ----------
    checkpoint : Checkpoint
        Of a run, or a model alone; a model alone brings its sizes only.
    given : dict
        Settings chosen for the new run.

    Raises
    ------
    UserError
        A setting that was chosen asks for parameters of other shapes.
    """
    options = dataclasses.asdict(checkpoint.meta.model)
    for name in THAT_SHAPE_PARAMETERS:
        if given.get(name) not in (None, options[name]):
            raise UserError(
                f"`{name}` {given[name]} contradicts `init_from`, whose model has `{name}` {options[name]}: "
                "leave it out"
            )
    if options["embedding"] == options["hidden"]:
        options["embedding"] = None  # follows the hidden size, as by default
    settings = {name: options[name] for name in SETTINGS_OF_THE_MODEL}
    if checkpoint.meta.run is not None and not given.keys() & {"corpus", "data", "task"}:
        saved = dataclasses.asdict(config_of(checkpoint))
        settings |= {name: saved[name] for name in TEXT}
    if (settings | given).get("task", "text") == "text":
        settings["tokens"] = checkpoint.vocabulary().tokens
    return settings


def joint_vocabulary(checkpoint: Checkpoint, corpus: Corpus | None) -> Vocabulary:
    """Return the vocabulary of a new run: the model's, and those symbols of the text that are new to it.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model that the run starts with.
    corpus : Corpus or None
        The text of the new run; None for a task without a text.

    Raises
    ------
    UserError
        The model reads characters and the text is read as bytes, or the other way round.
    """
    known = checkpoint.vocabulary()
    if corpus is None:
        return known
    if known.tokens != corpus.vocabulary.tokens:
        raise UserError(
            f"the model of `init_from` reads {unit_of(known)}s, not {unit_of(corpus.vocabulary)}s: leave out `tokens`"
        )
    return Vocabulary(known.tokens, tuple(sorted({*known.symbols, *corpus.vocabulary.symbols})))


def tell_of_new_symbols(known: Vocabulary, corpus: Corpus | None) -> None:
    """Say which symbols of a text are new to a model, and whether they are many."""
    if corpus is None or not (shown := known.lacking(corpus.vocabulary)):
        return
    new, total = len(set(corpus.vocabulary.symbols) - set(known.symbols)), len(corpus.vocabulary)
    units = f"{unit_of(known)}s"
    message = (
        f"{new} of the {total} {units} of {corpus.source} {'is' if new == 1 else 'are'} new to the model and "
        f"{'starts' if new == 1 else 'start'} with random parameters: {shown}"
    )
    if 2 * new > total:
        message += "; these are most of them, so what it has learnt may help little"
    if len(corpus.ids) < ENOUGH * new:
        message += f"; with only {len(corpus.ids):,} {units} of text, it may not learn them all"
    warnings.warn(message, Notice, stacklevel=2)


def initialise(model: CharModel, task: Task, config: Config, checkpoint: Checkpoint) -> None:
    """Copy the parameters of a checkpoint into a new model, trained forget-gate biases included.

    The model may have more symbols than the checkpoint. Those that are new keep the parameters that they were drawn
    with, and the logits of the others are the old model's, up to rounding.

    Raises
    ------
    UserError
        The models differ in more than their vocabularies.
    """
    run = checkpoint.meta.run
    if run is not None and task.sha256 and task.sha256 == run.sha256:
        _warn_of_another_split(config, checkpoint)
    known = checkpoint.vocabulary()
    if known == task.vocabulary:
        checkpoint.copy_params_into(model)
        return
    old = CharModel.from_options(model.options, vocab_size=len(known), backend="numpy")
    checkpoint.copy_params_into(old)
    _place(old, model, np.searchsorted(task.vocabulary.symbols, known.symbols))


def _place(old: CharModel, model: CharModel, ids: np.ndarray) -> None:
    """Copy the parameters of a model into one with more symbols, where the old ones have these ids."""
    axes = _vocabulary_axes(model)
    for name, array in model.params.items():
        values = old.params[name]
        if (axis := axes.get(name)) is not None:
            values = to_host(array).copy()
            np.moveaxis(values, axis, 0)[ids] = np.moveaxis(old.params[name], axis, 0)
        array[...] = model.xp.asarray(values)


def _vocabulary_axes(model: CharModel) -> dict[str, int]:
    """Return the names of the parameters that each symbol has a part of, and the axis on which it has it."""
    reads = "embedding.weight" if model.options.embedding else f"{model.options.model}.0.W_x"  # one-hot without it
    return {reads: 0, "decoder.weight": 1, "decoder.bias": 0}


def _warn_of_another_split(config: Config, checkpoint: Checkpoint) -> None:
    """Warn if a new run holds out text that the old one, on the same text, may have been trained on."""
    old, names = config_of(checkpoint), ["split", "val_fraction", "test_fraction"]
    if "stripes" in (old.split, config.split):  # the width of a stripe is counted in minibatches
        names += ["batch", "steps"]
    if any(getattr(old, name) != getattr(config, name) for name in names):
        before = ", ".join(f"`{name}` {getattr(old, name)}" for name in names)
        warnings.warn(
            f"{checkpoint.path} was trained on the same text, split by {before}: use the same settings, or the "
            "validation text will contain text that the model was trained on",
            Notice,
            stacklevel=2,
        )
