"""Measure the product of a recurrence, as NumPy computes it and in tiles (:mod:`minigrid.backend.blas`).

``python -m benchmarks.tiles`` takes seconds. It uses one BLAS thread and 25 rows, the share of one of two cores in
a batch of 50.
"""

import os
import timeit
from collections.abc import Callable

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import numpy as np

from minigrid.backend import Workspace
from minigrid.backend.blas import matmul, tiled

STEPS, ROWS = 50, 25
SIZES = (128, 256, 512)  # units
PEAK = 2048  # rows and columns of a product so large that copying does not matter


def gflops(multiply: Callable[[], object], multiplications: int, calls: int) -> float:
    """Return the best rate of seven rounds, in 10^9 floating-point operations per second."""
    seconds = min(timeit.repeat(multiply, number=calls, repeat=7)) / calls
    return 2e-9 * multiplications / seconds


def both_ways(rows: int, columns: int) -> tuple[float, float]:
    """Return the rates of a product of (25, rows) and (rows, columns), as it is and in tiles that are ready."""
    draw = np.random.default_rng(0).standard_normal
    x, W = draw((STEPS, ROWS, rows), np.float32), draw((rows, columns), np.float32)
    out = np.empty((ROWS, columns), np.float32)
    tiles = tiled(W, out, STEPS, Workspace(np, np.float32))
    work = ROWS * rows * columns
    calls = 10**9 // work
    as_it_is = gflops(lambda: np.matmul(x[0], W, out=out), work, calls)
    return as_it_is, gflops(lambda: matmul(x[0], tiles, out=out), work, calls)


def main() -> None:
    """Print the table."""
    print(f"GFLOP/s, {ROWS} rows, float32, one BLAS thread\n")
    print("| units | forward, as it is | in tiles | backward, as it is | in tiles |\n|---|---|---|---|---|")
    for units in SIZES:
        rates = *both_ways(units, 4 * units), *both_ways(4 * units, units)
        print(f"| {units} | " + " | ".join(f"{rate:.0f}" for rate in rates) + " |", flush=True)
    square = np.ones((PEAK, PEAK), np.float32)
    print(f"\na product of {PEAK}^3: {gflops(lambda: square @ square, PEAK**3, 1):.0f}")


if __name__ == "__main__":
    main()
