"""Checkpoints with parameters that train.py has no options for; runs start from them by ``init_from``."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from minigrid import CharModel
from minigrid.runs.checkpoint import model_arrays, write_checkpoint
from minigrid.runs.checkpoint_format import Meta, RunMeta
from minigrid.runs.config import Config
from minigrid.runs.tasks import resolve


def write_start(file: Path, settings: Mapping[str, Any], change: Callable[[CharModel], None]) -> None:
    """Write the checkpoint of a fresh model whose parameters were changed.

    Parameters
    ----------
    file : Path
        The checkpoint; its folder is made if it is missing.
    settings : mapping
        Settings of the run, as in :class:`minigrid.runs.config.Config`.
    change : callable
        Changes the parameters of the model in place.
    """
    config, corpus = resolve(Config(**settings))
    model = CharModel(vocab_size=len(corpus.vocabulary), **config.model_options())
    change(model)
    run = RunMeta(config=dataclasses.asdict(config), sha256=corpus.sha256)
    meta = Meta(model=model.options, vocabulary=corpus.vocabulary, run=run)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(file, model_arrays(model), meta)
