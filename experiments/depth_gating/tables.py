"""The tables of the page."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from docs.markdown import table
from experiments.report import spread

Metrics = Mapping[str, Any]
LAYERS = range(4)
KINDS = {"grid": "grid", "lstm": "stacked LSTM"}
STATE_NAMES = {
    "time.c": "grid, c along time",
    "time.h": "grid, h along time",
    "depth.c": "grid, c along depth",
    "depth.h": "grid, h along depth",
    "lstm.c": "stacked LSTM, c",
    "lstm.h": "stacked LSTM, h",
}
GATE_NAMES = {"depth.f": "grid, f along depth", "time.f": "grid, f along time", "lstm.f": "stacked LSTM, f"}


def percent(values: Iterable[float]) -> str:
    """Format a mean with the lowest and the highest value, in percent."""
    return spread([100 * value for value in values], ".1f")


def states(models: Mapping[str, Sequence[Metrics]]) -> Iterator[tuple[str, Sequence[Metrics]]]:
    """Yield every state, with the models that have it."""
    for state in STATE_NAMES:
        kind = "lstm" if state.startswith("lstm") else "grid"
        if models[kind]:
            yield state, models[kind]


def by_layer(models: Mapping[str, Sequence[Metrics]], pick: Callable[[Metrics, str], Sequence[float]]) -> str:
    """Return a table of a balanced accuracy for each state and layer."""
    rows = [
        [STATE_NAMES[state], *(percent(pick(one, state)[layer] for one in those) for layer in LAYERS)]
        for state, those in states(models)
    ]
    return table(["%", *(f"layer {layer + 1}" for layer in LAYERS)], rows)


def by_letters(text: Metrics, models: Mapping[str, Sequence[Metrics]]) -> str:
    """Return a table of what the states of the top layer tell, by the number of letters in a row before."""
    counts = list(text["by_letters"])
    rows = [["the last symbols", *(f"{100 * max(text['by_letters'][count].values()):.1f}" for count in counts)]]
    for state, those in states(models):
        rows.append(
            [STATE_NAMES[state], *(percent(one["by_letters"][count][state][-1] for one in those) for count in counts)]
        )
    return table(["%", *counts[:-1], f"{counts[-1]} or more"], rows)


def facts(text: Metrics, models: Mapping[str, Sequence[Metrics]]) -> str:
    """Return a table of all facts: what the best layer of each state tells, and what the text alone tells."""
    names = [state for state, _ in states(models) if state.endswith(".c")]
    rows = []
    for fact, alone in text["facts"].items():
        length, best = max(alone["letters"].items(), key=lambda entry: entry[1])
        row = [fact.replace("_", " "), f"{100 * alone['share']:.1f}", f"{100 * best:.1f} ({length})"]
        for state, those in states(models):
            if state in names:
                row.append(percent(max(one["facts"][fact][state]) for one in those))
        rows.append(row)
    header = ["%", "share of the text", "last symbols (how many)", *(STATE_NAMES[name] for name in names)]
    return table(header, rows)


def along_depth(grids: Sequence[Metrics]) -> str:
    """Return a table of gates and shares along depth, inside URLs and outside."""
    what = {"forget": "forget gate f", "read": "output gate o", "share": "share of the memory at the top"}
    rows = []
    for name, label in what.items():
        for side in ("inside", "outside"):
            values = ([one["along_depth"][name][side][layer] for one in grids] for layer in LAYERS)
            rows.append([f"{label}, {side}", *(spread(value, ".2f") for value in values)])
    parts = ([one["along_depth"]["signal"][-1][layer] for one in grids] for layer in LAYERS)
    rows.append(["share of the probe's difference at the top", *(spread(part, ".2f") for part in parts)])
    return table(["written in or gate of", *(f"layer {layer + 1}" for layer in LAYERS)], rows)


def clamped(models: Mapping[str, Sequence[Metrics]]) -> str:
    """Return a table of how much each clamped gate raises the loss, inside URLs and outside."""
    rows = []
    for gate, name in GATE_NAMES.items():
        those = models["lstm" if gate.startswith("lstm") else "grid"]
        for layers in ([0, 1, 2, 3], *([layer] for layer in LAYERS)):
            for which in ("all", "named", "random"):
                cells = [
                    spread(costs(those, gate, layers, which, value, side), ".3f")
                    for value in ("closed", "open", "mean")
                    for side in ("inside", "outside")
                    if costs(those, gate, layers, which, value, side)
                ]
                if cells:
                    where = "all layers" if len(layers) > 1 else f"layer {layers[0] + 1}"
                    rows.append([f"{name}, {where}", which, *cells])
    sides = (f"{value}, {side}" for value in ("closed", "open", "at its mean") for side in ("inside", "outside"))
    return table(["nats", "units", *sides], rows)


def costs(
    models: Sequence[Metrics], gate: str, layers: Sequence[int], which: str, value: str, side: str
) -> list[float]:
    """Return the increase in the loss of each model, the mean over draws of random units."""
    result = []
    for one in models:
        rises = [
            entry[side] - one["loss"][side]
            for entry in one["clamped"]
            if (entry["gate"], entry["layers"], entry["which"], entry["value"]) == (gate, list(layers), which, value)
        ]
        if rises:
            result.append(sum(rises) / len(rises))
    return result


def page(text: Metrics, models: Mapping[str, Sequence[Metrics]]) -> str:
    """Return all tables of one corpus."""
    loss = "; ".join(
        f"{KINDS[kind]}: {side} {spread([one['loss'][side] for one in those], '.3f')}"
        for kind, those in models.items()
        for side in ("inside", "outside")
    )
    grids = {"grid": models["grid"], "lstm": ()}
    letters = max(text["deep"]["letters"].values())
    parts = [
        f"{text['symbols']:,} symbols, {len(models['grid'])} grids, {len(models['lstm'])} stacked LSTMs. "
        f"Loss in nats, mean (lowest to highest): {loss}.",
        f"**Deep in a word: is it part of a URL?** Read off all units; the last symbols tell {100 * letters:.1f} %.",
        by_layer(models, lambda one, state: one["deep"][state]),
        "Read off the best unit alone:",
        by_layer(models, lambda one, state: one["best_units"][state]["accuracy"]),
        "All units, before training:",
        by_layer(models, lambda one, state: one["untrained"][state]),
        "All units, when all forget gates along depth are closed (probes fitted again):",
        by_layer(grids, lambda one, state: one["depth_closed"][state]),
        "**By the number of letters in a row**, top layer:",
        by_letters(text, models),
        "**Other facts**, everywhere in the text, in the layer that shows them best:",
        facts(text, models),
        "Without the noise: is a symbol inside a URL? Everywhere in the text:",
        by_layer(models, lambda one, state: one["sharp"][state]),
        "The same before training:",
        by_layer(models, lambda one, state: one["untrained_sharp"][state]),
        "**Along depth**, deep in a word:",
        along_depth(models["grid"]),
        "**By how much the loss rises when forget gates are clamped**:",
        clamped(models),
    ]
    return "\n\n".join(parts)


def without(trained: Sequence[Metrics], closed: Sequence[Metrics]) -> str:
    """Return a table of usual grids and of those whose forget gates along depth were closed in training."""
    rows = []
    for name, those in {"as usual": trained, "forget gates along depth closed": closed}.items():
        loss = (spread([one["loss"][side] for one in those], ".3f") for side in ("inside", "outside"))
        top = (percent(one["deep"][state][-1] for one in those) for state in ("time.c", "depth.c", "depth.h"))
        rows.append([name, str(len(those)), *loss, *top])
    header = ["trained", "seeds", "loss inside URLs, nats", "outside"]
    return table([*header, "layer 4 tells, %: c along time", "c along depth", "h along depth"], rows)
