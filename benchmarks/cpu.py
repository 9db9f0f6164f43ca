"""Measure the speed and memory of minigrid and of its peers on a CPU, and write a page.

``python -m benchmarks.cpu`` takes about 25 minutes on an otherwise idle machine, and ``--quick`` two. The peers need
PyTorch (``pip install torch``). Every measurement runs in a process of its own, and the sides alternate, so that a slow
moment of the machine affects all of them. Run ``python -m docs.fill_readme`` to update the README afterwards.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.helpers.tables import PAGE, RESULTS, Case, page, read_results, size
from minigrid.data.corpora import data_folder

ROOT = Path(__file__).parent.parent
SIZES = {
    "lstm": ((2, 128), (3, 256), (3, 512), (6, 256), (3, 1000)),
    "grid": ((2, 128), (3, 256), (3, 512), (6, 256)),
}
BUDGET = 3.0  # seconds per measurement
SAMPLED = ((2, 128), (3, 512))
GROWTH = {"T": (25, 50, 100, 200), "B": (10, 25, 50, 100), "H": (64, 128, 256, 512), "L": (1, 2, 4, 8)}


def cases(quick: bool, compiled: bool) -> list[Case]:
    """Return the cases to measure: each is a job at one size, with the sides that do it."""
    peers = {"lstm": ["torch"], "grid": ["expert", "cells"] + (["compiled"] if compiled else [])}
    found = [
        {"model": model, "job": "train", "L": L, "H": H, "sides": ["minigrid", "floor", *peers[model]]}
        for model, sizes in SIZES.items()
        for L, H in sizes[: 2 if quick else None]
    ]
    for (L, H), model in itertools.product(SAMPLED[: 1 if quick else None], ("lstm", "grid")):
        peer = "torch" if model == "lstm" else "expert"
        found += [
            {"model": model, "job": job, "L": L, "H": H, "sides": ["minigrid", peer]} for job in ("eval", "sample")
        ]
    return found


def measure(side: str, model: str, job: str, budget: float, **sizes: int) -> dict[str, float]:
    """Run one measurement in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.helpers.measure", side, model, job, "--budget", str(budget)]
    command += [f"--{name}={value}" for name, value in sizes.items()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def in_turns(case: Case, turns: int, budget: float) -> Case:
    """Measure the sides of a case `turns` times each, alternating; return medians and the spread of the ratios."""
    sizes = {name: case[name] for name in "TBHLV" if name in case}
    rounds = [{s: measure(s, case["model"], case["job"], budget, **sizes) for s in case["sides"]} for _ in range(turns)]
    seconds = {s: [r[s]["median"] for r in rounds] for s in case["sides"]}
    ratios = {s: sorted(r[s]["median"] / r["minigrid"]["median"] for r in rounds) for s in case["sides"]}
    return case | {
        "seconds": {s: statistics.median(values) for s, values in seconds.items()},
        "times_as_fast": {s: {"median": statistics.median(v), "low": v[0], "high": v[-1]} for s, v in ratios.items()},
        "peak_bytes": {s: max(r[s]["peak_bytes"] for r in rounds) for s in case["sides"]},
    }


def growth(budget: float) -> list[Case]:
    """Measure the training step of minigrid's grid of 2 x 128, T = B = 50, with one size changed at a time."""
    found = []
    for name, values in GROWTH.items():
        for value in values:
            result = measure("minigrid", "grid", "train", budget, **{name: value})
            found.append({name: value, "seconds": result["median"], "peak_bytes": result["peak_bytes"]})
    return found


def start_up(repeats: int = 10) -> float:
    """Return the median time that ``from minigrid import CharModel`` adds to the start of Python, in seconds."""

    def once(code: str) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
        return time.perf_counter() - started

    return statistics.median(once("from minigrid import CharModel") - once("pass") for _ in range(repeats))


def loading() -> dict[str, dict[str, float]]:
    """Measure loading a text of 100 MB, first from the file and then from the cache of encoded texts."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / f"benchmark-{os.getpid()}.txt"
        command = [sys.executable, "-m", "benchmarks.helpers.loading", text]
        how = {"cwd": ROOT, "check": True}
        subprocess.run([*command, "--make"], **how)
        try:
            return {
                name: json.loads(subprocess.run(command, capture_output=True, text=True, **how).stdout)
                for name in ("first", "cached")
            }
        finally:
            for file in (data_folder() / "encoded").glob(f"{text.stem}-*"):  # the cache is the user's
                file.unlink()


def machine() -> dict[str, Any]:
    """Return the processor and the versions.

    Raises
    ------
    SystemExit
        PyTorch is not installed.
    """
    cpu = next(
        (line.split(":")[1].strip() for line in cpu_info() if line.startswith("model name")), platform.processor()
    )
    found = {"cpu": cpu, "cores": os.cpu_count(), "python": platform.python_version(), "numpy": np.__version__}
    try:
        import torch

        found["torch"] = torch.__version__
    except ImportError:
        raise SystemExit("the peers need PyTorch: pip install torch") from None
    return found


def cpu_info() -> list[str]:
    """Return the lines of /proc/cpuinfo; none if there is no such file."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def name_of(case: Case) -> str:
    """Return job, model and size, as in the table: ``train lstm 2x128``."""
    return f"{case['job']} {case['model']} {size(case)}"


def measured_again(only: str, turns: int) -> dict[str, Any]:
    """Return the committed results with one case measured again.

    Raises
    ------
    SystemExit
        The results are those of another machine, or there is no such case.
    """
    results = read_results()
    if results["machine"] != machine():
        raise SystemExit("benchmarks/cpu.json was measured on another machine: measure everything, without --only")
    matching = [k for k, case in enumerate(results["cases"]) if name_of(case) == only]
    if not matching:
        raise SystemExit(f"there is no case {only!r}: choose from {', '.join(map(name_of, results['cases']))}")
    sides_and_sizes = ("model", "job", "L", "H", "sides")
    for k in matching:
        case = {key: results["cases"][k][key] for key in sides_and_sizes}
        results["cases"][k] = in_turns(case, turns, BUDGET)
    return results


def main() -> None:
    """Measure, write ``cpu.json`` and ``cpu.md``, and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="measure two sizes in two turns, and write no files")
    parser.add_argument(
        "--compiled", action="store_true", help="measure the expert's grid under torch.compile too (minutes each)"
    )
    parser.add_argument("--only", metavar="CASE", help="measure one case again, such as 'train lstm 3x1000'")
    parser.add_argument("--turns", type=int, default=4, help="measurements of each side (default: 4)")
    args = parser.parse_args()
    if args.only:
        results = measured_again(args.only, args.turns)
    else:
        turns, budget = (2, 1.0) if args.quick else (args.turns, BUDGET)
        results = {
            "machine": machine(),
            "turns": turns,
            "start_up_seconds": start_up(),
            "loading": loading(),
            "cases": [in_turns(case, turns, budget) for case in tqdm(cases(args.quick, args.compiled))],
            "growth": [] if args.quick else growth(budget),
        }
    if not args.quick:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        PAGE.write_text(page(results))
    print(page(results))


if __name__ == "__main__":
    main()
