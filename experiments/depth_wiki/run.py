"""Train stacked and grid LSTMs of 3 and 6 layers on wiki-excerpt, then tabulate and draw the validation losses.

Run ``python -m experiments.depth_wiki.run --jobs 2``; after a stop, run it again to continue. It takes hours on two
cores, but the first few runs already answer the question once. Models of 1000 units need a GPU and are trained only if
you name them.
"""

import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from docs.markdown import fill, table
from experiments.depth_wiki.figure import val_curves
from experiments.report import compute, spread
from experiments.runner import Experiment, main
from minigrid.runs.evaluation import bits
from minigrid.runs.folder import Record

COMMON = {"corpus": "wiki-excerpt", "dropout": 0.25, "lr": 1e-3}


def settings(model: str, layers: int, hidden: int, seed: int, epochs: int) -> dict[str, object]:
    """Return the settings of one run; batch 50, sequence 50, RMSprop and the split 95/5 are the defaults."""
    return COMMON | {"model": model, "layers": layers, "hidden": hidden, "epochs": epochs, "seed": seed}


def group(hidden: int, seed: int, epochs: int) -> dict[str, dict[str, object]]:
    """Return the four runs that the question is about, of one width and one seed; the deepest first."""
    return {
        f"{model}-{layers}x{hidden}-{seed}": settings(model, layers, hidden, seed, epochs)
        for layers, model in itertools.product((6, 3), ("grid", "lstm"))
    }


def same_size(seed: int, depths: tuple[int, ...]) -> dict[str, dict[str, object]]:
    """Return runs of the same size as ``grid-6x128``, which has 972,745 parameters; they differ by at most 0.14 %."""
    return {
        f"{model}-{layers}x{hidden}-{seed}": settings(model, layers, hidden, seed, epochs=4)
        for model, layers, hidden in (("lstm", 6, 138), ("lstm", 3, 193), ("grid", 3, 168))
        if layers in depths
    }


TIED = {"grid-tied-6x128-1": settings("grid", 6, 128, seed=1, epochs=4) | {"tie": "layers"}}
EXPERIMENT = Experiment(
    Path(__file__).parent,
    group(128, seed=1, epochs=4)
    | same_size(seed=1, depths=(3, 6))
    | TIED
    | group(128, seed=2, epochs=4)
    | group(128, seed=3, epochs=4)
    | group(256, seed=1, epochs=3)
    | same_size(seed=2, depths=(3,))
    | same_size(seed=3, depths=(3,)),
    on_request=group(1000, seed=1, epochs=3),
)

CLAIMED = "(grid-lstm's README, 1000 units: -4.61 %, a grid of 6 layers against a stack of 3.)"
PICTURE = "val_curves.png"
HEADER = ["model", "parameters", "seeds", "epochs", "nats", "bits per byte", "minutes per run"]

Losses = dict[str, dict[str, float]]
"""Kind of run -> seed -> best validation loss, nats."""


def best_losses(metrics: Mapping[str, list[Record]]) -> Losses:
    """Return the best validation loss of each run."""
    losses: Losses = {}
    for name, records in metrics.items():
        kind, seed = name.rsplit("-", 1)
        losses.setdefault(kind, {})[seed] = min(r["loss"] for r in records if r["split"] == "val")
    return losses


def rows(metrics: Mapping[str, list[Record]]) -> Iterator[list[str]]:
    """Yield a row of the table for each kind of run."""
    for kind, by_seed in best_losses(metrics).items():
        runs = [metrics[f"{kind}-{seed}"] for seed in by_seed]
        yield [
            kind,
            f"{runs[0][-1]['parameters']:,}",
            str(len(runs)),
            f"{runs[0][-2]['epoch']:.0f}",
            spread(by_seed.values()),
            spread([bits(loss) for loss in by_seed.values()], ".3f"),
            f"{statistics.mean(run[-1]['minutes'] for run in runs):.0f}",
        ]


def verdict(losses: Losses, where: str, grids: Sequence[str], stacks: Sequence[str]) -> str:
    """Compare the better grid with the better stack, seed by seed; return "" if the runs of a kind are missing."""
    if not all(kind in losses for kind in (*grids, *stacks)):
        return ""
    grid, stack = (min(kinds, key=lambda kind: statistics.mean(losses[kind].values())) for kinds in (grids, stacks))
    changes = [100 * (losses[grid][seed] / losses[stack][seed] - 1) for seed in losses[grid] if seed in losses[stack]]
    if not changes:
        return ""
    counted = "one seed" if len(changes) == 1 else f"over {len(changes)} seeds"
    return (
        f"{where}, the best validation loss of the better grid, `{grid}`, differs from that of the better stack, "
        f"`{stack}`, by {spread(changes, '+.2f')} %, {counted}."
    )


def verdicts(losses: Losses) -> list[str]:
    """Compare grids and stacks of equal width, as grid-lstm's README does, and of equal size."""
    widths = [
        (f"At {hidden} units", *([f"{model}-{layers}x{hidden}" for layers in (3, 6)] for model in ("grid", "lstm")))
        for hidden in (128, 256, 1000)
    ]
    size = ("At equal size", ["grid-6x128", "grid-3x168"], ["lstm-6x138", "lstm-3x193"])
    return [text for compared in (*widths, size) if (text := verdict(losses, *compared))]


def comparison(metrics: Mapping[str, list[Record]]) -> str:
    """Return the table of all runs and the comparisons of grids and stacks, for the page and for the README."""
    parts = [table(HEADER, rows(metrics))]
    if found := verdicts(best_losses(metrics)):
        parts.append(" ".join([*found, CLAIMED]))
    return "\n\n".join(parts)


def picture(folder: str = ".") -> str:
    """Return the Markdown of the figure for a page from which the figure is in `folder`."""
    return f"![Validation loss over epochs, one line per run]({PurePosixPath(folder) / PICTURE})"


def report() -> None:
    """Draw the finished runs and fill in the page."""
    metrics = EXPERIMENT.metrics()
    if not metrics:
        return
    val_curves(metrics).savefig(EXPERIMENT.folder / PICTURE, dpi=110)
    fill(EXPERIMENT.folder / "README.md", "results", "\n\n".join([comparison(metrics), compute(metrics), picture()]))


if __name__ == "__main__":
    main(EXPERIMENT, __doc__, report)
