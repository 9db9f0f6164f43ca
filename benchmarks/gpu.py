"""Check minigrid on a GPU, then measure it beside its peers, and write JSON and a table.

``python -m benchmarks.gpu``, on a machine with an NVIDIA GPU that does nothing else, with cupy and PyTorch with CUDA
installed; meant to take less than ten minutes. Each side is written down as soon as it is measured; where the command
was cut off or a peer failed, ``--go-on`` measures the rest. ``--quick`` measures the smallest sizes only and writes
nothing. *It has not been run on a GPU yet.*

Beside the peers stands minigrid itself with the recurrence done step by step (``steps``), not on the chip. The floor is
the larger of two times: the products of a training step at the rate of one large product, and all of its arrays written
and read once at the rate of a copy. Both rates are measured in the same run.
"""

import argparse
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.floor import operations
from benchmarks.gpu_side import OURS, PRECISIONS, SIDES, Case, versions
from minigrid import UserError
from minigrid.backend import choose_device

HERE = Path(__file__).parent
SIZES = {"lstm": ((2, 128), (2, 512), (3, 1000)), "grid": ((2, 128), (3, 512), (6, 1000))}
NEEDED = ("floor", *OURS)  # without which there is no table
PEERS = {"lstm": ("steps", "torch"), "grid": ("steps", "expert", "compiled", "cells")}
TARGETS = {"torch": 1.0, "expert": 1.2, "compiled": 1.2, "cells": 5.0}
ALLOWED = {"float32": 3e-6, "tf32": 3e-3}  # relative error of a gradient
GROWTH = {"B": (50, 200, 1000), "T": (50, 150, 500)}
USUAL = {"T": 50, "B": 50, "V": 205}
PATIENCE = 300  # seconds, for the tests and for each side


class ProcessError(Exception):
    """A process that has failed, or has not ended in time; says which one, and what it wrote."""


def run(name: str, *command: str, **how: Any) -> str | None:
    """Run Python with these arguments; return what it printed if that is captured."""
    try:
        done = subprocess.run([sys.executable, *command], cwd=HERE.parent, timeout=PATIENCE, check=False, **how)
    except subprocess.TimeoutExpired as error:
        raise ProcessError(f"{name}: not done after {PATIENCE} s") from error
    if done.returncode:
        raise ProcessError(f"{name}: failed\n{done.stderr or ''}".rstrip())
    return done.stdout


def cases_of(side: str, quick: bool) -> list[Case]:
    """What one side measures."""
    models = [model for model in SIZES if side == "minigrid" or side in PEERS[model]]
    found = [
        {"model": model, "L": L, "H": H, **USUAL} for model in models for L, H in SIZES[model][: 1 if quick else None]
    ]
    if side in ("minigrid", "expert") and not quick:
        grown = [{name: value} for name, values in GROWTH.items() for value in values if value != USUAL[name]]
        found += [{"model": "grid", "L": 3, "H": 512, **USUAL, **change} for change in grown]
    return found


def check() -> None:
    """Run the tests that need a GPU; stop where one fails, or where there is no GPU."""
    try:
        choose_device("cupy")
    except UserError as error:
        raise SystemExit(str(error)) from error
    try:
        run("the tests on the GPU", "-m", "pytest", "-m", "gpu", "-rs")
    except ProcessError as error:
        raise SystemExit(f"{error}; nothing was measured") from error


def measure(side: str, precision: str, quick: bool) -> dict[str, Any]:
    """Measure one side in a fresh process; its cases are returned with their sizes."""
    cases = [] if side == "floor" else cases_of(side, quick)
    command = ("-m", "benchmarks.gpu_side", side, precision, json.dumps(cases))
    figures = json.loads(run(f"{side}, {precision}", *command, capture_output=True, text=True).splitlines()[-1])
    return figures | {"cases": [c | f for c, f in zip(cases, figures.get("cases", []), strict=True)]}


def floor(case: Case, rates: dict[str, float]) -> float:
    """Seconds that a training step takes at least, see above; `case` is minigrid's, which knows its bytes."""
    sizes = {name: case[name] for name in "TBHLV"}
    products = operations(case["model"], **sizes) / rates["operations_per_second"]
    return max(products, 2 * case["bytes"] / rates["bytes_per_second"])


def lines_of(precision: str, sides: dict[str, dict[str, Any]]) -> list[str]:
    """Rows of the table: one for each size and peer."""
    lines = []
    for own in sides["minigrid"]["cases"]:
        size = f"{own['model']} {own['L']}x{own['H']}, T = {own['T']}, B = {own['B']}"
        share = floor(own, sides["floor"]) / own["seconds"]
        for peer in [peer for peer in PEERS[own["model"]] if peer in sides]:
            same = [c for c in sides[peer]["cases"] if all(c[name] == own[name] for name in ("model", *"LHTBV"))]
            for theirs in same:
                lines.append(
                    f"| {precision} | {size} | {own['seconds'] * 1e3:.2f} | {peer} {theirs['seconds'] * 1e3:.2f} "
                    f"| {theirs['seconds'] / own['seconds']:.2f} | {TARGETS.get(peer, '')} | {share:.0%} |"
                )
    return lines


def table(results: dict[str, Any]) -> str:
    """Write the results as Markdown."""
    versions = {
        k: v for sides in results["sides"].values() for side in sides.values() for k, v in side["versions"].items()
    }
    lines = [
        ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        "",
        "| precision | training step | minigrid, ms | peer, ms | times as fast | target | share of the floor |",
        "|---|---|---|---|---|---|---|",
    ]
    for precision, sides in results["sides"].items():
        lines += lines_of(precision, sides)
    lines.append("")
    for precision, sides in results["sides"].items():
        error = max(sides[side]["gradient_error"] for side in OURS)
        lines.append(f"Largest error of a gradient, {precision}: {error:.1e} (allowed {ALLOWED[precision]:.0e}).")
    return "\n".join(lines) + f"\n\nMeasured in {results['seconds']:.0f} s.\n"


def begun(path: Path) -> dict[str, Any]:
    """Return what an earlier call has measured.

    Raises
    ------
    SystemExit
        It measured nothing, or on another GPU.
    """
    if not path.exists():
        raise SystemExit(f"--go-on: there is no {path} to go on with; leave the option out")
    results = json.loads(path.read_text())
    before = {side["versions"]["gpu"] for sides in results["sides"].values() for side in sides.values()}
    if before - {(here := versions("minigrid")["gpu"])}:
        raise SystemExit(f"--go-on: {path} was measured on {', '.join(sorted(before))}, this is {here}; leave it out")
    return results


def main() -> None:
    """Check, measure, write ``gpu.json`` and ``gpu.md`` beside this file, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--quick", action="store_true", help="one small size of each model; nothing is written")
    how.add_argument("--go-on", action="store_true", help="measure what gpu.json lacks, checking nothing again")
    args = parser.parse_args()
    if args.go_on:
        results = begun(HERE / "gpu.json")
    else:
        check()
        results = {"sides": {}, "seconds": 0.0}
    failures = []
    for precision, side in itertools.product(PRECISIONS, SIDES):
        sides = results["sides"].setdefault(precision, {})
        if side in sides:
            continue
        print(f"{precision}, {side} ...", file=sys.stderr)
        started = time.monotonic()
        try:
            sides[side] = measure(side, precision, args.quick)
        except ProcessError as error:
            if side in NEEDED:
                raise SystemExit(str(error)) from error
            failures.append(str(error))
        results["seconds"] += time.monotonic() - started
        if not args.quick:
            (HERE / "gpu.json").write_text(json.dumps(results, indent=1) + "\n")
    if not args.quick:
        (HERE / "gpu.md").write_text(table(results))
    print(table(results))
    if failures:
        raise SystemExit("\n\n".join(failures))


if __name__ == "__main__":
    main()
