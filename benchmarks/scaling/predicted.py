"""The predictions for clusters, and their check on simulated links, as Markdown."""

from collections.abc import Iterator
from textwrap import dedent
from typing import Any

from benchmarks.scaling import model
from benchmarks.scaling.cells import ms, shown, wrapped
from benchmarks.scaling.predictions import SPEEDS, STRONG, WEAK, alternatives, links, read_work, scaling
from docs.markdown import table

Results = dict[str, Any]
Row = dict[str, Any]

PICTURE = "scaling.png"

LIMIT = 0.25
"""Largest error of a prediction that counts as met."""

MODEL = """The time of a step on N ranks, predicted from figures that were measured on two cores. No cluster was
measured. Every rank is a machine with one core and its own connection to a switch. The formula, from
[benchmarks/scaling/model.py](scaling/model.py), for a batch of B columns and P parameters, V = 4 P bytes:"""

ALGORITHMS = f"""The ranks exchange parameters by {model.GATHER.capitalize()}. The latencies are those of the algorithms
that MPICH 5 chooses at these sizes. Alltoallv ("scattered") starts sends and receives for 32 ranks at a time. Allgather
of a few bytes takes one round for each doubling ("recursive doubling", or "Bruck" if N is not a power of 2). Allgatherv
("ring") passes on pieces of 32 KiB, each of which waits for the one before."""

LINKS = """Each rank has a network namespace of its own, and a program passes packets between them at the speed and with
the delay of the row. Latency, bandwidth and the work of a core were measured beforehand, without a limit. Where there
are more ranks than cores, they sleep as long as the computation would take, so these rows check the exchange only. The
error is that of the prediction, relative to the measured time."""


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
            f"![Efficiency against the number of ranks]({PICTURE})",
            f"Fixed batch: {STRONG} columns, shared by the ranks. Each cell: milliseconds of a step, and efficiency.",
            table(["", "ranks", *SPEEDS], predicted(results, strong=True)),
            f"Fixed columns per rank: {WEAK} on each, so that the batch grows with the ranks.",
            table(["", "ranks", *SPEEDS], predicted(results, strong=False)),
            wrapped(ALTERNATIVES),
            table(["10 Gbit/s", "ranks", "Alltoallv", "Allgatherv", "Allreduce"], other_ways(results)),
        ]
    )


ALTERNATIVES = """Milliseconds of the same steps of the fixed batch, with the parameters exchanged in either way, and
with an Allreduce of whole gradients (Rabenseifner's algorithm), after which every rank updates all parameters.
`benchmarks.exchange` measures that on one machine."""


def formula() -> str:
    """Return the formula of the model, from its documentation."""
    return dedent(model.__doc__.split("::\n\n")[1].split("\n\n")[0])


def link_sentence(results: Results) -> str:
    """Return what was measured of messages."""
    measured = results["model"]
    link, direct = measured["simulated"], measured["direct"]
    return (
        f"Measured with MPICH over TCP: a latency of {link['latency'] * 1e6:.0f} µs over a simulated link "
        f"({direct['latency'] * 1e6:.0f} µs within the kernel), {direct['gap'] * 1e6:.1f} µs for each further message "
        f"of a burst, and at most {direct['bandwidth'] / 1e9:.1f} GB/s. So 100 Gbit/s need network cards that copy "
        f"by themselves (RDMA), whose latency would be lower too. A link carries {model.PAYLOAD:.0%} payload. The "
        "table has milliseconds for the gradients of some numbers of columns; in between, the time changes linearly."
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
            yield [shown(size), str(row[0].ranks), *(f"{ms(p.seconds)}, {p.efficiency:.0%}" for p in row)]


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
    rows = found["rows"]
    header = ["", "ranks", "computation", "parameters by", "Mbit/s", "delay, ms", "predicted, ms", "measured, ms"]
    return "\n\n".join([*parts, wrapped(summary(rows)), table([*header, "error", "met"], map(link_row, rows))])


def summary(rows: list[Row]) -> str:
    """Return how many predictions are met, and what the ranks have sent."""
    run = [row for row in rows if "not_run" not in row]
    text = f"{sum(map(is_met, rows))} of {len(rows)} predictions are within {LIMIT:.0%} of the measured time."
    if len(run) < len(rows):
        text += f" {len(rows) - len(run)} could not be measured."
    if run:
        extra = [row["bytes_per_step"] / row["expected_bytes"] - 1 for row in run]
        cpu = [row["cpu_per_step"] / row["measured"] for row in run]
        text += (
            f" By the counters of their network devices, the ranks sent {min(extra):.1%} to {max(extra):.1%} more "
            "bytes than the exchange has: headers and acknowledgements. The program that passes packets took "
            f"{min(cpu):.0%} to {max(cpu):.0%} of a core."
        )
    return text


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
        *(["not run", ""] if "not_run" in row else [ms(row["measured"]), f"{row['error']:+.0%}"]),
        "yes" if is_met(row) else "no",
    ]


def is_met(row: Row) -> bool:
    """Return whether a step was measured and the prediction is within the limit."""
    return "not_run" not in row and abs(row["error"]) <= LIMIT
