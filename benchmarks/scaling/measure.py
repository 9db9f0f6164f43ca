"""Measure training and evaluation on this machine: minigrid's ranks beside one process, and beside PyTorch.

All sides of a row take turns, in fresh processes. The order is reversed in every other turn, so that a slow moment of
the machine affects all of them.
"""

import os
import statistics
from typing import Any

from tqdm import tqdm

from benchmarks.scaling import sides
from benchmarks.scaling.sides import SIDES
from benchmarks.scaling.sizes import SIZES, Size
from benchmarks.versions import median_with_interval

Row = dict[str, Any]

TRAINING = ("one", "threads", "ranks", "torch", "ddp")
EVALUATION = ("threads", "ranks", "torch")
EVALUATED = Size("lstm", 2, 128)


def in_turns(job: str, size: Size, names: tuple[str, ...], turns: int, budget: float, bar: tqdm) -> Row:
    """Let the sides do a job in turns; return their times and memory, and their times relative to the ranks'."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for turn in range(turns):
        for name in names if turn % 2 == 0 else names[::-1]:
            bar.set_postfix_str(f"{job} {size} {name}")
            found[name].append(SIDES[name](job, "--size", str(size), "--budget", str(budget)))
            bar.update()
    seconds = {name: [f["seconds"] for f in figures] for name, figures in found.items()}
    ratios = {
        name: [other / own for other, own in zip(seconds[name], seconds["ranks"], strict=True)]
        for name in names
        if name != "ranks"
    }
    row: Row = {
        "size": str(size),
        "seconds": {name: statistics.median(times) for name, times in seconds.items()},
        "times_as_fast": {name: median_with_interval(values) for name, values in ratios.items()},
        "peak_bytes": {name: max(max(f["peak_bytes"]) for f in figures) for name, figures in found.items()},
    }
    if job == "train":
        exchanges = [f["exchanges"] for f in found["ranks"]]
        row["exchanges"] = {name: statistics.median(e[name] for e in exchanges) for name in exchanges[0]}
    return row


def more_ranks(size: Size, budget: float) -> dict[str, float]:
    """Return the time of a step for each number of ranks from 3 to the number of cores, doubling."""
    counts = [2**k for k in range(2, 9) if 2**k <= (os.cpu_count() or 1)]
    options = ("--size", str(size), "--budget", str(budget))
    return {str(n): sides.minigrid("train", *options, ranks=n)["seconds"] for n in counts}


def training(quick: bool, turns: int) -> dict[str, Any]:
    """Measure training steps of all sizes."""
    sizes, turns, budget = (SIZES[::3], 2, 0.3) if quick else (SIZES, turns, 0.4)
    with tqdm(total=len(sizes) * turns * len(TRAINING), desc="training") as bar:
        rows = [in_turns("train", size, TRAINING, turns, budget, bar) for size in sizes]
    for row in rows:
        row["more_ranks"] = more_ranks(Size.parse(row["size"]), budget)
    return {"turns": turns, "rows": rows}


def evaluation(quick: bool, turns: int) -> dict[str, Any]:
    """Measure the evaluation of a minibatch."""
    turns = 2 if quick else turns
    with tqdm(total=turns * len(EVALUATION), desc="evaluation") as bar:
        row = in_turns("evaluate", EVALUATED, EVALUATION, turns, 0.5, bar)
    return {"turns": turns, "rows": [row]}
