"""The sides of the comparison, each in fresh processes: minigrid and PyTorch, in one process and in several."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
MPIEXEC = Path(sys.executable).parent / "mpiexec"

OVER_TCP = {"MPIR_CVAR_NOLOCAL": "1", "UCX_TLS": "tcp,self"}
"""Environment in which MPICH's ranks use TCP, although they could share memory."""


def minigrid(job: str, *options: str, ranks: int = 1, threads: int = 1) -> dict[str, Any]:
    """Run :mod:`benchmarks.scaling.worker` on so many ranks of so many threads each."""
    launcher = [str(MPIEXEC), "-n", str(ranks)] if ranks > 1 else []
    return answer([*launcher, sys.executable, "-m", "benchmarks.scaling.worker", job, *options], threads)


def pytorch(job: str, *options: str, ranks: int = 1, threads: int = 1) -> dict[str, Any]:
    """Run :mod:`benchmarks.scaling.peer` in so many processes of so many threads each."""
    counts = ["--ranks", str(ranks), "--threads", str(threads)]
    return answer([sys.executable, "-m", "benchmarks.scaling.peer", job, *options, *counts], threads)


def messages() -> dict[str, Any]:
    """Measure messages between two ranks over TCP within this machine."""
    command = [str(MPIEXEC), "-n", "2", sys.executable, "-m", "benchmarks.scaling.worker", "latency"]
    return answer(command, 1, **OVER_TCP)


def answer(command: Sequence[str], threads: int, **environment: str) -> dict[str, Any]:
    """Return what a command prints, as JSON.

    Raises
    ------
    SystemExit
        It failed.
    """
    env = os.environ | {"OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)} | environment
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}{done.stdout}")
    return json.loads(done.stdout)


SIDES = {
    "one": lambda *a: minigrid(*a),
    "threads": lambda *a: minigrid(*a, threads=2),
    "ranks": lambda *a: minigrid(*a, ranks=2),
    "torch": lambda *a: pytorch(*a, threads=2),
    "ddp": lambda *a: pytorch(*a, ranks=2),
}
"""Name of a side -> function that does a job with it; all but the first use two cores."""
