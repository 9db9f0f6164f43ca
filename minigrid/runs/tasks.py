"""What a run learns: a text cut into minibatches, or addition problems."""

import dataclasses
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigrid.data import addition
from minigrid.data.addition import AdditionBatches
from minigrid.data.batches import TextBatches, split_text, whole_text
from minigrid.data.corpora import Corpus, describe_oddities, load_corpus, load_file
from minigrid.data.corpora.encoding import id_type
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import Notice, UserError, did_you_mean, named
from minigrid.nn.options import ModelOptions, ModelSettings
from minigrid.runs.checkpoint import Checkpoint
from minigrid.runs.config import Config

DEFAULT_CORPUS = "shakespeare"

Batches = TextBatches | AdditionBatches


class Task(NamedTuple):
    """Minibatches to train, validate and test on, and the meaning of their numbers.

    Attributes
    ----------
    train : batches
        Training part; ``train.minibatch(epoch, index)`` returns one minibatch.
    val, test : batches or None
        Held-out parts; None if nothing is held out.
    vocabulary : Vocabulary
        The symbols.
    sha256 : str or None
        Hash of the text; None for a task without a text.
    """

    train: Batches
    val: Batches | None
    test: Batches | None
    vocabulary: Vocabulary
    sha256: str | None

    @property
    def unit(self) -> str:
        """Name of one symbol: "character" or "byte"."""
        return unit_of(self.vocabulary)


def unit_of(vocabulary: Vocabulary) -> str:
    """Return the name of one symbol of a vocabulary: "character" or "byte"."""
    return "byte" if vocabulary.tokens == "bytes" else "character"


def resolve(config: Config) -> tuple[Config, Corpus | None]:
    """Load the text that a configuration names, and return a configuration that names exactly this text.

    Without network, the default corpus may be replaced by another one. A path becomes absolute, so that the run can be
    resumed from any folder.
    """
    if config.task == "addition":
        return config, None
    if config.data:
        corpus = load_file(config.data, config.tokens)
        return dataclasses.replace(
            config, data=str(Path(config.data).resolve()), tokens=corpus.vocabulary.tokens
        ), corpus
    corpus = load_corpus(config.corpus or DEFAULT_CORPUS, config.tokens, fallback=config.corpus is None)
    return dataclasses.replace(config, corpus=corpus.name, tokens=corpus.vocabulary.tokens), corpus


def warn_of_oddities(corpus: Corpus | None) -> None:
    """Warn if a text contains something that you hardly want a model to learn."""
    for note in [] if corpus is None else describe_oddities(corpus):
        warnings.warn(note, Notice, stacklevel=2)


def make_task(config: Config, corpus: Corpus | None, vocabulary: Vocabulary | None = None) -> Task:
    """Cut the text that :func:`resolve` loaded into minibatches, or set up the addition problems.

    Parameters
    ----------
    config : Config
        Settings.
    corpus : Corpus or None
        The text, if the task has one.
    vocabulary : Vocabulary, optional
        The model's vocabulary, which may have more symbols than the text; by default the text's.

    Raises
    ------
    UserError
        The text is too short; the vocabulary lacks some of its symbols, or is not that of the addition problems.
    """
    if corpus is None:
        _require_own_vocabulary(config, vocabulary)
        train, val = (AdditionBatches(config.digits, config.batch, seed=config.seed, part=p) for p in ("train", "val"))
        return Task(train, val, None, addition.vocabulary(), None)
    vocabulary = vocabulary or corpus.vocabulary
    ids = translate(corpus, vocabulary)
    splits = split_text(ids, config.batch, config.steps, config.split, config.val_fraction, config.test_fraction)
    return Task(*splits, vocabulary, corpus.sha256)


def _require_own_vocabulary(config: Config, vocabulary: Vocabulary | None) -> None:
    """Refuse a model of other symbols than those of the problems."""
    own = addition.vocabulary()
    if vocabulary not in (None, own):
        raise UserError(
            f"`task` {config.task} has {len(own)} {own.tokens} of its own, and the model knows others: use a model "
            "that was trained on this task, or start without one"
        )


def config_of(checkpoint: Checkpoint) -> Config:
    """Return the settings of the run that wrote a checkpoint; one that the file lacks has its default.

    Raises
    ------
    UserError
        The file has a setting that this version does not know or allow, or no run wrote it.
    """
    settings, known = checkpoint.run().config, [field.name for field in dataclasses.fields(Config)]
    if unknown := sorted(set(settings) - set(known)):
        raise UserError(
            f"the run that wrote the checkpoint {checkpoint.path} has a setting that this version of minigrid does not "
            f"know, '{named(unknown[0])}'{did_you_mean(unknown[0], known)}: use the version that wrote it"
        )
    try:
        config = Config(**settings)
        _require_fit(config, checkpoint)
        return config
    except UserError as error:
        problem = str(error).replace("`", "'")  # these are settings in the file, not parameters
        raise UserError(f"the settings in the checkpoint {checkpoint.path} are not valid: {problem}") from error


def _require_fit(config: Config, checkpoint: Checkpoint) -> None:
    """Make sure that the settings of a run, from a file, belong to the model and the vocabulary in the same file."""
    options = ModelOptions(**config.model_options() | {"vocab_size": len(checkpoint.vocabulary())})
    for field in dataclasses.fields(ModelSettings):
        ours, theirs = getattr(options, field.name), getattr(checkpoint.meta.model, field.name)
        if ours != theirs:
            raise UserError(f"`{field.name}` is {ours}, but the model's is {theirs}")
    tokens = checkpoint.vocabulary().tokens
    if config.task == "addition" and checkpoint.vocabulary() != addition.vocabulary():
        raise UserError("`task` is addition, but the vocabulary is another one")
    if config.tokens not in (None, tokens):
        raise UserError(f"`tokens` is {config.tokens}, but the vocabulary consists of {tokens}")


def task_of(checkpoint: Checkpoint) -> Task:
    """Return the task of the run that wrote a checkpoint.

    Raises
    ------
    UserError
        The text has changed or is gone; no run wrote the checkpoint.
    """
    return task_again(checkpoint, config_of(checkpoint), str(checkpoint.path))[1]


def task_again(checkpoint: Checkpoint, config: Config, trained: str) -> tuple[Config, Task]:
    """Set up the task of a checkpoint's run again, in the vocabulary of its model.

    Parameters
    ----------
    checkpoint : Checkpoint
        Written by a run.
    config : Config
        Settings of the run; its text may have moved.
    trained : str
        The run or file, for messages.

    Returns
    -------
    config : Config
        As :func:`resolve` returns it.
    task : Task

    Raises
    ------
    UserError
        The text has changed or is gone; no run wrote the checkpoint.
    """
    if config.data and not Path(config.data).exists():
        raise UserError(
            f"the text of {trained} is no longer at {config.data}: if it has moved, name its new place with `data`"
        )
    config, corpus = resolve(config)
    require_same_text(corpus, checkpoint.run().sha256, trained)
    return config, make_task(config, corpus, checkpoint.vocabulary())


def text_batches(checkpoint: Checkpoint, data: str, skip_unknown: bool = False) -> TextBatches:
    """Cut another text into minibatches of the size that the run of a checkpoint had; see :func:`text_ids`."""
    config = Config() if checkpoint.meta.run is None else config_of(checkpoint)
    return whole_text(text_ids(checkpoint, data, skip_unknown), config.batch, config.steps)


def text_ids(checkpoint: Checkpoint, data: str, skip_unknown: bool = False) -> np.ndarray:
    """Return the ids of another text, all of it, in the vocabulary of a trained model.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model.
    data : str
        Text file, or folder with an ``input.txt``.
    skip_unknown : bool
        Leave out symbols that the model does not know, and warn about them.

    Raises
    ------
    UserError
        The text has unknown symbols and `skip_unknown` is false; the model was trained on addition.
    """
    config = Config() if checkpoint.meta.run is None else config_of(checkpoint)
    if config.task == "addition":
        raise UserError(
            f"{checkpoint.path} was trained on addition and cannot be measured on a text: leave out `data` {data}"
        )
    vocabulary = checkpoint.vocabulary()
    return translate(load_file(data, vocabulary.tokens), vocabulary, skip_unknown)


def translate(corpus: Corpus, vocabulary: Vocabulary, skip_unknown: bool = False) -> np.ndarray:
    """Convert the ids of a text into those of another vocabulary.

    Parameters
    ----------
    corpus : Corpus
        The text.
    vocabulary : Vocabulary
        The other vocabulary, of the same kind of symbols.
    skip_unknown : bool
        Leave out symbols that the vocabulary lacks, and warn about them.

    Returns
    -------
    numpy.ndarray
        1-D array of ids, of the smallest unsigned type that holds them; the corpus's own if the vocabularies are equal.

    Raises
    ------
    UserError
        The text has symbols that the vocabulary lacks, and `skip_unknown` is false.
    """
    if corpus.vocabulary == vocabulary:
        return corpus.ids  # a large text stays in its file
    unknown, units = vocabulary.lacking(corpus.vocabulary), f"{unit_of(vocabulary)}s"
    if unknown and not skip_unknown:
        raise UserError(
            f"{corpus.source} has {units} that the model does not know: {unknown}; remove them, skip "
            "them (`oov` skip), or use a model that was trained on them"
        )
    ids = corpus.ids
    if unknown:
        ids = ids[np.isin(corpus.vocabulary.symbols, vocabulary.symbols)[ids]]
    new_ids = np.searchsorted(vocabulary.symbols, corpus.vocabulary.symbols)
    ids = new_ids.astype(id_type(vocabulary))[ids]  # keeps a large text small
    if unknown:
        warnings.warn(
            f"left out of {corpus.source}: {len(corpus.ids) - len(ids):,} of {len(corpus.ids):,} {units}, "
            f"which the model does not know: {unknown}",
            Notice,
            stacklevel=2,
        )
    return ids


def require_same_text(corpus: Corpus | None, sha256: str | None, trained: str) -> None:
    """Make sure that the text is still the one that a run was trained on.

    Raises
    ------
    UserError
        The hashes differ.
    """
    found = None if corpus is None else corpus.sha256
    if found != sha256:
        raise UserError(
            f"the text has changed since {trained} was trained (its SHA-256 is {str(found)[:12]}..., was "
            f"{named(str(sha256), 12)}): restore the old text, start a new run on the new one with `init_from`, or "
            "evaluate the model on it"
        )
