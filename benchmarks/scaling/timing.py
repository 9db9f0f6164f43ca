"""Time repetitions of a job on which several processes may have to agree."""

import statistics
import time
from collections.abc import Callable

UNTIMED = 2
"""Repetitions before those that count; the first one also allocates memory."""


def figures(
    job: Callable[[], object],
    budget: float,
    first: Callable[[Callable[[], int]], int] = lambda count: count(),
) -> dict[str, float]:
    """Repeat a job for about `budget` seconds, but at least twice.

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
        ``seconds`` for one repetition: the median over pairs of consecutive ones. (If one of two processes is ahead,
        an exchange makes it wait, and after that the other one is ahead, so that long and short steps alternate.)
        ``repetitions``: their number, with those that came first.
    """
    for _ in range(UNTIMED):
        started = time.perf_counter()
        job()
        each = time.perf_counter() - started
    pairs = first(lambda: max(1, round(budget / each / 2)))
    times = []
    for _ in range(pairs):
        started = time.perf_counter()
        job()
        job()
        times.append((time.perf_counter() - started) / 2)
    return {"seconds": statistics.median(times), "repetitions": UNTIMED + 2 * pairs}
