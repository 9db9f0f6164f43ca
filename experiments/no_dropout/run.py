"""Train a stack and a grid of 6 layers without dropout from several starts, and measure what reaches which layer.

``python -m experiments.no_dropout.run --jobs 2``; call it again after a stop. Takes two to three hours on two cores,
most of that for the layers of 1000 units, which come last.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from experiments.entropy import unigram_entropy
from experiments.no_dropout.figures import loss_panels, signal_by_layer, split_name
from experiments.no_dropout.measures import measure
from experiments.report import compute, fill, spread, table
from experiments.runner import ROOT, Experiment, main
from minigrid import CharModel
from minigrid.files import written_whole
from minigrid.nn.params import initial_values
from minigrid.runs.checkpoint import LAST, model_arrays, read_checkpoint, write_checkpoint
from minigrid.runs.config import Config
from minigrid.runs.folder import Record
from minigrid.runs.meta import Meta, RunMeta
from minigrid.runs.tasks import make_task, resolve

HERE = Path(__file__).parent
STARTS = Path("runs/no_dropout/starts")
MEASURES = HERE / "measures.json"

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
"""What differs from BASE, one thing at a time; but "as-1000" takes two things from layers of 1000 units: the sum of as
many products as there are units grows with the square root of their number at the start, and with their number in a
step that changes all weights alike."""
WIDE = {"hidden-1000": {"hidden": 1000}}
MODELS = ("lstm", "grid")
WIDTHS = (64, 128, 256, 512, 1000)
COMMON = {"corpus": "wiki-excerpt", "layers": 6}
STEPS = 1500
FEWER_STEPS = {"lstm-hidden-1000-1": 800, "grid-hidden-1000-1": 200}  # a step takes eight and fifteen seconds of a core


def settings(name: str) -> dict[str, Any]:
    """Return the settings of one run; what train.py has no option for is in the checkpoint that the run begins with."""
    model, change, seed = split_name(name)
    values, steps = BASE | (CHANGES | WIDE)[change], FEWER_STEPS.get(name, STEPS)
    own = {"model": model, "hidden": values["hidden"], "lr": values["lr"], "seed": seed, "max_steps": steps}
    return COMMON | own | {"eval_every": steps, "init_from": STARTS / f"{name}.npz"}


NAMES = [f"{model}-{change}-{seed}" for seed in (1, 2) for change in CHANGES for model in MODELS]


def start_file(name: str) -> Path:
    """Return the checkpoint that a run begins with."""
    return ROOT / EXPERIMENT.runs[name]["init_from"]


def write_start(name: str) -> None:
    """Write the checkpoint that a run begins with: uniform weights of its scale, its own bias of the forget gates."""
    model, change, seed = split_name(name)
    values = BASE | (CHANGES | WIDE)[change]
    config = Config(model=model, corpus=COMMON["corpus"], layers=COMMON["layers"], hidden=values["hidden"], seed=seed)
    config, corpus = resolve(config)
    fresh = CharModel(vocab_size=len(corpus.vocabulary), **config.model_options())
    fresh.params.flat[...] = initial_values(fresh.params.shapes, seed, values["scale"])
    for key, bias in fresh.params.items():
        if key.endswith(".bias") and key != "decoder.bias":
            bias[fresh.hidden : 2 * fresh.hidden] += values["forget_bias"] - 1  # initial_values has added 1
    run = RunMeta(config=dataclasses.asdict(config), sha256=corpus.sha256)
    meta = Meta(model=fresh.options, vocabulary=corpus.vocabulary, run=run)
    start_file(name).parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(start_file(name), model_arrays(fresh), meta)


EXPERIMENT = Experiment(HERE, {name: settings(name) for name in (*NAMES, *FEWER_STEPS)}, prepare=write_start)


# -- measuring


Measures = dict[str, Any]
"""``unigram``, the entropy of single bytes (nats); ``widths``, by model and width, what :func:`measure` gives of the
base start; ``runs``, by name of run, ``before`` and ``after`` training."""


def read_measures() -> Measures:
    """Return what has been measured so far."""
    return json.loads(MEASURES.read_text(encoding="utf-8")) if MEASURES.exists() else {}


def measure_missing() -> Measures:
    """Measure what has not been measured yet, and keep the result."""
    measures = read_measures() or {"unigram": None, "widths": {}, "runs": {}}
    starts = [(model, width) for model in MODELS for width in WIDTHS if f"{model}-{width}" not in measures["widths"]]
    missing = [name for name in EXPERIMENT.metrics() if name not in measures["runs"]]
    if starts or missing:
        config, corpus = resolve(Config(corpus=COMMON["corpus"]))
        train = make_task(config, corpus).train
        x, y = train.minibatch(0, 0)
        measures["unigram"] = unigram_entropy(np.stack([train.minibatch(0, index)[1] for index in range(STEPS)]))
        for model, width in starts:
            sizes = {"vocab_size": len(corpus.vocabulary), "hidden": width, "layers": COMMON["layers"], "seed": 1}
            measures["widths"][f"{model}-{width}"] = measure(CharModel(model, **sizes), x, y)
        for name in missing:
            files = {"before": start_file(name), "after": EXPERIMENT.run_folder(name) / LAST}
            measures["runs"][name] = {
                when: measure(read_checkpoint(file).model(), x, y) for when, file in files.items()
            }
        with written_whole(MEASURES) as temporary:
            temporary.write_text(json.dumps(measures, indent=1) + "\n", encoding="utf-8")
    return measures


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
LEFT_BY = 0.3  # nats below the unigram entropy


def training_losses(records: list[Record]) -> np.ndarray:
    """Return the losses that a run recorded, nats, each the mean over 10 minibatches."""
    return np.array([record["loss"] for record in records if record["split"] == "train"])


def leaves_flat_line(losses: np.ndarray, unigram: float) -> int | None:
    """Return the first minibatch up to which 50 have been `LEFT_BY` better than the unigram entropy; None: none."""
    means = np.convolve(losses, np.full(5, 1 / 5), "valid")
    below = np.flatnonzero(means < unigram - LEFT_BY)
    return int(below[0] + 5) * 10 if len(below) else None


def rows(metrics: dict[str, list[Record]], measures: Measures) -> list[list[str]]:
    """Return a row for each change and model."""
    names: dict[tuple[str, str], list[str]] = {}
    for name in metrics:
        model, change, _ = split_name(name)
        names.setdefault((change, model), []).append(name)
    result = []
    for (change, model), group in names.items():
        losses = [training_losses(metrics[name]) for name in group]
        left = [leaves_flat_line(run, measures["unigram"]) for run in losses]
        before, after = ([measures["runs"][name][when] for name in group] for when in ("before", "after"))
        result.append(
            [
                change,
                model,
                str(len(group)),
                str(EXPERIMENT.runs[group[0]]["max_steps"]),
                spread([run[-10:].mean() for run in losses], ".3f"),
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
    """Return the gradient of the bottom layer as a multiple of that of the top one."""
    return measured["gradient"][0] / measured["gradient"][-1]


def report() -> None:
    """Measure and draw what is finished, and fill in the page."""
    metrics, measures = EXPERIMENT.metrics(), measure_missing()
    fill(HERE / "README.md", "widths", table(WIDTHS_HEADER, rows_of_widths(measures["widths"])))
    if not metrics:
        return
    unigram = measures["unigram"]
    line = f"Whoever only knows how often each byte occurs in the {STEPS} minibatches has a loss of {unigram:.3f} nats."
    pictures = ["![Training loss from each start](losses.png)", "![What reaches which layer](signal.png)"]
    parts = [line, table(HEADER, rows(metrics, measures)), compute(metrics), *pictures]
    loss_panels(metrics, unigram).savefig(HERE / "losses.png", dpi=110)
    signal_by_layer(measures["runs"], stuck="lr-0.016").savefig(HERE / "signal.png", dpi=110)
    fill(HERE / "README.md", "results", "\n\n".join(parts))


if __name__ == "__main__":
    main(EXPERIMENT, __doc__, report)
