"""Train stacks and grids, untied and tied, of 1 to 12 layers to add, and draw their learning curves.

Run ``python -m experiments.addition.run --jobs 2``; after a stop, run it again to continue. It takes about two hours on
two cores and trains the shallow models first.
"""

from pathlib import Path

from docs.markdown import fill, table
from experiments.addition.figure import learning_curves
from experiments.report import compute
from experiments.runner import Experiment, main
from minigrid.runs.folder import Record

LAYERS = (1, 2, 4, 8, 12)
KINDS = {
    "lstm": {"model": "lstm"},
    "grid-none": {"model": "grid", "tie": "none"},
    "grid-depth": {"model": "grid", "tie": "depth"},
    "grid-layers": {"model": "grid", "tie": "layers"},
}
COMMON = {"task": "addition", "digits": 3, "batch": 100, "epochs": 6, "lr_decay": 0.6, "lr_decay_after": 3}
BATCH = COMMON["batch"]
LONG = {
    "long-2": {"config": "configs/addition.toml", "digits": 2, "epochs": 8},
    "long-3": {"config": "configs/addition.toml"},
}
EXPERIMENT = Experiment(
    Path(__file__).parent,
    {
        f"{kind}-{layers}": COMMON | own | {"layers": layers, "eval_every": 250, "seed": 1}
        for layers in LAYERS
        for kind, own in KINDS.items()
        if layers > 1 or kind in ("lstm", "grid-layers")  # a grid of one layer has nothing to share
    }
    | LONG,
)


def validations(records: list[Record]) -> list[Record]:
    """Return the validation records of a run."""
    return [record for record in records if record["split"] == "val"]


def problems_until(records: list[Record], digits: float) -> int | None:
    """Return the number of problems until a run first got this share of the digits right; None if it never did."""
    return next((record["step"] * BATCH for record in validations(records) if record["digits"] >= digits), None)


def score(records: list[Record]) -> list[str]:
    """Return cells with the scores at the end of a run, and the problems until 99 % of the digits were right."""
    last, first = validations(records)[-1], problems_until(records, 0.99)
    share = [f"{last['step'] * BATCH:,}", f"{last['digits']:.2%}", f"{last['answers']:.2%}"]
    return [*share, f"{first:,}" if first else "never"]


HEADER = ["problems trained on", "digits right", "whole answers right", "99 % of the digits after"]


def report() -> None:
    """Draw the finished runs and fill in the page."""
    metrics = EXPERIMENT.metrics()
    page = EXPERIMENT.folder / "README.md"
    long = {name: metrics.pop(name) for name in LONG if name in metrics}
    fill(page, "long", table(["digits", *HEADER], [[name.split("-")[1], *score(long[name])] for name in long]))
    if metrics:
        learning_curves(metrics, BATCH).savefig(EXPERIMENT.folder / "digits.png", dpi=110)
        rows = [
            [*name.rsplit("-", 1), f"{records[-1]['parameters']:,}", *score(records), f"{records[-1]['minutes']:.0f}"]
            for name, records in metrics.items()
        ]
        results = table(["model", "layers", "parameters", *HEADER, "minutes"], rows)
        picture = "![Digits right over problems trained on, and against the number of layers](digits.png)"
        fill(page, "results", "\n\n".join([results, compute(metrics), picture]))


if __name__ == "__main__":
    main(EXPERIMENT, __doc__, report)
