"""Measure cases on a GPU, and print a line of JSON for each as soon as it is measured.

``python -m benchmarks.gpu.measure --sides minigrid,eager --precisions float32 lstm:2x128 grid:3x512:B=200``
measures case after case; sides are those of sides.py, and the side ``floor`` has cases of its own,
``floor:1xSIZE``. Cases share a process, but one that fails or does not answer in time costs only itself: a new
process does the rest. The exit code is 1 if a case has no figures.
"""

import argparse
import itertools
import json
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from benchmarks.gpu.sides import PRECISIONS, SIDES, WITH_CUPY, Case

ROOT = Path(__file__).parent.parent.parent

WORKER = (sys.executable, "-m", "benchmarks.gpu.worker")

Job = tuple[str, str, str]
"""Side, precision, case."""


class NoAnswerError(Exception):
    """A worker has ended, or has said nothing for too long; says which."""


class TimeIsUpError(BaseException):
    """This process has been told to end."""


class Worker:
    """A process that measures jobs one after the other, see worker.py."""

    def __init__(self, jobs: list[Job], options: list[str]):
        command = [*WORKER, *options, *map("/".join, jobs)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def answer(self, patience: float) -> dict[str, Any]:
        """Wait for the next line of JSON, so many seconds at most.

        Raises
        ------
        NoAnswerError
            There is none, or none in time.
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
            sys.stderr.write(line)  # a library has printed something

    def end(self) -> int:
        """Kill the process if it still runs; return its exit code."""
        if self._process.poll() is None:
            self._process.kill()
        return self._process.wait()


def say(line: dict[str, Any]) -> None:
    """Print a line of JSON, at once."""
    print(json.dumps(line), flush=True)


def failed(jobs: list[Job], error: str) -> None:
    """Print a line for each of some jobs that have no figures."""
    for side, precision, text in jobs:
        say({"side": side, "precision": precision, "case": text, "error": error})


def measure(jobs: list[Job], options: list[str], patience: float, patience_at_start: float = 60) -> bool:
    """Print a line for each job, its figures or an error; begin a new process after an error.

    Returns whether there are figures for all of them.
    """
    left, complete = jobs, True
    while left:
        worker = Worker(left, options)
        lost = left  # where it cannot even start, a second one cannot either
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
            failed(left, "not done when the time was up")
            raise
        finally:
            worker.end()
    return complete


def batches(jobs: list[Job]) -> list[list[Job]]:
    """Cut jobs into runs that can share a process: CuPy reads once which precision it is to have."""

    def process(job: Job) -> tuple[bool, str, str]:
        side, precision, text = job
        # a profiler slows down what comes after it
        return side in WITH_CUPY, precision if side in WITH_CUPY else "", text if side == "profile" else ""

    return [list(run) for _, run in itertools.groupby(sorted(jobs, key=lambda job: not process(job)[0]), process)]


def names(allowed: tuple[str, ...]) -> Any:
    """Return what reads a list of names with commas."""

    def read(text: str) -> list[str]:
        if unknown := set(text.split(",")) - set(allowed):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(allowed)}")
        return text.split(",")

    return read


def case(text: str) -> str:
    """Check the text of a case."""
    try:
        Case.parse(text)
    except (ValueError, TypeError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a case such as lstm:2x128 or grid:3x512:B=200,T=150"
        ) from error
    return text


def time_is_up(*_: object) -> None:
    """Stop, as the signal of an outer ``timeout`` asks for, leaving no worker behind."""
    raise TimeIsUpError


def main() -> None:
    """Measure what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", type=case, metavar="MODEL:LAYERSxUNITS[:B=..,T=..]")
    parser.add_argument("--sides", type=names(tuple(SIDES)), default=["minigrid"], help=", ".join(SIDES))
    parser.add_argument("--precisions", type=names(PRECISIONS), default=["float32"], help=", ".join(PRECISIONS))
    parser.add_argument("--budget", type=float, default=0.6, help="seconds to measure each case for (default 0.6)")
    parser.add_argument("--patience", type=float, default=25, help="seconds until a case is given up (default 25)")
    parser.add_argument("--device", default="cuda", help='PyTorch\'s device (default "cuda"; "cpu" to rehearse)')
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
