"""Compare two ways to compute the gradient of the embedding (:mod:`minigrid.nn.ops`): as a product and by sorting.

``python -m benchmarks.embedding`` takes a minute. It times training steps of a grid of 2 x 128, T = B = 50, and
alternates between the two ways.
"""

import statistics
import time
from unittest.mock import patch

import numpy as np

from minigrid import CharModel, TrainStep

SIZES = (65, 205, 300, 1000, 5000)  # symbols
WAYS = {"as a product": 10**9, "by sorting": 0}  # -> FEW_SYMBOLS
TURNS, STEPS = 3, 8


def milliseconds(vocab_size: int, few_symbols: int) -> float:
    """Return the median time of a training step; the first step does not count."""
    x, y = np.random.default_rng(0).integers(0, vocab_size, (2, 50, 50))
    step, times = TrainStep(CharModel(vocab_size=vocab_size, hidden=128, layers=2)), []
    with patch("minigrid.nn.ops.FEW_SYMBOLS", few_symbols):
        for _ in range(STEPS + 1):
            started = time.perf_counter()
            step(x, y)
            times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times[1:])


def main() -> None:
    """Print the table."""
    print(f"milliseconds per training step, lowest to highest of {TURNS} turns\n")
    print(f"| symbols | {' | '.join(WAYS)} |\n|---|---|---|")
    for vocab_size in SIZES:
        turns = [[milliseconds(vocab_size, few) for few in WAYS.values()] for _ in range(TURNS)]
        cells = [f"{min(way):.0f} to {max(way):.0f}" for way in zip(*turns, strict=True)]
        print(f"| {vocab_size} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
