"""Measure every model that comes with minigrid on toywiki and wiki-excerpt, and fill in the page.

``python -m experiments.depth_gating.run``; call it again after a stop, it goes on with the models that are missing.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from experiments.depth_gating import tables
from experiments.depth_gating.measures import (
    FORGET_GATES,
    STATES,
    Question,
    Traced,
    along_depth,
    ask,
    best_units,
    clamped_gates,
    judged,
    losses,
    probe_states,
    traced,
)
from experiments.depth_gating.texts import WARM_UP, Reading, readings
from experiments.report import fill, rounded
from minigrid import CharModel, load
from minigrid.analysis.interventions import clamp_gate
from minigrid.analysis.probes import balanced_accuracy, context_says, fit_context
from minigrid.files import written_whole
from minigrid.runs.checkpoint import PRETRAINED, PRETRAINED_FOLDER

HERE = Path(__file__).parent
CORPORA = ("toywiki", "wiki-excerpt")
MODELS = ("grid", "lstm")
SEEDS = (1, 2, 3)
CONTEXTS = (1, 2, 3, 4, 5)  # symbols
ROWS = (0, 1, 2, 3, 4, 5, 6, 7)  # letters

Metrics = dict[str, Any]


def names() -> list[str]:
    """Models that come with minigrid, of those that are wanted."""
    wanted = [f"{corpus}-{model}-{seed}" for corpus in CORPORA for seed in SEEDS for model in MODELS]
    return [name for name in wanted if (PRETRAINED_FOLDER / f"{name}.npz").exists()]


def measure_text(fit: Reading, judge: Reading) -> Metrics:
    """Measure what a text alone tells: how frequent each fact is, and how well the last symbols give it away."""
    facts = {}
    for fact in judge.facts:
        question = ask(fit, judge, fact)
        facts[fact] = {"share": question.judge.mean(), "letters": last_symbols(fit, judge, question, fact)}
    by_letters = {count: last_symbols(fit, judge, ask(fit, judge, letters=row(count))) for count in ROWS}
    deep = ask(fit, judge, letters=deep_in_word)
    return {
        "symbols": judged(judge.x).size,
        "facts": facts,
        "deep": {"share": deep.judge_at.mean(), "letters": last_symbols(fit, judge, deep)},
        "by_letters": by_letters,
    }


def last_symbols(fit: Reading, judge: Reading, question: Question, fact: str = "in_url") -> Metrics:
    """Return the balanced accuracy of what the last symbols tell, by how many of them one remembers."""
    result = {}
    for length in CONTEXTS:
        said = context_says(fit_context(fit.x, fit.facts[fact], length), judge.x, length)
        at = question.judge_at
        result[length] = balanced_accuracy(question.judge[at], said[WARM_UP - length + 1 :].ravel()[at])
    return result


def measure_model(name: str, fit: Reading, judge: Reading) -> Metrics:
    """Measure one model: what it knows, how that goes upward, and what it loses when gates are clamped."""
    model, _ = load(PRETRAINED + name)
    kind = model.options.model
    deep, anywhere = ask(fit, judge, letters=deep_in_word), ask(fit, judge)
    fitted = traced(model, fit, STATES[kind] + FORGET_GATES[kind])
    states = {state: fitted[state] for state in STATES[kind]}, traced(model, judge, STATES[kind])
    result: Metrics = {
        "loss": losses(model, judge),
        "deep": probe_states(*states, deep),
        "best_units": best_units(*states, deep),
        "by_letters": {count: probe_states(*states, ask(fit, judge, letters=row(count))) for count in ROWS},
        "facts": {fact: probe_states(*states, ask(fit, judge, fact)) for fact in fit.facts},
        "sharp": probe_states(*states, anywhere, blur=0),
    }
    if kind == "grid":
        gates = traced(model, judge, tuple(f"depth.{gate}" for gate in "ifog"))
        result["along_depth"] = along_depth(gates, states[0]["depth.c"], deep)
        result["depth_closed"] = probe_states(*states_of(without_depth_memory(model), fit, judge), deep)
    del states
    result["clamped"] = clamped_gates(model, fitted, deep, judge)
    untrained = states_of(CharModel.from_options(model.options), fit, judge)
    result["untrained"] = probe_states(*untrained, deep)
    result["untrained_sharp"] = probe_states(*untrained, anywhere, blur=0)
    return result


def states_of(model: CharModel, fit: Reading, judge: Reading) -> tuple[Traced, Traced]:
    """Let a model read both texts."""
    fitted, judged_by = (traced(model, reading, STATES[model.options.model]) for reading in (fit, judge))
    return fitted, judged_by


def without_depth_memory(model: CharModel) -> CharModel:
    """Close the forget gates along depth in all layers."""
    for layer in range(model.layers):
        model = clamp_gate(model, "depth.f", layer, 0)
    return model


def row(count: int) -> Callable[[np.ndarray], np.ndarray]:
    """Pick the symbols with which exactly so many letters in a row end; of the last of ROWS, at least so many."""
    return lambda letters: letters >= count if count == ROWS[-1] else letters == count


def deep_in_word(letters: np.ndarray) -> np.ndarray:
    """Pick the symbols deep in a word, where the last letters tell little."""
    return letters >= 5


def write(name: str, metrics: Metrics) -> None:
    """Keep metrics beside the experiment's page, numbers with five significant digits."""
    with written_whole(HERE / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(rounded(metrics, 5), indent=1) + "\n", encoding="utf-8")


def report() -> None:
    """Fill in the page with what is measured."""
    for corpus in CORPORA:
        if (HERE / f"{corpus}.json").exists():
            models = {kind: [read(name) for name in measured(corpus, kind)] for kind in MODELS}
            if all(models.values()):
                fill(HERE / "README.md", corpus, tables.page(read(corpus), models))
    if closed := measured("toywiki", "without"):
        trained = [read(name.replace("without", "grid")) for name in closed]
        fill(HERE / "README.md", "without", tables.without(trained, [read(name) for name in closed]))


def measured(corpus: str, kind: str) -> list[str]:
    """Names of the measured models of a kind."""
    wanted = (f"{corpus}-{kind}-{seed}" for seed in SEEDS)
    return [name for name in wanted if (HERE / f"{name}.json").exists()]


def read(name: str) -> Metrics:
    """Read what :func:`write` has kept."""
    return json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))


def main() -> None:
    """Measure what is missing, or only what is named; then report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", metavar="MODEL", nargs="*", help="default: all that are there")
    parser.add_argument("--report", action="store_true", help="measure nothing, only fill in the page")
    options = parser.parse_args()
    for name in () if options.report else options.names or names():
        if not (HERE / f"{name}.json").exists():
            started = time.process_time()
            corpus = name.rsplit("-", 2)[0]
            _, vocabulary = load(PRETRAINED + name)
            texts = readings(corpus, vocabulary)
            if not (HERE / f"{corpus}.json").exists():
                write(corpus, measure_text(**texts))
            write(name, measure_model(name, **texts))
            print(f"{name}: measured, {(time.process_time() - started) / 60:.1f} minutes of CPU time", flush=True)
    report()


if __name__ == "__main__":
    main()
