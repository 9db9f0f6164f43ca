"""Time repetitions of a job on which several processes may have to agree."""

import os
import statistics
import sys
import time
from collections.abc import Callable


def figures(
    job: Callable[[], object],
    budget: float,
    first: Callable[[Callable[[], int]], int] = lambda count: count(),
) -> dict[str, float]:
    """Repeat a job for about `budget` seconds, but at least once.

    One or two more come first: the first one also allocates memory, and unless it takes longer than the budget, another
    one tells how many fit.

    Parameters
    ----------
    job : callable
        The job.
    budget : float
        Seconds.
    first : callable
        Calls a function in the first of several processes, and returns in all of them what it returns there.

    Returns
    -------
    dict
        ``seconds`` for one repetition: the median over pairs of consecutive ones, if they are short. (If one of two
        processes is ahead, an exchange makes it wait, and after that the other one is ahead, so that long and short
        steps alternate; the difference is a few latencies.) ``timed`` and ``repetitions``: how many were timed, and how
        many there were in all.
    """
    untimed = [_seconds(job)]
    if first(lambda: untimed[0] <= budget):
        untimed.append(_seconds(job))
    pairs = first(lambda: 0 if untimed[-1] > 2 * budget else max(1, round(budget / untimed[-1] / 2)))
    times = [(_seconds(job) + _seconds(job)) / 2 for _ in range(pairs)] or [_seconds(job)]
    timed = 2 * pairs or 1
    return {"seconds": statistics.median(times), "timed": timed, "repetitions": len(untimed) + timed}


def _seconds(job: Callable[[], object]) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


def warn_if_busy() -> None:
    """Say so if other programs use the machine."""
    if (load := os.getloadavg()[0]) > 0.5:
        print(f"other programs use this machine (load average {load:.1f}), so the figures will be off", file=sys.stderr)
