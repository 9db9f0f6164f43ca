"""Start programs with ``mpiexec``, and look at their processes."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_fixtures import CHILD, PROJECT, Outcome

TRAIN = PROJECT / "train.py"
SMALL = ["--data=text.txt", "--hidden=8", "--batch=7", "--steps=6", "--backend=numpy", "--dropout=0.2"]
MARK = "MINIGRID_TEST_LAUNCH"  # an environment variable, by which the processes of a launch are found


def _mpiexec() -> str | None:
    """The launcher beside this Python, where pip puts it, or else that of the system."""
    beside = Path(sys.prefix) / "bin" / "mpiexec"
    return str(beside) if beside.exists() else shutil.which("mpiexec")


MPIEXEC = _mpiexec()
needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None, reason="needs mpi4py and mpiexec"
)


def start(count: int, *arguments: object, cwd: Path, mark: str = "", **variables: str) -> subprocess.Popen:
    """Start Python on `count` ranks, which heed a Ctrl-C even if this program runs in the background."""
    return launched(["-n", count, sys.executable, *arguments], cwd, mark, **variables)


def launched(arguments: list[object], cwd: Path, mark: str = "", **variables: str) -> subprocess.Popen:
    """Start ``mpiexec`` with arguments."""
    return subprocess.Popen(
        [str(MPIEXEC), *map(str, arguments)],
        cwd=cwd,
        env=os.environ | CHILD | {MARK: mark} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def ended(process: subprocess.Popen, seconds: float = 60) -> Outcome:
    """Wait for a launch to end. If it does not, kill it before the test fails."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Outcome(process.returncode, out, err)


def processes(mark: str, of: str = "") -> list[int]:
    """The processes of a launch that are alive, or those of them whose command line contains `of`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment, line = (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
        except OSError:  # it has just ended, or is another user's
            continue
        if f"{MARK}={mark}\0".encode() in environment and of.encode() in line and line:
            found.append(int(folder.name))
    return sorted(found)


def wait_until(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
