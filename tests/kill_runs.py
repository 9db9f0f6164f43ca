"""Kill training runs at random moments, and check how they end: ``python kill_runs.py --kills 500``.

Each run is a process of its own, as those of users are. It is stopped several times, from before its first import to
after its last save, and continued; at the end it is compared with a run that nothing disturbed. If they differ, their
folders are kept.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from run_checks import differences, has_begun, step_of
from run_fixtures import CHILD, HERE, PROJECT, arrays_of, write_text

from minigrid.files import is_unfinished

OFTEN = [HERE / "stopped_run.py", "slowly", "10", "train"]  # saves after every step, and draws nothing
USUAL = [PROJECT / "train.py"]
SIZES = ["--hidden=8", "--batch=4", "--dropout=0.2"]
TEXT = ["--data=../text.txt", "--steps=6"]
RUNS = {
    "text": (OFTEN, [*TEXT, "--eval-every=25", "--max-steps=60"]),
    "nothing held out": (OFTEN, [*TEXT, "--val-fraction=0", "--optimizer=adam", "--max-steps=60"]),
    "addition": (OFTEN, ["--task=addition", "--digits=1", "--eval-every=20", "--max-steps=60"]),
    "from another run": (OFTEN, ["--init-from=../old/run", *TEXT, "--eval-every=20", "--max-steps=40"]),
    "with pictures": (USUAL, [*TEXT, "--eval-every=5", "--max-steps=30"]),
}
SIGNALS = [signal.SIGKILL] * 8 + [signal.SIGINT, signal.SIGTERM]
COLUMNS = ("runs", "SIGKILL", "SIGINT", "SIGTERM", "before a save", "at step 0", "later", "in a save", "faults")
STOPS = 6
"""So often a run is stopped before it may end."""
PATIENCE = 600  # seconds


class Program(NamedTuple):
    """What trains, and how to tell it to start."""

    train: list[Path | str]
    settings: list[str]

    def start(self, here: Path, resume: bool = False) -> subprocess.Popen:
        """Start it in a folder; it heeds a Ctrl-C, even if this script runs in the background."""
        return subprocess.Popen(
            [sys.executable, *self.train, "--run=run", *(["--resume"] if resume else [*self.settings, *SIZES])],
            cwd=here,
            env=os.environ | CHILD,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


class Whole(NamedTuple):
    """A run that nothing disturbed."""

    folder: Path
    first_save: float  # seconds after its start
    seconds: float

    @property
    def steps(self) -> int:
        """Steps from its start to its end."""
        return step_of(self.folder / "last.npz")


def undisturbed(program: Program, here: Path) -> Whole:
    """Train, and take the time."""
    began = time.monotonic()
    process = program.start(here)
    while not (here / "run" / "last.npz").exists() and process.poll() is None:
        time.sleep(0.01)
    first_save = time.monotonic() - began
    err = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0, err
    return Whole(here / "run", first_save, time.monotonic() - began)


def in_import(err: str) -> bool:
    """Whether a Ctrl-C came while Python itself started, or in the imports of a script that does not handle it."""
    return err.startswith("Fatal Python error: init_") or ("stopped_run.py" in err and "ImportError" in err)


def disturbed(program: Program, here: Path, whole: Whole, counts: Counter[str]) -> list[str]:
    """Train, and stop the process at random moments; count what happens, and return what is wrong."""
    last = here / "run" / "last.npz"
    for stop in range(STOPS + 1):
        step = step_of(last) if last.exists() else 0
        resume = has_begun(last.parent) or (last.exists() and random.random() < 0.5)
        process, number = program.start(here, resume), random.choice(SIGNALS)
        if stop < STOPS:
            rest = (whole.seconds - whole.first_save) * (1 - step / whole.steps)
            time.sleep(random.uniform(0, whole.first_save + rest))
            process.send_signal(number)
        err = process.communicate(timeout=PATIENCE)[1]
        if process.returncode == 0:
            return differences(here / "run", whole.folder)
        if process.returncode not in (130, -number) and not in_import(err):
            return [f"exit code {process.returncode} after {number.name}: {err}"]
        counts[number.name] += 1
        counts["before a save" if not last.exists() else "at step 0" if step_of(last) == 0 else "later"] += 1
        counts["in a save"] += any(map(is_unfinished, here.rglob("*")))
        if last.exists():
            arrays_of(last)  # it is whole at any time
    return ["it does not end"]


def kill_runs(kills: int, base: Path) -> int:
    """Stop runs of all kinds until there were so many kills; return the faults."""
    write_text(base)
    undisturbed(Program(USUAL, [*TEXT, "--max-steps=3"]), made(base / "old"))
    programs = {name: Program(*run) for name, run in RUNS.items()}
    wholes = {name: undisturbed(program, made(base / f"whole {name}")) for name, program in programs.items()}
    return in_turns(
        kills, base, {name: partial(disturbed, programs[name], whole=wholes[name]) for name in RUNS}, COLUMNS
    )


def in_turns(kills: int, base: Path, runs: dict[str, Callable[..., list[str]]], columns: Sequence[str]) -> int:
    """Disturb runs of all kinds, in turn, until there were so many kills; print a table, and return the faults.

    Each kind is a function that trains in the folder `here`, adds to `counts`, and returns what is wrong.
    """
    tables: dict[str, Counter[str]] = {name: Counter() for name in runs}
    done = 0
    while sum(table["SIGKILL"] for table in tables.values()) < kills:
        name = list(runs)[done % len(runs)]
        here, counts, done = made(base / f"{done} {name}"), tables[name], done + 1
        faults = runs[name](here=here, counts=counts)
        counts["runs"] += 1
        counts["faults"] += len(faults)
        for fault in faults:
            print(f"{here}: {fault}", flush=True)
        if not faults:
            shutil.rmtree(here)
    print(f"{'':18}" + "".join(f"{column:>{len(column) + 3}}" for column in columns))
    total = sum(tables.values(), Counter())
    for name, counts in [*tables.items(), ("all", total)]:
        print(f"{name:18}" + "".join(f"{counts[column]:>{len(column) + 3}}" for column in columns))
    return total["faults"]


def made(folder: Path) -> Path:
    """Make a folder."""
    folder.mkdir()
    return folder


def main(description: str | None, kill: Callable[[int, Path], int], kills: int) -> int:
    """Run a script that kills at random moments, by default so many times; return its exit code."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--kills", type=int, default=kills, metavar="N", help="number of SIGKILLs (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the moments (default: 0)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="new folder to train in (default: a temporary one)")
    options = parser.parse_args()
    random.seed(options.seed)
    base = made(options.out) if options.out else Path(tempfile.mkdtemp())
    started = time.monotonic()
    faults = kill(options.kills, base)
    print(f"{time.monotonic() - started:,.0f} seconds, seed {options.seed}")
    if not faults:
        shutil.rmtree(base)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(__doc__, kill_runs, kills=500))
