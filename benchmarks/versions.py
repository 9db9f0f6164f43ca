"""Compare the training step of this checkout with that of another one, on a CPU.

``python -m benchmarks.versions OTHER`` needs a folder with another checkout of minigrid (``git worktree add OTHER
COMMIT`` makes one). The two take turns with the same model and minibatch, so that a slow moment of the machine affects
both. Every turn has a process of its own: where a process happens to find its memory changes its speed by up to 2 %,
for as long as it runs. A ratio above 1 means that this checkout is faster. The parameters after the last step are
compared too. It takes about seven minutes on an otherwise idle machine.
"""

import argparse
import hashlib
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
SIZES = ("lstm:2x128", "grid:2x128", "lstm:3x256", "grid:3x256", "lstm:3x512", "grid:3x512")
SECONDS = 0.5  # per turn


def answer(size: str) -> None:
    """For each number on standard input, do that many training steps and print the time per step; then a digest."""
    import numpy as np

    from minigrid import CharModel, TrainStep

    kind, layers, hidden = size.replace(":", "x").split("x")
    step = TrainStep(CharModel(kind, vocab_size=65, hidden=int(hidden), layers=int(layers)))
    x, y = np.random.default_rng(0).integers(0, 65, (2, 50, 50), "int32")
    for line in sys.stdin:
        started = time.perf_counter()
        for _ in range(int(line)):
            step(x, y)
        print((time.perf_counter() - started) / int(line), flush=True)
    print(hashlib.sha256(step.model.params.flat.tobytes()).hexdigest())


class Side:
    """A process that runs the training steps of one checkout."""

    def __init__(self, checkout: Path, size: str):
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--answer", size],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(checkout)},
        )

    def seconds(self, steps: int) -> float:
        """Do this many training steps; return the time per step."""
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def digest(self) -> str:
        """End the process and return the digest of its parameters."""
        return self._process.communicate()[0].strip()


def median_with_interval(numbers: list[float]) -> tuple[float, float, float]:
    """Return the lower end of the 95 % interval of the median, the median, and the upper end.

    The ends of the interval are two of the numbers.
    """
    ordered, count = sorted(numbers), len(numbers)
    k = max(0, math.floor((count - 1.96 * math.sqrt(count)) / 2))
    return ordered[k], statistics.median(ordered), ordered[-1 - k]


def compare(size: str, other: Path, pairs: int) -> str:
    """Return a row of the table."""
    times, digests, steps = [], set(), None
    for turn in range(pairs):
        own_first = turn % 2 == 1  # it also starts and warms up first
        sides = [Side(checkout, size) for checkout in ((ROOT, other) if own_first else (other, ROOT))]
        warm_up = [side.seconds(3) for side in sides]
        steps = steps or max(1, round(SECONDS / min(warm_up)))  # the same number in every turn
        seconds = [side.seconds(steps) for side in sides]
        times.append(seconds if own_first else seconds[::-1])
        digests |= {side.digest() for side in sides}
    low, median, high = median_with_interval([theirs / own for own, theirs in times])
    own, theirs = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
    same = "the same" if len(digests) == 1 else "different"
    return f"| {size} | {own:.2f} | {theirs:.2f} | {median:.3f} ({low:.3f} to {high:.3f}) | {same} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="folder with another checkout")
    parser.add_argument("--pairs", type=int, default=20, help="turns of each checkout (default: 20)")
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="MODEL:LAYERSxUNITS (default: %(default)s)")
    args = parser.parse_args()
    if not (args.other / "minigrid").is_dir():
        parser.error(f"{args.other} has no folder minigrid: give the folder of a checkout")
    print("| training step | this checkout, ms | the other one, ms | times as fast (95 % interval) | parameters |")
    print("|---|---|---|---|---|")
    for size in args.sizes:
        print(compare(size, args.other.resolve(), args.pairs), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--answer"]:
        answer(sys.argv[2])
    else:
        main()
