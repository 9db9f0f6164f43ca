"""The results of :mod:`benchmarks.scaling` as Markdown."""

import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent, fill
from typing import Any

from benchmarks.scaling import model
from benchmarks.scaling.predictions import SPEEDS, STRONG, WEAK, alternatives, links, read_work, scaling
from benchmarks.scaling.sizes import Size
from docs.markdown import table

Results = dict[str, Any]
Row = dict[str, Any]

PAGE = Path(__file__).parent.parent / "scaling.md"
RESULTS = PAGE.with_suffix(".json")
PICTURE = PAGE.with_suffix(".png")

LIMIT = 0.25
"""Largest error of a prediction that counts as met."""

INTRODUCTION = """Written by `python -m benchmarks.scaling`. A rank is one of the processes that `mpiexec` starts. Here
each has one core and one thread."""

TRAINING = """The batch of 50 columns is shared by two ranks. Efficiency is the time of one process on one core, divided
by twice the time of two ranks; "exchange" is the part of a step of two ranks that they spend sending, receiving and
waiting for each other. The peers are PyTorch's `nn.LSTM`, and a grid with `nn.LSTM` along time. DDP is its
DistributedDataParallel with the backend gloo: two processes of one thread and 25 columns each."""

MODEL = """The time of a step on N ranks, predicted from figures that were measured on two cores. No cluster was
measured. Every rank is a machine with one core and its own connection to a switch. The formula, from
[benchmarks/scaling/model.py](scaling/model.py), for a batch of B columns and P parameters, V = 4 P bytes:"""

ALGORITHMS = """The latencies are those of the algorithms that MPICH 5 chooses at these sizes. Alltoallv ("scattered")
starts sends and receives for 32 ranks at a time. Allgather of a few bytes takes one round for each doubling ("recursive
doubling"; "Bruck" if N is not a power of 2)."""

LINKS = """Each rank has a network namespace of its own, and a program passes packets between them at the speed and with
the delay of the row. Latency, bandwidth and the work of a core were measured beforehand, without a limit. Where there
are more ranks than cores, they sleep as long as the computation would take, so these rows check the exchange only."""


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


def wrapped(text: str) -> str:
    """Return a paragraph in lines of equal length."""
    return fill(" ".join(text.split()), 120)


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
        "### Adding up slices or whole gradients",
        wrapped(EXCHANGES),
        table(["two ranks, ms", "slices", "Allreduce"], exchanges(training["exchanges"])),
    ]
    return "\n\n".join(parts)


EXCHANGES = """The exchange of slices of the gradient and of the parameters, beside MPI's Allreduce of the whole
gradient, after which each rank would update all parameters."""


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


def exchanges(rows: list[Row]) -> Iterator[list[str]]:
    """Yield the times of the exchanges of each size."""
    for row in rows:
        yield [shown(row["size"]), f"{row['slices'] * 1e3:.2f}", f"{row['allreduce'] * 1e3:.2f}"]


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


# -- predicted


def model_section(results: Results) -> str:
    """Return the formula and its predictions."""
    measured = results["model"]
    return "\n\n".join(
        [
            "## Predictions for 2 to 256 ranks",
            wrapped(MODEL),
            "```\n" + formula() + "\n```",
            wrapped(ALGORITHMS),
            wrapped(link_sentence(results)),
            table(["one core", "parameters", "update, ns", "add, ns", *columns(measured)], work_rows(measured)),
            f"![Efficiency against the number of ranks]({PICTURE.name})",
            f"Fixed batch: {STRONG} columns, shared by the ranks. Each cell: milliseconds of a step, and efficiency.",
            table(["ranks", "", *SPEEDS], predicted(results, strong=True)),
            f"Fixed columns per rank: {WEAK} on each, so that the batch grows with the ranks.",
            table(["ranks", "", *SPEEDS], predicted(results, strong=False)),
            wrapped(ALTERNATIVES),
            table(["10 Gbit/s, ms", "ranks", "Alltoallv", "Allgatherv", "Allreduce"], other_ways(results)),
        ]
    )


ALTERNATIVES = """The same steps of the fixed batch with other exchanges: Allgatherv for the parameters, and Allreduce
for whole gradients. MPICH's Allgatherv passes vectors of 512 KiB and more around a ring, in pieces of 32 KiB that wait
for each other; its Allreduce is Rabenseifner's algorithm."""


def formula() -> str:
    """Return the formula of the model, from its documentation."""
    blocks = dedent(model.__doc__.split("::")[1]).strip("\n").split("\n\n")
    return dedent(blocks[1] if not blocks[0].strip() else blocks[0])


def link_sentence(results: Results) -> str:
    """Return what was measured of messages."""
    measured = results["model"]
    link, direct = measured["simulated"], measured["direct"]
    return (
        f"Measured with MPICH over TCP: a latency of {link['latency'] * 1e6:.0f} µs over a simulated link "
        f"({direct['latency'] * 1e6:.0f} µs within the kernel), {direct['gap'] * 1e6:.1f} µs for each further message "
        f"of a burst, and at most {direct['bandwidth'] / 1e9:.1f} GB/s, which limits the fastest link. A link carries "
        f"{model.PAYLOAD:.0%} payload. The table has milliseconds for the gradients of some numbers of columns; in "
        "between, the time changes linearly."
    )


def columns(measured: Results) -> list[str]:
    """Return the numbers of columns that were measured, as headers."""
    first = next(iter(measured["work"].values()))
    return [f"{b} column{'s' * (b != '1')}" for b in first["times"]]


def work_rows(measured: Results) -> Iterator[list[str]]:
    """Yield the measured work of each size."""
    for size, saved in measured["work"].items():
        each = [f"{saved['parameters']:,}", f"{saved['update'] * 1e9:.2f}", f"{saved['add'] * 1e9:.2f}"]
        yield [shown(size), *each, *(ms(seconds) for seconds in saved["times"].values())]


def predicted(results: Results, strong: bool) -> Iterator[list[str]]:
    """Yield the predictions of all sizes: a row for each number of ranks, a column for each speed."""
    for size, saved in results["model"]["work"].items():
        work = read_work(saved)
        for row in zip(*(scaling(work, link, strong) for link in links(results).values()), strict=True):
            yield [str(row[0].ranks), shown(size), *(f"{ms(p.seconds)}, {p.efficiency:.0%}" for p in row)]


def other_ways(results: Results) -> Iterator[list[str]]:
    """Yield the predictions for other exchanges."""
    link = links(results)["10 Gbit/s"]
    for size, saved in results["model"]["work"].items():
        for ranks in (2, 16, 256):
            yield [shown(size), str(ranks), *map(ms, alternatives(read_work(saved), link, ranks))]


# -- checked


def links_section(results: Results) -> str:
    """Return how the predictions compare with simulated links."""
    found = results["links"]
    parts = ["## Predictions checked on simulated links", wrapped(LINKS)]
    if "not_run" in found:
        return "\n\n".join([*parts, f"Not run: {found['not_run']}."])
    met = sum(is_met(row) for row in found["rows"])
    extra = [row["bytes_per_step"] / row["expected_bytes"] - 1 for row in found["rows"]]
    summary = (
        f"{met} of {len(found['rows'])} predictions are within {LIMIT:.0%} of the measured time. By the counters of "
        f"their network devices, the ranks sent {min(extra):.1%} to {max(extra):.1%} more bytes than the exchange "
        "has: headers and acknowledgements."
    )
    header = [
        "",
        "ranks",
        "computation",
        "parameters by",
        "Mbit/s",
        "delay, ms",
        "predicted, ms",
        "measured, ms",
        "error",
        "met",
    ]
    return "\n\n".join([*parts, wrapped(summary), table(header, map(link_row, found["rows"]))])


def link_row(row: Row) -> list[str]:
    """Return a row of the table of simulated links."""
    return [
        shown(row["size"]),
        str(row["ranks"]),
        "slept" if row["sleeps"] else "done",
        row["gather"].capitalize(),
        f"{row['rate'] / 1e6:.0f}",
        f"{row['delay'] * 1e3:g}",
        ms(sum(row["predicted"].values())),
        ms(row["measured"]),
        f"{row['error']:+.0%}",
        "yes" if is_met(row) else "no",
    ]


def is_met(row: Row) -> bool:
    """Return whether a prediction is within the limit."""
    return abs(row["error"]) <= LIMIT


# -- cells


def shown(size: str) -> str:
    """Return ``grid 2x128`` for ``grid:2x128``."""
    return str(Size.parse(size)).replace(":", " ")


def ms(seconds: float) -> str:
    """Return milliseconds with three digits or more."""
    value = seconds * 1e3
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}"


def ratio(row: Row, side: str) -> str:
    """Return how many times as fast as a side the ranks are, with the interval."""
    low, median, high = row["times_as_fast"][side]
    return f"{median:.2f} ({low:.2f} to {high:.2f})"


SECTIONS = {
    "training": training_section,
    "evaluation": evaluation_section,
    "model": model_section,
    "links": links_section,
}
