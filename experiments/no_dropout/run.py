"""Train a stack and a grid of 6 layers without dropout from several starts, and measure what reaches which layer.

``python -m experiments.no_dropout.run --jobs 2``; call it again after a stop. Takes about 50 minutes on two cores.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from experiments.no_dropout.figures import loss_panels, signal_by_layer, split_name
from experiments.no_dropout.measures import measure, unigram_entropy
from experiments.report import fill, spread, table
from experiments.runner import ROOT, Experiment, main
from minigrid import CharModel
from minigrid.checkpoint import LAST, model_arrays, read_checkpoint, write_checkpoint
from minigrid.config import Config
from minigrid.corpora.sources import written_whole
from minigrid.params import initial_values
from minigrid.runs import Record
from minigrid.tasks import make_task, resolve

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
}
"""What differs from BASE, one thing at a time."""
MODELS, SEEDS = ("lstm", "grid"), (1, 2)
COMMON = {"corpus": "wiki-excerpt", "layers": 6, "max_steps": 1500, "eval_every": 1500}


def settings(model: str, change: str, seed: int) -> dict[str, Any]:
    """Return the settings of one run; what train.py has no option for is in the checkpoint that the run begins with."""
    values = BASE | CHANGES[change]
    name = f"{model}-{change}-{seed}"
    sizes = {"model": model, "hidden": values["hidden"], "lr": values["lr"], "seed": seed}
    return COMMON | sizes | {"init_from": STARTS / f"{name}.npz"}


EXPERIMENT = Experiment(
    HERE,
    {
        f"{model}-{change}-{seed}": settings(model, change, seed)
        for seed in SEEDS
        for change in CHANGES
        for model in MODELS
    },
)


def start_file(name: str) -> Path:
    """Return the checkpoint that a run begins with."""
    return ROOT / EXPERIMENT.runs[name]["init_from"]


def write_start(name: str) -> None:
    """Write the checkpoint that a run begins with: uniform weights of its scale, its own bias of the forget gates."""
    model, change, seed = split_name(name)
    values = BASE | CHANGES[change]
    config = Config(model=model, corpus=COMMON["corpus"], layers=COMMON["layers"], hidden=values["hidden"], seed=seed)
    config, corpus = resolve(config)
    fresh = CharModel(vocab_size=len(corpus.vocabulary), **config.model_options())
    fresh.params.flat[...] = initial_values(fresh.params.shapes, seed, values["scale"])
    for key, bias in fresh.params.items():
        if key.endswith(".bias") and key != "decoder.bias":
            bias[fresh.hidden : 2 * fresh.hidden] += values["forget_bias"] - 1  # initial_values has added 1
    meta = {
        "model": fresh.options,
        "vocabulary": corpus.vocabulary.to_json(),
        "config": dataclasses.asdict(config),
        "sha256": corpus.sha256,
    }
    start_file(name).parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(start_file(name), model_arrays(fresh), meta)


# -- measuring


def read_measures() -> dict[str, Any]:
    """Return what has been measured so far: ``unigram`` and, by name of run, ``before`` and ``after`` training."""
    return json.loads(MEASURES.read_text(encoding="utf-8")) if MEASURES.exists() else {}


def measure_finished() -> dict[str, Any]:
    """Measure the runs that are finished and not measured yet, and keep the result."""
    measures = read_measures()
    if missing := [name for name in EXPERIMENT.metrics() if name not in measures]:
        train = make_task(*resolve(Config(corpus=COMMON["corpus"]))).train
        x, y = train.minibatch(0, 0)
        if "unigram" not in measures:
            seen = [train.minibatch(0, index)[1] for index in range(COMMON["max_steps"])]
            measures["unigram"] = unigram_entropy(np.stack(seen))
        for name in missing:
            files = {"before": start_file(name), "after": EXPERIMENT.run_folder(name) / LAST}
            measures[name] = {when: measure(read_checkpoint(file).model(), x, y) for when, file in files.items()}
        with written_whole(MEASURES) as temporary:
            temporary.write_text(json.dumps(measures, indent=1) + "\n", encoding="utf-8")
    return measures


# -- reporting

HEADER = [
    "changed",
    "model",
    "seeds",
    "loss of the last 100 minibatches, nats",
    "leaves the flat line after minibatch",
    "top output varies by, before",
    "after",
    "gradient, bottom layer / top layer, before",
]
LEFT_BY = 0.3  # nats below the unigram entropy


def training_losses(records: list[Record]) -> np.ndarray:
    """Return the losses that a run recorded, nats, each the mean over 10 minibatches."""
    return np.array([record["loss"] for record in records if record["split"] == "train"])


def leaves_flat_line(losses: np.ndarray, unigram: float) -> int | None:
    """Return the first minibatch up to which 50 have been `LEFT_BY` better than the unigram entropy; None: none."""
    means = np.convolve(losses, np.full(5, 1 / 5), "valid")
    below = np.flatnonzero(means < unigram - LEFT_BY)
    return int(below[0] + 5) * 10 if len(below) else None


def rows(metrics: dict[str, list[Record]], measures: dict[str, Any]) -> list[list[str]]:
    """Return a row for each change and model."""
    names: dict[tuple[str, str], list[str]] = {}
    for name in metrics:
        model, change, _ = split_name(name)
        names.setdefault((change, model), []).append(name)
    result = []
    for (change, model), group in names.items():
        losses = [training_losses(metrics[name]) for name in group]
        left = [leaves_flat_line(run, measures["unigram"]) for run in losses]
        before, after = ([measures[name][when] for name in group] for when in ("before", "after"))
        result.append(
            [
                change,
                model,
                str(len(group)),
                spread([run[-10:].mean() for run in losses], ".3f"),
                ", ".join("never" if number is None else str(number) for number in left),
                *(f"{np.mean([measured['variation'][-1] for measured in when]):.1e}" for when in (before, after)),
                f"{np.mean([measured['gradient'][0] / measured['gradient'][-1] for measured in before]):.1e}",
            ]
        )
    return result


def report() -> None:
    """Measure and draw what is finished, and fill in the page."""
    metrics, measures = EXPERIMENT.metrics(), measure_finished()
    if not metrics:
        return
    unigram = measures["unigram"]
    line = f"Whoever only knows how often each byte occurs in the 1500 minibatches has a loss of {unigram:.3f} nats."
    pictures = ["![Training loss from each start](losses.png)", "![What reaches which layer](signal.png)"]
    parts = [line, table(HEADER, rows(metrics, measures)), *pictures]
    loss_panels(metrics, unigram).savefig(HERE / "losses.png", dpi=110)
    signal_by_layer(measures).savefig(HERE / "signal.png", dpi=110)
    fill(HERE / "README.md", "results", "\n\n".join(parts))


if __name__ == "__main__":
    for run_name in EXPERIMENT.runs:
        if not start_file(run_name).exists():
            write_start(run_name)
    main(EXPERIMENT, __doc__, report)
