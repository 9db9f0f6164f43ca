"""What the states of a model tell about the text, and how much the loss rises when a gate is clamped."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from experiments.depth_gating.texts import WARM_UP, Reading
from minigrid import CharModel, trace
from minigrid.analysis.interventions import clamp_gate
from minigrid.analysis.probes import Probe, balanced_accuracy, fit_probe, fit_units
from minigrid.analysis.trace import kept_to_end
from minigrid.nn.ops import cross_entropy_forward

PIECE = 100  # steps that are traced at a time
BLUR = 0.1  # noise on every unit; differences much smaller than this could not be used by a later layer
STATES = {"grid": ("time.c", "time.h", "depth.c", "depth.h"), "lstm": ("lstm.c", "lstm.h")}
FORGET_GATES = {"grid": ("time.f", "depth.f"), "lstm": ("lstm.f",)}
FEW = 8  # units of 64 or 71
DRAWS = 3  # of FEW units at random
SEED = 5

Traced = Mapping[str, np.ndarray]
"""Name -> (L, N, H) array with the values at the N judged symbols of a reading."""


def traced(model: CharModel, reading: Reading, names: tuple[str, ...]) -> Traced:
    """Trace a model on a text; return the arrays of these names, with streams and steps in one axis."""
    state, pieces = None, {name: [] for name in names}
    for start in range(0, len(reading.x), PIECE):
        seen = trace(model, reading.x[start : start + PIECE], state)
        state = seen.state
        if start >= WARM_UP:
            for name in names:
                pieces[name].append(seen[name].reshape(model.layers, -1, model.hidden))
    return {name: np.concatenate(piece, axis=1) for name, piece in pieces.items()}


def judged(fact: np.ndarray) -> np.ndarray:
    """Return the (N,) entries of a (T, B) array at the judged symbols."""
    return fact[WARM_UP:].ravel()


def blurred(states: np.ndarray, blur: float = BLUR, seed: int = SEED) -> np.ndarray:
    """Return the states with noise of standard deviation `blur` added."""
    return states + blur * np.random.default_rng(seed).standard_normal(states.shape, states.dtype)


class Question(NamedTuple):
    """A fact to read off states, and the symbols to ask about.

    Attributes
    ----------
    fit, judge : (N,) bool arrays
        Whether the fact holds at each symbol of the text to fit on, and of the text to judge by.
    fit_at, judge_at : (N,) bool arrays
        Which symbols of these texts to ask about.
    """

    fit: np.ndarray
    judge: np.ndarray
    fit_at: np.ndarray
    judge_at: np.ndarray


def ask(
    fit: Reading, judge: Reading, fact: str = "in_url", letters: Callable = lambda letters: letters >= 0
) -> Question:
    """Return the question whether a fact holds where `letters`, given the number of letters in a row, is true."""
    facts = (judged(reading.facts[fact]) for reading in (fit, judge))
    return Question(*facts, *(letters(judged(reading.letters)) for reading in (fit, judge)))


def probe_states(fit: Traced, judge: Traced, question: Question, blur: float = BLUR) -> dict[str, list[float]]:
    """Fit probes to every layer of every state on one text, and judge them on the other.

    Parameters
    ----------
    fit, judge : Traced
        The states on both texts.
    question : Question
        The fact, and the symbols to ask about.
    blur : float
        Standard deviation of the noise that is added to every unit on both texts.

    Returns
    -------
    dict
        State -> balanced accuracy in each layer.
    """
    return {
        name: [
            balanced_accuracy(
                question.judge[question.judge_at],
                fit_probe(blurred(here[question.fit_at], blur), question.fit[question.fit_at]).says(
                    blurred(there[question.judge_at], blur, SEED + 1)
                ),
            )
            for here, there in zip(fit[name], judge[name], strict=True)
        ]
        for name in fit
    }


def best_units(fit: Traced, judge: Traced, question: Question) -> dict[str, dict[str, list]]:
    """Find the best single unit: state -> ``unit`` and its ``accuracy``, one entry per layer."""
    result: dict[str, dict[str, list]] = {}
    for name in fit:
        row = result[name] = {"unit": [], "accuracy": []}
        for here, there in zip(fit[name], judge[name], strict=True):
            units, accuracies = fit_units(blurred(here[question.fit_at]), question.fit[question.fit_at])
            best = int(accuracies.argmax())
            said = units[best].says(blurred(there[question.judge_at], seed=SEED + 1))
            row["unit"].append(best)
            row["accuracy"].append(balanced_accuracy(question.judge[question.judge_at], said))
    return result


def along_depth(gates: Traced, memory: np.ndarray, question: Question) -> dict[str, Any]:
    """Follow the memory along depth upward, inside URLs and outside, at the symbols that the question is about.

    Parameters
    ----------
    gates : Traced
        ``depth.`` i, f, o and g on the text to judge by.
    memory : (L, N, H) array
        ``depth.c`` on the text to fit on.
    question : Question
        Whether a symbol is inside a URL.

    Returns
    -------
    dict
        ``forget``, ``read``, ``written``, ``kept``: means over units of f, o, abs(i g), and of the share of i g that
        reaches the top. ``share``: the share of the memory at the top that each layer wrote, in absolute values. Each
        of these for ``inside`` and ``outside``, with one entry per layer. ``moved``: for each layer, the unit whose
        forget gate differs most between inside and outside, and its means there, as (unit, inside, outside).
        ``signal``, row r: the difference of the scores of the probe of layer r inside and outside, as shares that were
        written in layers 0 to r.
    """
    here = question.fit_at
    probes = [fit_probe(blurred(layer[here]), question.fit[here]) for layer in memory]
    in_url = question.judge[question.judge_at]
    i, f, o, g = (gates[f"depth.{gate}"][:, question.judge_at] for gate in "ifog")
    written = i * g
    kept = kept_to_end(f)
    values = {"forget": f, "read": o, "written": abs(written), "kept": kept, "share": abs(written * kept)}
    result: dict[str, Any] = {
        name: {
            side: value[:, here].mean(axis=(1, 2), dtype=float)
            for side, here in (("inside", in_url), ("outside", ~in_url))
        }
        for name, value in values.items()
    }
    for side, shares in result["share"].items():
        result["share"][side] = shares / shares.sum()
    means = [f[:, here].mean(axis=1, dtype=float) for here in (in_url, ~in_url)]  # (L, H) each
    most = abs(means[0] - means[1]).argmax(axis=1)
    result["moved"] = [(int(unit), *(mean[layer, unit] for mean in means)) for layer, unit in enumerate(most)]
    result["signal"] = [_signal(written, f, in_url, probe, layers) for layers, probe in enumerate(probes, start=1)]
    return result


def _signal(written: np.ndarray, f: np.ndarray, in_url: np.ndarray, probe: Probe, layers: int) -> np.ndarray:
    """Return the share of each of the lowest layers in the difference of a probe's score inside and outside.

    The memory is a sum over the layers that wrote to it, and the probe is linear, so its score is a sum too.
    """
    parts = (written[:layers] * kept_to_end(f[:layers])) @ probe.weights  # (layers, N)
    gap = parts[:, in_url].mean(axis=1) - parts[:, ~in_url].mean(axis=1)
    return gap / gap.sum()


def losses(model: CharModel, reading: Reading) -> dict[str, float]:
    """Return the mean loss, in nats, of the predictions at symbols inside URLs and outside."""
    logits, _ = model.predict(reading.x, model.initial_state(reading.x.shape[1]))
    in_url = reading.facts["in_url"]
    return {
        side: float(cross_entropy_forward(logits[WARM_UP:], np.where(here, reading.y, -1)[WARM_UP:])[0])
        for side, here in (("inside", in_url), ("outside", ~in_url))
    }


def clamped_gates(model: CharModel, fit: Traced, question: Question, reading: Reading) -> list[dict[str, Any]]:
    """Clamp forget gates closed, open, and at their means, and measure the losses.

    This is done with all units of all layers; then, layer by layer, with all units, with the FEW units whose memory
    tells best whether a symbol is inside a URL, and DRAWS times with FEW random units.
    """
    result = []
    for gate in FORGET_GATES[model.options.model]:
        means = fit[gate].mean(axis=1, dtype=float)  # (L, H)
        for layers, which, units in choices(model, gate, fit, question):
            for value, at in {"closed": 0 * means, "open": 0 * means + 1, "mean": means}.items():
                clamped = model
                for layer in layers:
                    clamped = clamp_gate(clamped, gate, layer, at[layer, units], units)
                what = {"gate": gate, "layers": layers, "which": which, "value": value}
                if which == "named":
                    what["units"] = units.tolist()
                result.append(what | losses(clamped, reading))
    return result


def choices(
    model: CharModel, gate: str, fit: Traced, question: Question
) -> Iterator[tuple[list[int], str, np.ndarray]]:
    """Yield the layers to clamp, the name of the choice of units, and the units."""
    kind = gate.split(".")[0]
    every = np.arange(model.hidden)
    yield list(range(model.layers)), "all", every
    for layer in range(model.layers):
        yield [layer], "all", every
        # a gate along depth keeps or forgets the memory of the layer below
        guarded = layer - 1 if kind == "depth" else layer
        if guarded >= 0:
            memory = fit[f"{kind}.c"][guarded][question.fit_at]
            _, accuracies = fit_units(blurred(memory), question.fit[question.fit_at])
            yield [layer], "named", np.argsort(-accuracies)[:FEW]
            rng = np.random.default_rng((SEED, layer))
            for _ in range(DRAWS):
                yield [layer], "random", rng.choice(model.hidden, FEW, replace=False)
