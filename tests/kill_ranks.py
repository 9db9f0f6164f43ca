"""Kill one process of a launch at random moments, and check what becomes of the others: ``python kill_ranks.py``.

Runs of two and three processes are stopped several times, from before their first import to after their last save, and
continued with as many; at the end each is compared with a run that nothing disturbed. If they differ, their folders are
kept. Most stops are a SIGKILL to one rank; the others are a SIGTERM to one rank, or a Ctrl-C to mpiexec.
"""

import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from functools import partial
from os import kill
from pathlib import Path
from typing import NamedTuple

from kill_runs import SIZES, TEXT, USUAL, Whole, in_turns, made, main
from mpi_fixtures import processes, start
from run_checks import differences, has_begun, step_of
from run_fixtures import HERE, arrays_of, write_text

OFTEN = [HERE / "often_run.py"]  # saves after every step, and draws nothing
RUNS = {
    "text": (2, OFTEN, [*TEXT, "--eval-every=25", "--max-steps=60"]),
    "three ranks": (3, OFTEN, [*TEXT, "--optimizer=adam", "--clip-norm=1", "--eval-every=20", "--max-steps=60"]),
    "addition": (2, OFTEN, ["--task=addition", "--digits=1", "--eval-every=20", "--max-steps=60"]),
    "with pictures": (2, USUAL, [*TEXT, "--eval-every=5", "--max-steps=30"]),
}
SIGNALS = [signal.SIGKILL] * 8 + [signal.SIGTERM, signal.SIGINT]
STOPS = 5
"""So often a run is stopped before it may end."""
PATIENCE = 30  # seconds that the others may go on after a stop
COLUMNS = ("runs", "SIGKILL", "SIGTERM", "SIGINT", "before a save", "at step 0", "later", "faults")


class Program(NamedTuple):
    """What trains, in how many processes."""

    ranks: int
    train: list[Path | str]
    settings: list[str]

    def start(self, here: Path, mark: str, resume: bool = False) -> subprocess.Popen:
        """Start it in a folder."""
        more = ["--resume"] if resume else [*self.settings, *SIZES]
        return start(self.ranks, *self.train, "--run=run", *more, cwd=here, mark=mark)


def undisturbed(program: Program, here: Path) -> Whole:
    """Train, and take the time."""
    began = time.monotonic()
    process = program.start(here, uuid.uuid4().hex)
    while not (here / "run" / "last.npz").exists() and process.poll() is None:
        time.sleep(0.01)
    first_save = time.monotonic() - began
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return Whole(here / "run", first_save, time.monotonic() - began)


def send(process: subprocess.Popen, mark: str, number: int) -> None:
    """Send a signal to one of the ranks, or a Ctrl-C to mpiexec; there may be no rank yet, or none any more."""
    if number == signal.SIGINT:
        process.send_signal(number)
    elif ranks := processes(mark, "--run=run"):
        ranks = [rank for rank in ranks if rank != process.pid and not is_launcher(rank)]
        if ranks:
            try:
                kill(random.choice(ranks), number)
            except ProcessLookupError:
                return


def is_launcher(number: int) -> bool:
    """Whether this is mpiexec or its helper, whose command line holds those of the ranks."""
    try:
        return (
            not Path(f"/proc/{number}/cmdline")
            .read_bytes()
            .split(b"\0")[0]
            .endswith(Path(sys.executable).name.encode())
        )
    except OSError:
        return True


def disturbed(program: Program, here: Path, whole: Whole, counts: Counter[str]) -> list[str]:
    """Train, and stop the run at random moments; count what happens, and return what is wrong."""
    last = here / "run" / "last.npz"
    for stop in range(STOPS + 1):
        step, mark = step_of(last) if last.exists() else 0, uuid.uuid4().hex
        resume = has_begun(last.parent) or (last.exists() and random.random() < 0.5)
        process, number = program.start(here, mark, resume), random.choice(SIGNALS)
        if stop < STOPS:
            rest = (whole.seconds - whole.first_save) * (1 - step / whole.steps)
            time.sleep(random.uniform(0, whole.first_save + rest))
            send(process, mark, number)
            try:
                _, err = process.communicate(timeout=PATIENCE + whole.seconds)
            except subprocess.TimeoutExpired:
                for left in processes(mark):
                    kill(left, signal.SIGKILL)
                return [f"it hangs after {number.name}"]
        else:
            _, err = process.communicate(timeout=600)
        if left := still_there(mark):
            return [f"processes {left} are left after {number.name}"]
        if process.returncode == 0:
            return differences(here / "run", whole.folder)
        counts[number.name] += 1
        counts["before a save" if not last.exists() else "at step 0" if step_of(last) == 0 else "later"] += 1
        if last.exists():
            arrays_of(last)  # it is whole at any time
            if step_of(last) < step:
                return [f"steps {step_of(last)} to {step} are lost after {number.name}"]
        if "Traceback" in err and "KeyboardInterrupt" not in err and "ImportError" not in err:
            return [f"after {number.name}: {err}"]
    return ["it does not end"]


def still_there(mark: str) -> list[int]:
    """The processes of a launch that are alive five seconds after its end."""
    deadline = time.monotonic() + 5
    while (found := processes(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def kill_ranks(kills: int, base: Path) -> int:
    """Stop runs of all kinds until there were so many kills; return the faults."""
    write_text(base)
    programs = {name: Program(*run) for name, run in RUNS.items()}
    wholes = {name: undisturbed(program, made(base / f"whole {name}")) for name, program in programs.items()}
    return in_turns(
        kills, base, {name: partial(disturbed, programs[name], whole=wholes[name]) for name in RUNS}, COLUMNS
    )


if __name__ == "__main__":
    sys.exit(main(__doc__, kill_ranks, kills=100))
