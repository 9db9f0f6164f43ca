"""The results of :mod:`benchmarks.scaling` as Markdown."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.scaling.cells import ms, ratio, shown, wrapped
from benchmarks.scaling.predicted import links_section, model_section
from docs.markdown import table

Results = dict[str, Any]
Row = dict[str, Any]

PAGE = Path(__file__).parent.parent / "scaling.md"
RESULTS = PAGE.with_suffix(".json")

INTRODUCTION = """Written by `python -m benchmarks.scaling`. A rank is one of the processes that `mpiexec` starts. Here
each has one core and one thread."""

TRAINING = """The batch of 50 columns is shared by two ranks. Efficiency is the time of one process on one core, divided
by twice the time of two ranks; "exchange" is the part of a step of two ranks that they spend sending, receiving and
waiting for each other. The peers are PyTorch's `nn.LSTM`, and a grid with `nn.LSTM` along time. DDP is its
DistributedDataParallel with the backend gloo: two processes of one thread and 25 columns each."""


def read_results() -> Results:
    """Read the committed results."""
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def page(results: Results) -> str:
    """Return the page with all results."""
    sections = ["# Training on several processes", wrapped(INTRODUCTION), machine(results)]
    for name, section in SECTIONS.items():
        if name in results:
            sections.append(section(results))
    return "\n\n".join(sections) + "\n"


def machine(results: Results) -> str:
    """Return a line on the machine and the settings."""
    m = results["machine"]
    return wrapped(
        f"{m['cpu']}, {m['cores']} cores, Python {m['python']}, NumPy {m['numpy']}, mpi4py {m['mpi4py']}, MPICH "
        f"{m['mpich']}, PyTorch {m['torch']}; float32, sequences of 50, 65 characters."
    )


# -- measured on this machine


def training_section(results: Results) -> str:
    """Return what was measured of training steps, and of their memory and exchanges."""
    training = results["training"]
    rows = [
        [shown(row["size"]), *(ms(row["seconds"][side]) for side in ("one", "threads", "ranks", "torch", "ddp"))]
        for row in training["rows"]
    ]
    times = ["training step, ms", "one core", "two threads", "two ranks", "PyTorch, two threads", "PyTorch DDP"]
    compared = ["two ranks", "efficiency", "exchange", "times as fast as two threads", "as PyTorch", "as DDP"]
    parts = [
        "## Training on two cores",
        wrapped(f"{TRAINING} {turns(training)}"),
        table(times, rows),
        table(compared, map(comparison, training["rows"])),
        *more_ranks(training["rows"]),
        "### Memory",
        "Peak memory of a process, in MB.",
        table(["", "one process, two threads", "each of two ranks"], memory(training["rows"])),
    ]
    return "\n\n".join(parts)


def turns(part: Results) -> str:
    """Return a sentence on how often the sides took turns."""
    return (
        f"Medians of {part['turns']} turns of each side, in fresh processes; ratios are medians over the turns, with "
        "95 % intervals."
    )


def comparison(row: Row) -> list[str]:
    """Return a row of the table that compares two ranks with the others."""
    half = [value / 2 for value in row["times_as_fast"]["one"]]
    share = sum(row["exchanges"].values()) / row["seconds"]["ranks"]
    return [
        shown(row["size"]),
        f"{half[1]:.0%} ({half[0]:.0%} to {half[2]:.0%})",
        f"{ms(sum(row['exchanges'].values()))} ms, {share:.0%}",
        *(ratio(row, side) for side in ("threads", "torch", "ddp")),
    ]


def more_ranks(rows: list[Row]) -> Iterator[str]:
    """Yield a table of larger numbers of ranks, if this machine has the cores."""
    counts = list(rows[0]["more_ranks"])
    if counts:
        lines = [
            [shown(row["size"])]
            + [f"{ms(t)}, {row['seconds']['one'] / (int(n) * t):.0%}" for n, t in row["more_ranks"].items()]
            for row in rows
        ]
        yield table(["training step, ms, and efficiency", *(f"{n} ranks" for n in counts)], lines)


def memory(rows: list[Row]) -> Iterator[list[str]]:
    """Yield the peak memory of some sizes."""
    for row in rows:
        if row["size"] in ("grid:2x128", "grid:3x512"):
            peak = row["peak_bytes"]
            yield [shown(row["size"]), f"{peak['threads'] / 1e6:.0f}", f"{peak['ranks'] / 1e6:.0f}"]


def evaluation_section(results: Results) -> str:
    """Return what was measured of evaluations."""
    evaluation = results["evaluation"]
    header = ["evaluation, ms", "two threads", "two ranks", "PyTorch", "times as fast as two threads", "as PyTorch"]
    rows = [
        [shown(row["size"]), *(ms(row["seconds"][side]) for side in ("threads", "ranks", "torch"))]
        + [ratio(row, side) for side in ("threads", "torch")]
        for row in evaluation["rows"]
    ]
    sentence = wrapped(f"A minibatch of 50 columns without gradients. {turns(evaluation)}")
    return "\n\n".join(["## Evaluation on two cores", sentence, table(header, rows)])


SECTIONS = {
    "training": training_section,
    "evaluation": evaluation_section,
    "model": model_section,
    "links": links_section,
}
