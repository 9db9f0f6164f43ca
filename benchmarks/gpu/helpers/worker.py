"""Measure cases in one process, and print a line of JSON for each; :mod:`benchmarks.gpu.measure` calls it.

The first line has the time of the start and the versions. An error ends the process, because nothing that comes after
an error on a GPU can be trusted.
"""

import argparse
import contextlib
import sys
import time
import traceback
from collections.abc import Iterator

from benchmarks.gpu.helpers.lines import say
from benchmarks.gpu.helpers.sides import SIDES, Case, Setting, start


@contextlib.contextmanager
def reported(**line: str) -> Iterator[None]:
    """Turn an exception into a line with an error, and end the process."""
    try:
        yield
    except Exception as error:
        traceback.print_exc()
        say(line | {"error": f"{type(error).__name__}: {error}"[:1000]})
        sys.exit(1)


def main() -> None:
    """Measure the jobs of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("jobs", nargs="+", help="SIDE/PRECISION/CASE")
    parser.add_argument("--budget", type=float)
    parser.add_argument("--device")
    args = parser.parse_args()
    jobs = [job.split("/") for job in args.jobs]

    def how(precision: str) -> Setting:
        return Setting(precision == "tf32", args.budget, args.device)

    started = time.perf_counter()
    with reported():
        versions = start(jobs[0][0], how(jobs[0][1]))
    say({"start": round(time.perf_counter() - started, 2), "versions": versions})
    for side, precision, text in jobs:
        started = time.perf_counter()
        job = {"side": side, "precision": precision, "case": text}
        with reported(**job):
            figures = SIDES[side](Case.parse(text), how(precision))
        say(job | figures | {"took": round(time.perf_counter() - started, 2)})


if __name__ == "__main__":
    main()
