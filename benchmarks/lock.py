"""Measure what Python's interpreter lock costs a training step: two threads next to two processes.

``python -m benchmarks.lock`` takes half a minute on an otherwise idle machine with two cores. A thread or a process
computes half of a batch. Each process trains a model of its own on 25 columns and does not add up gradients with the
other one, so its time is a lower bound.
"""

import multiprocessing
import os
import statistics
import time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from minigrid import CharModel, TrainStep

BATCH, STEPS, VOCABULARY = 50, 50, 65
SIZES = (("lstm", 2, 128), ("grid", 2, 128), ("lstm", 3, 256))
REPEATS = 60


def milliseconds(size: tuple[str, int, int], columns: int, begin: Any = None) -> float:
    """Return the median time of a training step; processes that share the barrier `begin` start timing together."""
    kind, layers, hidden = size
    x, y = np.random.default_rng(0).integers(0, VOCABULARY, (2, STEPS, columns))
    step = TrainStep(CharModel(kind, vocab_size=VOCABULARY, hidden=hidden, layers=layers))
    for _ in range(5):
        step(x, y)
    if begin is not None:
        begin.wait()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        step(x, y)
        times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times)


def half(size: tuple[str, int, int], begin: Any, answers: Any) -> None:
    """Put the time of half of a batch on one thread into the queue `answers`."""
    with threadpool_limits(1):
        answers.put(milliseconds(size, BATCH // 2, begin))


def in_processes(size: tuple[str, int, int], count: int) -> float:
    """Return the time of the slowest of `count` processes that train on half of a batch at the same time."""
    context = multiprocessing.get_context("spawn")
    begin, answers = context.Barrier(count), context.Queue()
    processes = [context.Process(target=half, args=(size, begin, answers)) for _ in range(count)]
    for process in processes:
        process.start()
    slowest = max(answers.get() for _ in processes)
    for process in processes:
        process.join()
    return slowest


def main() -> None:
    """Print the table."""
    if os.cpu_count() != 2:
        raise SystemExit(f"this benchmark needs a machine with 2 cores, not {os.cpu_count()}")
    print("milliseconds per training step\n")
    print("| | whole batch, two threads | half, two processes at once | half, one process alone |\n|---|---|---|---|")
    for size in SIZES:
        kind, layers, hidden = size
        times = milliseconds(size, BATCH), in_processes(size, 2), in_processes(size, 1)
        print(f"| {kind} {layers}x{hidden} | " + " | ".join(f"{t:.1f}" for t in times) + " |", flush=True)


if __name__ == "__main__":
    main()
