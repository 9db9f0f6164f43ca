"""Train grids and stacks of 2 to 24 layers briefly, and measure the gradient in each layer before and after.

Run ``python -m experiments.gradient_flow.run``; after a stop, run it again to continue. It takes about 15 minutes on
one core.
"""

import statistics
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from docs.markdown import fill, table
from experiments.entropy import unigram_entropy
from experiments.report import report_only
from experiments.store import read_results, rounded, write_by_line
from minigrid import CharModel, TrainStep
from minigrid.analysis.gradient_flow import norms_by_layer
from minigrid.analysis.trace import kept_to_end, trace
from minigrid.data.toywiki import generate
from minigrid.data.vocabulary import Vocabulary

HERE = Path(__file__).parent
MEASURES = HERE / "results" / "measures.json"

DEPTHS = (2, 4, 8, 16, 24)
KINDS = {
    "lstm": {"model": "lstm"},
    "grid": {"model": "grid"},
    "grid-open": {"model": "grid"},  # with a bias of 3 on the forget gates along depth
}
RUNS = {
    f"{kind}-{layers}-{dropout}-{seed}": (kind, layers, dropout, seed)
    for seed in (1, 2)
    for layers in DEPTHS
    for kind in KINDS
    for dropout in ((0, 0.25) if kind != "grid-open" else (0,))
}
HIDDEN, BATCH, STEPS, MINIBATCHES = 32, 32, 20, 400
LAST = 50  # minibatches that the loss at the end is the mean of


class Text(NamedTuple):
    """Characters of toywiki in BATCH streams, (T, BATCH) arrays."""

    train: np.ndarray
    held_out: np.ndarray
    vocab_size: int


def read_text() -> Text:
    """Generate a text to train on and another one to measure on."""
    texts = [generate(BATCH * length, seed)[0] for seed, length in ((1, MINIBATCHES * STEPS + 1), (2, 2 * STEPS + 1))]
    vocabulary = Vocabulary.from_text("".join(texts), tokens="chars")
    train, held_out = (vocabulary.encode(text).reshape(BATCH, -1).T for text in texts)
    return Text(train, held_out, len(vocabulary))


def measure(model: CharModel, text: Text) -> dict[str, list[float]]:
    """Measure each layer, from the bottom up, on the held-out text and without dropout.

    Returns
    -------
    dict
        ``h`` and, for a grid, ``c``: norm of the gradient of the last step's loss, in nats, with respect to the output
        of a layer at that step, mean over the streams. ``kept``, for a grid: the share of what a layer writes to the
        memory cell along depth that reaches the top, mean over steps, streams and units.
    """
    x = text.held_out
    norms = norms_by_layer(model, x[:-1], x[-1])
    measured = {name.split(".")[1]: norm.mean(axis=1).tolist() for name, norm in norms.items()}
    if model.options.model == "grid":
        measured["kept"] = kept_to_end(trace(model, x[:-1])["depth.f"]).mean(axis=(1, 2, 3)).tolist()
    return measured


def train_and_measure(text: Text, kind: str, layers: int, dropout: float, seed: int) -> dict[str, Any]:
    """Train one model; return its measures ``before`` and ``after``, and the ``losses`` of its minibatches in nats."""
    options = KINDS[kind] | {"layers": layers, "dropout": dropout, "seed": seed}
    model = CharModel(vocab_size=text.vocab_size, hidden=HIDDEN, **options)
    if kind == "grid-open":
        model.params["depth.bias"][HIDDEN : 2 * HIDDEN] += 2  # from 1
    before, step = measure(model, text), TrainStep(model)
    losses = []
    for first in range(0, MINIBATCHES * STEPS, STEPS):
        x = text.train[first : first + STEPS + 1]
        losses.append(float(step(x[:-1], x[1:])))
    return {
        "parameters": model.params.flat.size,
        "before": before,
        "after": measure(model, text),
        "losses": np.reshape(losses, (-1, 10)).mean(axis=1).tolist(),  # each of 10 minibatches
    }


def report(measures: dict[str, Any]) -> None:
    """Fill in the page: the loss at the end, and the share of the gradient that reaches the lowest layer."""
    rows = []
    for kind in KINDS:
        for dropout in (0, 0.25):
            for layers in DEPTHS:
                names = [f"{kind}-{layers}-{dropout}-{seed}" for seed in (1, 2)]
                if found := [measures[name] for name in names if name in measures]:
                    rows.append([kind, str(dropout), str(layers), *_cells(found)])
    header = ["model", "dropout", "layers", "parameters", "loss at the end", "lowest / top before", "after"]
    entropy = f"The entropy of single characters is {measures['unigram']:.3f} nats."
    fill(HERE / "README.md", "results", f"{entropy}\n\n{table(header, rows)}")


def _cells(runs: list[dict[str, Any]]) -> list[str]:
    losses = [statistics.mean(run["losses"][-LAST // 10 :]) for run in runs]
    shares = [[run[when]["h"][0] / run[when]["h"][-1] for run in runs] for when in ("before", "after")]
    return [
        f"{runs[0]['parameters']:,}",
        ", ".join(f"{loss:.3f}" for loss in losses),
        *(", ".join(f"{share:.0e}" for share in each) for each in shares),
    ]


def measure_missing() -> None:
    """Train and measure the missing models, and keep each result as soon as it is known."""
    text = read_text()
    measures = read_results(MEASURES) if MEASURES.exists() else {}
    measures.setdefault("unigram", round(unigram_entropy(text.train[1:]), 4))
    for name, (kind, layers, dropout, seed) in RUNS.items():
        if name not in measures:
            measures[name] = rounded(train_and_measure(text, kind, layers, dropout, seed), 4)
            print(name, measures[name]["losses"][-1], flush=True)
            write_by_line(MEASURES, measures)


if __name__ == "__main__":
    if not report_only(__doc__):
        measure_missing()
    report(read_results(MEASURES))
