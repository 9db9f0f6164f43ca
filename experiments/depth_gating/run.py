"""Measure every model that comes with minigrid on toywiki and wiki-excerpt, and fill in the page.

``python -m experiments.depth_gating.run``; call it again after a stop, it goes on with the models that are missing.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from experiments.depth_gating.measures import (
    FORGET_GATES,
    STATES,
    along_depth,
    blurred,
    clamped_gates,
    judged,
    losses,
    probe_states,
    traced,
)
from experiments.depth_gating.texts import WARM_UP, Reading, readings
from minigrid import CharModel, load
from minigrid.checkpoint import PRETRAINED, PRETRAINED_FOLDER
from minigrid.corpora.sources import written_whole
from minigrid.interventions import clamp_gate
from minigrid.probes import balanced_accuracy, context_says, fit_context, fit_probe

HERE = Path(__file__).parent
CORPORA = ("toywiki", "wiki-excerpt")
MODELS = ("grid", "lstm")
SEEDS = (1, 2, 3)
CONTEXTS = (1, 2, 3, 4, 5)  # symbols

Metrics = dict[str, Any]


def names() -> list[str]:
    """Models that come with minigrid, of those that are wanted."""
    wanted = [f"{corpus}-{model}-{seed}" for corpus in CORPORA for seed in SEEDS for model in MODELS]
    return [name for name in wanted if (PRETRAINED_FOLDER / f"{name}.npz").exists()]


def measure_text(fit: Reading, judge: Reading) -> Metrics:
    """Measure what a text alone tells: how frequent each fact is, and how well the last symbols give it away."""
    result = {}
    for fact, truth in judge.facts.items():
        context = {}
        for length in CONTEXTS:
            table = fit_context(fit.x, fit.facts[fact], length)
            said = context_says(table, judge.x, length)[WARM_UP - length + 1 :]
            context[length] = balanced_accuracy(truth[WARM_UP:], said)
        result[fact] = {"share": judged(truth).mean(), "context": context}
    return {"symbols": judged(judge.x).size, "facts": result}


def measure_model(name: str, fit: Reading, judge: Reading) -> Metrics:
    """Measure one model: what it knows, how that goes upward, and what it loses when gates are clamped."""
    model, _ = load(PRETRAINED + name)
    kind = model.options["model"]
    fitted = traced(model, fit, STATES[kind] + FORGET_GATES[kind])
    states = {state: fitted[state] for state in STATES[kind]}, traced(model, judge, STATES[kind])
    in_url = judged(fit.facts["in_url"]), judged(judge.facts["in_url"])
    fresh = CharModel(**model.options)  # as the model was before training
    fresh_states = [traced(fresh, reading, STATES[kind]) for reading in (fit, judge)]
    result: Metrics = {
        "loss": losses(model, judge),
        "probes": {
            fact: probe_states(*states, judged(fit.facts[fact]), judged(judge.facts[fact])) for fact in fit.facts
        },
        "sharp": probe_states(*states, *in_url, blur=0),
        "untrained": probe_states(*fresh_states, *in_url),
        "untrained_sharp": probe_states(*fresh_states, *in_url, blur=0),
    }
    if kind == "grid":
        closed = model
        for layer in range(model.layers):
            closed = clamp_gate(closed, "depth.f", layer, 0)
        closed_states = [traced(closed, reading, STATES[kind]) for reading in (fit, judge)]
        result["depth_closed"] = probe_states(*closed_states, *in_url)
        probes = [fit_probe(blurred(layer), in_url[0]) for layer in states[0]["depth.c"]]
        gates = traced(model, judge, tuple(f"depth.{gate}" for gate in "ifog"))
        result["along_depth"] = along_depth(gates, in_url[1], probes)
    return result | {"clamped": clamped_gates(model, fitted, in_url[0], judge)}


def write(name: str, metrics: Metrics) -> None:
    """Keep metrics beside the experiment's page, numbers with five significant digits."""
    with written_whole(HERE / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(rounded(metrics), indent=1) + "\n", encoding="utf-8")


def rounded(value: Any) -> Any:
    """Turn arrays into lists, and floats into such of five significant digits."""
    if isinstance(value, dict):
        return {str(key): rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [rounded(entry) for entry in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", metavar="MODEL", nargs="*", help="default: all that are there")
    options = parser.parse_args()
    for name in options.names or names():
        if not (HERE / f"{name}.json").exists():
            corpus = name.rsplit("-", 2)[0]
            _, vocabulary = load(PRETRAINED + name)
            texts = readings(corpus, vocabulary)
            if not (HERE / f"{corpus}.json").exists():
                write(corpus, measure_text(**texts))
            write(name, measure_model(name, **texts))
            print(f"{name}: measured", flush=True)


if __name__ == "__main__":
    main()
