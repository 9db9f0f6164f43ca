"""Measure cases on a GPU, and print a line of JSON for each as soon as it is measured.

``python -m benchmarks.gpu.measure --sides minigrid,eager --precisions float32 lstm:2x128 grid:3x512:B=200``
measures one case after the other. helpers/sides.py defines the sides; the side ``floor`` has cases of its own,
``floor:1xSIZE``. Cases share a process. If a case fails or takes too long, a new process measures the remaining ones.
The exit code is 1 if a case has no figures.
"""

import argparse
import itertools
import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from benchmarks.gpu.helpers.lines import Line, say
from benchmarks.gpu.helpers.sides import PRECISIONS, SIDES, WITH_CUPY, Case

ROOT = Path(__file__).parent.parent.parent

WORKER = (sys.executable, "-m", "benchmarks.gpu.helpers.worker")

Job = tuple[str, str, str]
"""Side, precision, case."""


class NoAnswerError(Exception):
    """A worker has ended, or has not answered in time; the message says which."""


class TimeIsUpError(BaseException):
    """This process was told to stop."""


class Worker:
    """A process that measures one job after the other; see helpers/worker.py."""

    def __init__(self, jobs: list[Job], options: list[str]):
        command = [*WORKER, *options, *map("/".join, jobs)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def answer(self, patience: float) -> Line:
        """Return the next line of JSON, waiting at most `patience` seconds.

        Raises
        ------
        NoAnswerError
            The process has ended, or has not answered in time.
        """
        while True:
            try:
                line = self._lines.get(timeout=patience)
            except queue.Empty as error:
                raise NoAnswerError(f"no answer within {patience:g} s") from error
            if line is None:
                raise NoAnswerError(f"its process ended with exit code {self.end()}")
            if line.startswith("{"):
                return json.loads(line)
            sys.stderr.write(line)  # printed by a library

    def end(self) -> int:
        """Kill the process if it still runs; return its exit code."""
        if self._process.poll() is None:
            self._process.kill()
        return self._process.wait()


def failed(jobs: list[Job], error: str) -> None:
    """Print a line with an error for each of these jobs."""
    for side, precision, text in jobs:
        say({"side": side, "precision": precision, "case": text, "error": error})


def measure(jobs: list[Job], options: list[str], patience: float, patience_at_start: float = 60) -> bool:
    """Print a line with figures or an error for each job; start a new process after an error.

    Parameters
    ----------
    jobs : list
        Jobs that can share a process.
    options : list of str
        Options of the worker.
    patience, patience_at_start : float
        Seconds to wait for the figures of a job, and for the start of a process.

    Returns
    -------
    bool
        Whether all jobs have figures.
    """
    left, complete = jobs, True
    while left:
        worker = Worker(left, options)
        lost = left  # if it cannot start, neither can another one
        try:
            began = worker.answer(patience_at_start)
            if "error" in began:
                raise NoAnswerError(began["error"])
            say(began)
            while left:
                lost = left[:1]
                answer = worker.answer(patience)
                left = left[1:]
                say(answer)
                if "error" in answer:
                    complete = False
                    break
        except NoAnswerError as error:
            complete = False
            left = left[len(lost) :]
            failed(lost, str(error))
        except TimeIsUpError:
            failed(left, "not measured before the time was up")
            raise
        finally:
            worker.end()
    return complete


def batches(jobs: list[Job]) -> list[list[Job]]:
    """Group jobs that can share a process; CuPy reads its precision only once."""

    def process(job: Job) -> tuple[bool, str, str]:
        side, precision, text = job
        # a profiler slows down the jobs after it
        return side in WITH_CUPY, precision if side in WITH_CUPY else "", text if side == "profile" else ""

    return [list(run) for _, run in itertools.groupby(sorted(jobs, key=lambda job: not process(job)[0]), process)]


def names(allowed: tuple[str, ...]) -> Callable[[str], list[str]]:
    """Return a function that parses a comma-separated list of allowed names."""

    def read(text: str) -> list[str]:
        if unknown := set(text.split(",")) - set(allowed):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(allowed)}")
        return text.split(",")

    return read


def case(text: str) -> str:
    """Return the text of a case if it is valid."""
    try:
        Case.parse(text)
    except (ValueError, TypeError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a case such as lstm:2x128 or grid:3x512:B=200,T=150"
        ) from error
    return text


def time_is_up(*_: object) -> None:
    """Stop at a signal, such as that of an outer ``timeout``, and leave no worker behind."""
    raise TimeIsUpError


def main() -> None:
    """Measure the cases of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", type=case, metavar="MODEL:LAYERSxUNITS[:B=..,T=..]")
    parser.add_argument("--sides", type=names(tuple(SIDES)), default=["minigrid"], help=", ".join(SIDES))
    parser.add_argument("--precisions", type=names(PRECISIONS), default=["float32"], help=", ".join(PRECISIONS))
    parser.add_argument("--budget", type=float, default=0.6, help="seconds of measuring per case (default: 0.6)")
    parser.add_argument(
        "--patience", type=float, default=25, help="seconds after which a case is given up (default: 25)"
    )
    parser.add_argument("--device", default="cuda", help='device of PyTorch (default: "cuda"; "cpu" for a rehearsal)')
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, time_is_up)
    jobs = [
        (side, precision, text)
        for precision in args.precisions
        for text in args.cases
        for side in args.sides
        if (side == "floor") == text.startswith("floor:")
    ]
    options = [f"--budget={args.budget}", f"--device={args.device}"]
    try:
        complete = [measure(batch, options, args.patience) for batch in batches(jobs)]
    except TimeIsUpError:
        sys.exit(1)
    sys.exit(0 if all(complete) else 1)


if __name__ == "__main__":
    main()
