"""Measure the pretrained models of toywiki and wiki-excerpt, and fill in the page.

Run ``python -m experiments.depth_gating.run``; after a stop, run it again to measure the models that are still missing.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from docs.markdown import fill
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
from experiments.store import read_results, rounded, write_results
from minigrid import CharModel, load
from minigrid.analysis.interventions import clamp_gate
from minigrid.analysis.probes import balanced_accuracy, context_says, fit_context
from minigrid.runs.find import PRETRAINED, PRETRAINED_FOLDER

HERE = Path(__file__).parent
CORPORA = ("toywiki", "wiki-excerpt")
MODELS = ("grid", "lstm")
SEEDS = (1, 2, 3)
CONTEXTS = (1, 2, 3, 4, 5)  # symbols
ROWS = (0, 1, 2, 3, 4, 5, 6, 7)  # letters
DIGITS = 5  # significant, of a measure

Metrics = dict[str, Any]


def names() -> list[str]:
    """Return the names of the pretrained models that this experiment is about."""
    wanted = [f"{corpus}-{model}-{seed}" for corpus in CORPORA for seed in SEEDS for model in MODELS]
    return [name for name in wanted if (PRETRAINED_FOLDER / f"{name}.npz").exists()]


def measure_text(fit: Reading, judge: Reading) -> Metrics:
    """Measure the text alone: how frequent each fact is, and how well the last symbols predict it."""
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
    """Return the balanced accuracy of a prediction from the last symbols, by their number."""
    result = {}
    for length in CONTEXTS:
        said = context_says(fit_context(fit.x, fit.facts[fact], length), judge.x, length)
        at = question.judge_at
        result[length] = balanced_accuracy(question.judge[at], said[WARM_UP - length + 1 :].ravel()[at])
    return result


def measure_model(name: str, fit: Reading, judge: Reading) -> Metrics:
    """Measure one model: what its states tell, how that moves up, and the loss when gates are clamped."""
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
    """Return the states of a model on the texts to fit on and to judge by."""
    fitted, judged_by = (traced(model, reading, STATES[model.options.model]) for reading in (fit, judge))
    return fitted, judged_by


def without_depth_memory(model: CharModel) -> CharModel:
    """Return the model with the forget gates along depth closed in all layers."""
    for layer in range(model.layers):
        model = clamp_gate(model, "depth.f", layer, 0)
    return model


def row(count: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that picks the symbols after `count` letters in a row; or more, for the last of ROWS."""
    return lambda letters: letters >= count if count == ROWS[-1] else letters == count


def deep_in_word(letters: np.ndarray) -> np.ndarray:
    """Pick the symbols deep in a word, where the last letters tell little about the facts."""
    return letters >= 5


def kept(name: str) -> Path:
    """Return the file of the measures of a model or a text."""
    return HERE / "results" / f"{name}.json"


def write(name: str, metrics: Metrics) -> None:
    """Keep the measures of a model or a text, rounded."""
    write_results(kept(name), rounded(metrics, DIGITS))


def report() -> None:
    """Fill in the page with the measures."""
    for corpus in CORPORA:
        if kept(corpus).exists():
            models = {kind: [read(name) for name in measured(corpus, kind)] for kind in MODELS}
            if all(models.values()):
                fill(HERE / "README.md", corpus, tables.page(read(corpus), models))
    if closed := measured("toywiki", "without"):
        trained = [read(name.replace("without", "grid")) for name in closed]
        fill(HERE / "README.md", "without", tables.without(trained, [read(name) for name in closed]))


def measured(corpus: str, kind: str) -> list[str]:
    """Return the names of the measured models of a kind."""
    wanted = (f"{corpus}-{kind}-{seed}" for seed in SEEDS)
    return [name for name in wanted if kept(name).exists()]


def read(name: str) -> Metrics:
    """Read the measures of a model or a text."""
    return read_results(kept(name))


def main() -> None:
    """Measure the missing models, or the missing ones of those named on the command line; then report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", metavar="MODEL", nargs="*", help="default: all of them")
    parser.add_argument("--report", action="store_true", help="measure nothing; only fill in the page")
    options = parser.parse_args()
    for name in () if options.report else options.names or names():
        if not kept(name).exists():
            started = time.process_time()
            corpus = name.rsplit("-", 2)[0]
            _, vocabulary = load(PRETRAINED + name)
            texts = readings(corpus, vocabulary)
            if not kept(corpus).exists():
                write(corpus, measure_text(**texts))
            write(name, measure_model(name, **texts))
            print(f"{name}: measured, {(time.process_time() - started) / 60:.1f} minutes of CPU time", flush=True)
    report()


if __name__ == "__main__":
    main()
