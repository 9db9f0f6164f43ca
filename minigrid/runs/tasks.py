"""What a run learns: a text cut into minibatches, or addition problems."""

import dataclasses
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigrid.data import addition
from minigrid.data.addition import AdditionBatches
from minigrid.data.batches import TextBatches, split_text, whole_text
from minigrid.data.corpora import Corpus, load_corpus, load_file
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import UserError
from minigrid.runs.checkpoint import Checkpoint
from minigrid.runs.config import Config

DEFAULT_CORPUS = "shakespeare"

Batches = TextBatches | AdditionBatches


class Task(NamedTuple):
    """Minibatches to train and to validate on, and what their numbers mean.

    Attributes
    ----------
    train, val, test : batches or None
        Each gives ``minibatch(epoch, index)``.
    vocabulary : Vocabulary
        Of the characters.
    sha256 : str or None
        Hash of the text; None where there is none.
    """

    train: Batches | None
    val: Batches | None
    test: Batches | None
    vocabulary: Vocabulary
    sha256: str | None

    @property
    def unit(self) -> str:
        """What one symbol is called: "character" or "byte"."""
        return "byte" if self.vocabulary.tokens == "bytes" else "character"


def resolve(config: Config) -> tuple[Config, Corpus | None]:
    """Load the text that a configuration names, and name in it what was really loaded.

    The default corpus may be another one than it was meant to be (no network), and a path is made absolute, so that the
    run can be resumed from any folder.
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


def oddities(corpus: Corpus | None) -> str:
    """Name what a text in characters has that is hardly meant to be learnt; "" if nothing."""
    if corpus is None or corpus.vocabulary.tokens != "chars":
        return ""
    found = {"\r": "line ends of Windows (\\r)", "\ufeff": "a byte-order mark (U+FEFF)"}
    return " and ".join(name for char, name in found.items() if not corpus.vocabulary.unknown(char))


def make_task(config: Config, corpus: Corpus | None) -> Task:
    """Cut the text that :func:`resolve` loaded into minibatches, or set up the addition problems."""
    if corpus is None:
        train, val = (AdditionBatches(config.digits, config.batch, seed=config.seed, part=p) for p in ("train", "val"))
        return Task(train, val, None, addition.vocabulary(), None)
    splits = split_text(corpus.ids, config.batch, config.steps, config.split, config.val_fraction, config.test_fraction)
    return Task(*splits, corpus.vocabulary, corpus.sha256)


def config_of(checkpoint: Checkpoint) -> Config:
    """Return the settings of the run that wrote a checkpoint.

    Raises
    ------
    UserError
        It names settings that this version does not have.
    """
    try:
        return Config(**checkpoint.meta["config"])
    except TypeError as error:
        raise UserError(f"the settings in {checkpoint.path} are not those of this version ({error})") from error


def task_of(checkpoint: Checkpoint, data: str | None = None, skip_unknown: bool = False) -> Task:
    """Return the task that a checkpoint's run had; with `data`, another text instead, all of it as ``val``.

    With `skip_unknown` symbols of the other text that the model does not know are left out.

    Raises
    ------
    UserError
        The run's text has changed, or the other text has characters that the model does not know.
    """
    config, vocabulary = config_of(checkpoint), checkpoint.vocabulary()
    if data is None:
        task = make_task(*resolve(config))
        require_same_text(task, checkpoint.meta["sha256"], str(checkpoint.path))
        return task
    if config.task == "addition":
        raise UserError(f"--data {data} makes no sense for {checkpoint.path}, which has learnt addition")
    corpus = load_file(data, vocabulary.tokens)
    ids = translate(corpus, vocabulary, skip_unknown)
    return Task(None, whole_text(ids, config.batch, config.steps), None, vocabulary, corpus.sha256)


def translate(corpus: Corpus, vocabulary: Vocabulary, skip_unknown: bool = False) -> np.ndarray:
    """Turn a text's ids into those of another vocabulary.

    Raises
    ------
    UserError
        The text has symbols that the vocabulary lacks, and they are not to be left out.
    """
    unknown = vocabulary.lacking(corpus.vocabulary)
    if unknown and not skip_unknown:
        raise UserError(
            f"{corpus.source} has {vocabulary.tokens} that the model does not know: {unknown}; take them out, let "
            "--oov skip do it, or use a model that was trained on them"
        )
    places = np.searchsorted(vocabulary.symbols, corpus.vocabulary.symbols)
    ids = places.astype(np.min_scalar_type(len(vocabulary)))[corpus.ids]  # a large text in as few bytes as it was
    if unknown:
        ids = ids[np.isin(corpus.vocabulary.symbols, vocabulary.symbols)[corpus.ids]]
        left_out = f"{len(corpus.ids) - len(ids):,} of {len(corpus.ids):,} {vocabulary.tokens}"
        print(f"note: left out of {corpus.source}, as unknown to the model: {left_out}, {unknown}", file=sys.stderr)
    return ids


def require_same_text(task: Task, sha256: str | None, what: str) -> None:
    """Refuse to go on with another text than `what` was trained on.

    Raises
    ------
    UserError
        The hashes differ.
    """
    if task.sha256 != sha256:
        raise UserError(
            f"the text has changed since {what} began (SHA-256 {str(task.sha256)[:12]}..., was {str(sha256)[:12]}...): "
            "put the old text back; to train on the new one start a run with --init-from, to measure it use eval --data"
        )
