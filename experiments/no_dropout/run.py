"""Train a stack and a grid of 6 layers without dropout from several starts, and measure each layer.

Run ``python -m experiments.no_dropout.run --jobs 2``; after a stop, run it again to continue. It takes two to three
hours on two cores, most of them for the layers of 1000 units, which come last.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from docs.markdown import fill, table
from experiments import starts
from experiments.entropy import unigram_entropy
from experiments.no_dropout.figures import MINIBATCHES, WINDOW, loss_panels, moving_average, signal_by_layer, split_name
from experiments.no_dropout.measures import measure
from experiments.report import compute, spread
from experiments.runner import ROOT, Experiment, main
from experiments.store import TRAINING_DIGITS, read_results, rounded, write_by_line, write_results
from minigrid import CharModel
from minigrid.nn.params import initial_values
from minigrid.runs.checkpoint import read_checkpoint
from minigrid.runs.config import Config
from minigrid.runs.find import LAST
from minigrid.runs.folder import read_metrics
from minigrid.runs.tasks import make_task, resolve

HERE = Path(__file__).parent
STARTS = Path("runs/no_dropout/starts")
MEASURES = HERE / "results" / "measures.json"
LOSSES = HERE / "results" / "losses.json"

BASE = {"hidden": 64, "forget_bias": 1.0, "scale": 0.08, "lr": 1e-3}
CHANGES = {
    "base": {},
    "scale-0.16": {"scale": 0.16},
    "scale-0.32": {"scale": 0.32},
    "lr-0.002": {"lr": 2e-3},
    "lr-0.004": {"lr": 4e-3},
    "forget-0": {"forget_bias": 0.0},
    "forget-3": {"forget_bias": 3.0},
    "scale-0.04": {"scale": 0.04},
    "hidden-128": {"hidden": 128},
    "lr-0.016": {"lr": 1.6e-2},
    "as-1000": {"scale": 0.32, "lr": 1.6e-2},
}
"""Changes to BASE, one at a time. Only "as-1000" changes two values, to imitate layers of 1000 units: a sum over all
units grows with the square root of their number at the start, and with their number after a step that changes all
weights by the same amount."""
WIDE = {"hidden-1000": {"hidden": 1000}}
MODELS = ("lstm", "grid")
WIDTHS = (64, 128, 256, 512, 1000)
TEXT = {"corpus": "wiki-excerpt"}
LAYERS = 6
STEPS = 1500
FEWER_STEPS = {"lstm-hidden-1000-1": 800, "grid-hidden-1000-1": 200}  # their steps take 8 and 15 s on one core


def settings(name: str) -> dict[str, Any]:
    """Return the settings of one run; its scale and forget-gate bias are in the checkpoint that it starts from."""
    model, change, seed = split_name(name)
    values, steps = BASE | (CHANGES | WIDE)[change], FEWER_STEPS.get(name, STEPS)
    own = {"model": model, "hidden": values["hidden"], "lr": values["lr"], "seed": seed, "max_steps": steps}
    return TEXT | {"layers": LAYERS} | own | {"eval_every": steps, "init_from": STARTS / f"{name}.npz"}


NAMES = [f"{model}-{change}-{seed}" for seed in (1, 2) for change in CHANGES for model in MODELS]


def start_file(name: str) -> Path:
    """Return the checkpoint that a run starts from."""
    return ROOT / EXPERIMENT.runs[name]["init_from"]


def write_start(name: str) -> None:
    """Write the checkpoint that a run starts from, with uniform weights of its scale and its own forget-gate bias."""
    model, change, seed = split_name(name)
    values = BASE | (CHANGES | WIDE)[change]

    def change_parameters(fresh: CharModel) -> None:
        fresh.params.flat[...] = initial_values(fresh.params.shapes, seed, values["scale"])
        for key, bias in fresh.params.items():
            if key.endswith(".bias") and key != "decoder.bias":
                bias[fresh.hidden : 2 * fresh.hidden] += values["forget_bias"] - 1  # initial_values has added 1

    sizes = {"model": model, "layers": LAYERS, "hidden": values["hidden"], "seed": seed}
    starts.write_start(start_file(name), TEXT | sizes, change_parameters)


EXPERIMENT = Experiment(HERE, {name: settings(name) for name in (*NAMES, *FEWER_STEPS)}, prepare=write_start)


# -- measuring


Measures = dict[str, Any]
"""``unigram``: entropy of single bytes, in nats. ``widths``: model and width -> measures of the base start. ``runs``:
name of a run -> measures ``before`` and ``after`` training. ``losses``: name of a run -> training losses, in nats, each
the mean of `MINIBATCHES` minibatches. The measures are those of :func:`measure`."""


def read_measures() -> Measures:
    """Return everything that was measured so far."""
    if not MEASURES.exists():
        return {"unigram": None, "widths": {}, "runs": {}, "losses": {}}
    return read_results(MEASURES) | {"losses": read_results(LOSSES)}


def write_measures(measures: Measures) -> None:
    """Keep the measures, and the losses in a file of their own."""
    measures = dict(measures)
    write_by_line(LOSSES, measures.pop("losses"))
    write_results(MEASURES, measures)


def measure_missing() -> Measures:
    """Return all measures; measure and keep those that are missing."""
    measures = read_measures()
    widths = [(model, width) for model in MODELS for width in WIDTHS if f"{model}-{width}" not in measures["widths"]]
    missing = [name for name in EXPERIMENT.metrics() if name not in measures["runs"]]
    if widths or missing:
        config, corpus = resolve(Config(**TEXT))
        train = make_task(config, corpus).train
        x, y = train.minibatch(0, 0)
        measures["unigram"] = unigram_entropy(np.stack([train.minibatch(0, index)[1] for index in range(STEPS)]))
        for model, width in widths:
            sizes = {"vocab_size": len(corpus.vocabulary), "hidden": width, "layers": LAYERS, "seed": 1}
            measures["widths"][f"{model}-{width}"] = measure(CharModel(model, **sizes), x, y)
        for name in missing:
            files = {"before": start_file(name), "after": EXPERIMENT.run_folder(name) / LAST}
            measures["runs"][name] = {
                when: measure(read_checkpoint(file).model(), x, y) for when, file in files.items()
            }
            measures["losses"][name] = training_losses(EXPERIMENT.run_folder(name))
        write_measures(measures)
    return measures


def training_losses(run: Path) -> list[float]:
    """Return all recorded training losses of a run, rounded; the committed metrics are too thin for the curves."""
    losses = [record["loss"] for record in read_metrics(run) if record["split"] == "train"]
    return rounded(losses, TRAINING_DIGITS)


# -- reporting

HEADER = [
    "changed",
    "model",
    "seeds",
    "minibatches",
    "loss of the last 100, nats",
    "0.3 nats below the flat line after minibatch",
    "top output varies by, before",
    "after",
    "gradient, bottom layer / top layer, before",
]
WIDTHS_HEADER = ["units", "model", "output of layer 1 varies by", "of layer 6", "gradient, bottom layer / top layer"]
LEFT_BY = 0.3  # nats


def leaves_flat_line(losses: Sequence[float], unigram: float) -> int | None:
    """Return the minibatch at which a run leaves the flat line; None if it never does.

    It is the last minibatch of the first window whose mean loss is lower than the unigram entropy by `LEFT_BY`.
    """
    below = np.flatnonzero(moving_average(losses) < unigram - LEFT_BY)
    return int(below[0] + WINDOW) * MINIBATCHES if len(below) else None


def rows(finished: Sequence[str], measures: Measures) -> list[list[str]]:
    """Return a row for each change and model, from the measures of the finished runs."""
    names: dict[tuple[str, str], list[str]] = {}
    for name in finished:
        model, change, _ = split_name(name)
        names.setdefault((change, model), []).append(name)
    result = []
    for (change, model), group in names.items():
        losses = [measures["losses"][name] for name in group]
        left = [leaves_flat_line(run, measures["unigram"]) for run in losses]
        before, after = ([measures["runs"][name][when] for name in group] for when in ("before", "after"))
        result.append(
            [
                change,
                model,
                str(len(group)),
                str(EXPERIMENT.runs[group[0]]["max_steps"]),
                spread([float(np.mean(run[-10:])) for run in losses], ".3f"),
                ", ".join("never" if number is None else str(number) for number in left),
                *(f"{np.mean([measured['variation'][-1] for measured in when]):.1e}" for when in (before, after)),
                f"{np.mean([bottom_to_top(measured) for measured in before]):.1e}",
            ]
        )
    return result


def rows_of_widths(widths: Measures) -> list[list[str]]:
    """Return a row for each width and model."""
    return [
        [
            str(width),
            model,
            *(f"{widths[f'{model}-{width}']['variation'][layer]:.1e}" for layer in (1, -1)),
            f"{bottom_to_top(widths[f'{model}-{width}']):.1e}",
        ]
        for width in WIDTHS
        for model in MODELS
    ]


def bottom_to_top(measured: Measures) -> float:
    """Return the ratio of the gradients of the bottom and the top layer."""
    return measured["gradient"][0] / measured["gradient"][-1]


def report() -> None:
    """Measure and draw the finished runs, and fill in the page."""
    metrics, measures = EXPERIMENT.metrics(), measure_missing()
    fill(HERE / "README.md", "widths", table(WIDTHS_HEADER, rows_of_widths(measures["widths"])))
    if not metrics:
        return
    unigram = measures["unigram"]
    only_frequencies = f"A model that knows only how often each byte occurs in the {STEPS} minibatches"
    line = f"{only_frequencies} has a loss of {unigram:.3f} nats."
    pictures = ["![Training loss from each start](losses.png)", "![What reaches which layer](signal.png)"]
    parts = [line, table(HEADER, rows(list(metrics), measures)), compute(metrics), *pictures]
    losses = {name: measures["losses"][name] for name in metrics}
    loss_panels(losses, unigram).savefig(HERE / "losses.png", dpi=110)
    signal_by_layer(measures["runs"], stuck="lr-0.016").savefig(HERE / "signal.png", dpi=110)
    fill(HERE / "README.md", "results", "\n\n".join(parts))


if __name__ == "__main__":
    main(EXPERIMENT, __doc__, report)
