"""Compare predicted steps with steps over simulated links between machines that are parts of this one.

``python -m benchmarks.scaling.links`` needs Linux and root, and takes about three minutes on an otherwise idle machine.
Every rank has a network namespace of its own (see :mod:`benchmarks.scaling.network`), so that its messages cross a
link of a given speed and delay. First two ranks measure latency and bandwidth on a link without limits, and one process
the work of a step; the prediction for all links follows from these figures. Two ranks really compute; where there are
more ranks than cores, they sleep as long as the computation would take.
"""

import argparse
import math
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.scaling.model import GATHER, Link, Work, step_time
from benchmarks.scaling.network import Network
from benchmarks.scaling.sides import MPIEXEC
from benchmarks.scaling.sizes import BATCH, Size
from benchmarks.scaling.timing import warn_if_busy
from benchmarks.scaling.work import measured_work

Row = dict[str, Any]

RATES = (1e8, 3e8, 1e9)
DELAYS = (0.0, 1e-4, 1e-3)
LINK_FIGURES = ("latency", "bandwidth", "gap")
WORKER = [sys.executable, "-m", "benchmarks.scaling.worker"]
YIELDING = {"MPIR_CVAR_POLLS_BEFORE_YIELD": "1"}  # for more ranks than cores: they wait for messages busily


def obstacle() -> str | None:
    """Return a sentence that says why this machine cannot simulate links; None if it can."""
    if sys.platform != "linux" or os.geteuid() != 0 or not Path("/dev/net/tun").exists():
        return "simulated links need Linux, root and /dev/net/tun: run this as root, in a virtual machine or container"
    missing = [name for name in ("ip", "nsenter", "setpriv", "sysctl", "unshare") if shutil.which(name) is None]
    missing += [] if MPIEXEC.exists() else ["mpiexec"]
    if missing:
        return (
            f"simulated links need {', '.join(missing)}: install iproute2, util-linux, procps and `pip install mpich`"
        )
    return None


def plan(cores: int, quick: bool) -> list[Row]:
    """Return the rows of the table: size, ranks, speed, delay, exchange, and whether the ranks sleep."""
    lstm, grid = Size("lstm", 2, 128), Size("grid", 2, 128)
    kinds = [(lstm, 2, gather) for gather in ("alltoallv", "allgatherv")]
    kinds += [] if quick else [(lstm, 3, GATHER), (lstm, 4, GATHER), (grid, 2, GATHER)]
    rates, delays = (RATES[::2], DELAYS[::2]) if quick else (RATES, DELAYS)
    return [
        {"size": str(size), "ranks": ranks, "gather": gather, "sleeps": ranks > cores, "rate": rate, "delay": delay}
        for size, ranks, gather in kinds
        for rate in rates
        for delay in delays
    ]


def measured_link() -> Link:
    """Measure messages between two ranks over a simulated link without limits: medians of three networks."""
    found = []
    for _ in range(3):
        with Network(2) as network:
            found.append(network.run([*WORKER, "latency"]))
    return as_link({name: statistics.median(figures[name] for figures in found) for name in LINK_FIGURES})


def as_link(figures: dict[str, float]) -> Link:
    """Return the connection over which these figures were measured."""
    return Link(**{name: figures[name] for name in LINK_FIGURES})


def run(row: Row, link: Link, work: Work, budget: float) -> Row:
    """Measure a row and predict it; if the ranks fail, note why."""
    limited = link.limited(row["rate"], row["delay"])
    predicted = step_time(work, limited, row["ranks"], BATCH, row["gather"])
    command = [*WORKER, "train", "--size", row["size"], "--gather", row["gather"], "--budget", str(budget)]
    command += ["--sleep", str(predicted.compute)] if row["sleeps"] else []
    try:
        with Network(row["ranks"], row["rate"], row["delay"]) as network:
            before = network.bytes_sent()
            found = network.run(command, **(YIELDING if row["sleeps"] else {}))
            sent = [after - first for first, after in zip(before, network.bytes_sent(), strict=True)]
    except (SystemExit, subprocess.SubprocessError) as error:
        return row | {"predicted": predicted._asdict(), "not_run": str(error)}
    steps = found["repetitions"]
    return row | {
        "predicted": predicted._asdict(),
        "measured": found["seconds"],
        "exchanges": found["exchanges"],
        "error": predicted.total / found["seconds"] - 1,
        "bytes_per_step": statistics.mean(sent) / steps,
        "expected_bytes": 8 * work.parameters * (row["ranks"] - 1) / row["ranks"],
        "cpu_per_step": network.cpu_seconds / steps,
    }


def measure(quick: bool) -> dict[str, Any]:
    """Measure all rows; where that is impossible, say why."""
    if reason := obstacle():
        return {"not_run": reason}
    rows = plan(os.cpu_count() or 1, quick)
    columns = {math.ceil(BATCH / row["ranks"]) for row in rows} | {BATCH}
    works = {size: measured_work(Size.parse(size), columns, 1.0) for size in {row["size"] for row in rows}}
    link = measured_link()
    done = [run(row, link, works[row["size"]], 1.0) for row in tqdm(rows, desc="links")]
    return {"link": vars(link), "rows": done}


def main() -> None:
    """Measure, and print the table."""
    from benchmarks.scaling.predicted import links_section

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only a few links, in half a minute")
    args = parser.parse_args()
    if reason := obstacle():
        raise SystemExit(reason)
    warn_if_busy()
    print(links_section({"links": measure(args.quick)}))


if __name__ == "__main__":
    main()
