"""Show how the time of a training step is divided between matrix products, gates and the rest.

``python -m benchmarks.profile`` needs line_profiler (``pip install line_profiler``). That slows down every line by
about a third of a microsecond, so small models look slower than they are. It profiles one part of a batch in one
thread, as each core computes one.
"""

import argparse
import inspect
import linecache
import os
from collections import Counter
from types import FunctionType

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import numpy as np
from line_profiler import LineProfiler

from minigrid import CharModel, TrainStep
from minigrid.nn import gates, model, ops
from minigrid.nn.cells import cell, grid, lstm
from minigrid.training import optim
from minigrid.training import step as train_step

MODULES = (gates, ops, optim, cell, grid, lstm, model, train_step)
STEPS = 10
SIZES = (("lstm", 2, 128), ("grid", 2, 128), ("lstm", 3, 256), ("grid", 3, 256), ("lstm", 3, 512), ("grid", 3, 512))


def functions() -> list[FunctionType]:
    """Return all functions and methods of the modules that a training step uses."""
    found = []
    for module in MODULES:
        for thing in vars(module).values():
            if getattr(thing, "__module__", None) == module.__name__:
                members = vars(thing).values() if inspect.isclass(thing) else [thing]
                found += [f for f in members if inspect.isfunction(f)]
    return found


def kind_of(path: str, line: str) -> str | None:
    """Return whether a line of source computes products or gates; None for the rest, and for calls of these."""
    if " @ " in line or "matmul(" in line:
        return "products"
    in_gates = path == gates.__file__ and "activate(gates)" not in line
    return "gates" if in_gates else None


def shares(kind: str, layers: int, hidden: int, batch: int) -> Counter[str]:
    """Return the milliseconds per training step for each kind of work."""
    x, y = np.random.default_rng(0).integers(0, 65, (2, 50, batch))
    step = TrainStep(CharModel(kind, vocab_size=65, hidden=hidden, layers=layers))
    for _ in range(3):
        step(x, y)
    profiler = LineProfiler(*functions())
    profiler.enable()
    for _ in range(STEPS):
        step(x, y)
    profiler.disable()
    stats = profiler.get_stats()
    found = Counter(rest=0.0)
    for (path, _, name), lines in stats.timings.items():
        for number, _, time in lines:
            ms = time * stats.unit / STEPS * 1e3
            if kind := kind_of(path, linecache.getline(path, number)):
                found[kind] += ms
                found["rest"] -= ms
            if name == "TrainStep.__call__":
                found["rest"] += ms
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=25, help="columns of the part of the batch (default: 25)")
    args = parser.parse_args()
    print(f"milliseconds per training step of {args.batch} columns in one thread\n")
    print("| | products | gates | rest | products' share |\n|---|---|---|---|---|")
    for kind, layers, hidden in SIZES:
        ms = shares(kind, layers, hidden, args.batch)
        print(
            f"| {kind} {layers}x{hidden} | {ms['products']:.1f} | {ms['gates']:.1f} | {ms['rest']:.1f} "
            f"| {ms['products'] / ms.total():.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
