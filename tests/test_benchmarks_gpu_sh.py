"""A rehearsal of benchmarks/gpu.sh without a GPU, in a bare copy of the working tree where some things fail or hang."""

import contextlib
import importlib.util
import math
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from host_kernels import compile_on_host

from benchmarks.gpu.helpers.lines import lines_of
from minigrid.backend.cuda.kernels import definitions, source
from minigrid.backend.cuda.recurrence import sizes

ROOT = Path(__file__).parent.parent

NAMED = ["matplotlib", "tqdm", "threadpoolctl", "torch", "pytest", "pytest-xdist", "pytest-timeout", "hypothesis"]
"""The packages of a machine with a GPU, without their dependencies; the stand-in takes the place of cupy."""

BLOCK = """
import sys


class Block:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)


sys.meta_path[:] = [Block, *(finder for finder in sys.meta_path if "editable" not in repr(finder))]
sys.path[:] = [entry for entry in sys.path if entry != {root!r}]
"""
"""A sitecustomize.py that hides packages, and all copies of minigrid except that in the current folder."""

TESTS_THAT_FAIL = """

def test_checkpoints_that_break_the_gpu(cupy):
    def broken(self):
        raise cupy.cuda.runtime.CUDARuntimeError("cudaErrorLaunchFailure")

    cupy.cuda.Device.synchronize = broken
    broken(None)


def test_checkpoints_that_fail():
    assert "sabotage" == ""
"""

SIDES_THAT_FAIL = """

def _hangs(case, how):
    if case.model == "lstm" and not how.tf32:
        time.sleep(600)
    return gradients(case, how)


def _fails(case, how):
    if case.model == "lstm" and how.tf32:
        raise RuntimeError("sabotage")
    return steps(case, how)


SIDES |= {"gradients": _hangs, "steps": _fails}
"""

TELLS_OF_A_GPU = 'echo "name, clocks"'

HANGS_AT_FIRST = f'if [ -e "$0.called" ]; then {TELLS_OF_A_GPU}; else touch "$0.called"; exec sleep 600; fi'


def canonical(name: str) -> str:
    """Return the normalized name of a package."""
    return re.sub("[-_.]+", "-", name).lower()


def hidden() -> set[str]:
    """Return what can be imported here, but not with only the packages of `NAMED` and their dependencies."""
    wanted, allowed = list(NAMED), set()
    while wanted:
        name = canonical(wanted.pop())
        if name in allowed:
            continue
        allowed.add(name)
        with contextlib.suppress(metadata.PackageNotFoundError):
            needs = [need for need in metadata.requires(name) or [] if "extra ==" not in need]
            wanted += [re.match(r"[\w.-]+", need)[0] for need in needs]
    owners = metadata.packages_distributions()
    return {name for name, of in owners.items() if not allowed & set(map(canonical, of))} - {"minigrid"}


def rehearse(plan: str, nvidia_smi: str, folder: Path) -> Path:
    """Run a plan in a bare copy of the working tree where a few things go wrong; return the folder with the results."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    copy = folder / plan
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    with (copy / "tests" / "test_gpu.py").open("a") as file:
        file.write(TESTS_THAT_FAIL)
    with (copy / "benchmarks" / "gpu" / "helpers" / "sides.py").open("a") as file:
        file.write(SIDES_THAT_FAIL)
    programs = folder / f"{plan}-programs"
    programs.mkdir()
    for name, text in {"python3": f'exec "{sys.executable}" "$@"', "nvidia-smi": nvidia_smi}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    (programs / "sitecustomize.py").write_text(BLOCK.format(blocked=hidden(), root=str(ROOT)))
    environment = {"PYTHONPATH": str(programs), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "CUPY_TF32": "1"}
    environment |= {"HOME": str(folder), "HYPOTHESIS_NO_PLUGINS": "1", "PYTEST_ADDOPTS": "-p no:randomly"}
    how = {"env": os.environ | environment, "cwd": folder, "capture_output": True, "timeout": 120}
    blocked = subprocess.run(["python3", "-c", "import selenium"], check=False, **how)
    assert b"selenium is blocked" in blocked.stderr
    elsewhere = subprocess.run(["python3", "-c", "import minigrid"], check=False, **how)
    assert b"No module named 'minigrid'" in elsewhere.stderr  # only the one in the copy can be imported
    out = folder / f"{plan}-results"
    subprocess.run(["bash", copy / "benchmarks" / "gpu.sh", plan, "--rehearse", "--out", out], check=True, **how)
    return out


def compile_kernels() -> None:
    """Compile the kernels of the rehearsals ahead of time; they compile the ones that are not ready themselves."""
    dtype = np.dtype("float32")
    needed = [(module, {}) for module in ("gates", "loss", "optim")]
    needed += [("recurrence", sizes(16, tile_rows)) for tile_rows in (0, 2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda each: compile_on_host(source(each[0]), definitions(dtype, **each[1])), needed))


def parts_of(out: Path) -> dict[str, int]:
    """Return the worst exit code of each part; -1 if it did not start."""
    found: dict[str, int] = {}
    for line in (out / "parts.txt").read_text().splitlines():
        name, how = line.split(": ")
        code = int(how.split()[2]) if how.startswith("exit code") else -1
        found[name] = max(found.get(name, 0), code, key=abs)
    return found


def cases_of(out: Path) -> dict[tuple[str, str], set[str]]:
    """Return what was measured: side and precision -> models."""
    found: dict[tuple[str, str], set[str]] = {}
    for line in lines_of(out):
        if "precision" in line and "error" not in line:
            found.setdefault((line["side"], line["precision"]), set()).add(line["case"].split(":")[0])
    return found


def errors_of(out: Path) -> list[str]:
    """Return the errors of the cases."""
    return [line["error"] for line in lines_of(out) if "error" in line]


@pytest.mark.long
@pytest.mark.alone
def test_both_plans_survive_what_fails_and_what_hangs(tmp_path):
    """They run in a bare copy of the working tree, with only the packages of a machine with a GPU."""
    if not (ROOT / ".git").exists():
        pytest.skip("only a git checkout knows which files belong to it")
    pytest.importorskip("torch")
    pytest.importorskip("xdist")
    pytest.importorskip("pytest_timeout")
    started = time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        compiled = pool.submit(compile_kernels)
        plans = {"first": TELLS_OF_A_GPU, "second": HANGS_AT_FIRST}
        first, second = pool.map(lambda plan: rehearse(*plan, tmp_path), plans.items())
        compiled.result()
    print(f"{time.monotonic() - started:.0f} s")
    for out in (first, second):
        print((out / "parts.txt").read_text(), (out / "errors.txt").read_text())

    parts = parts_of(first)
    assert {name: code for name, code in parts.items() if code} == {
        "tests": 1,
        "gradients, float32,tf32": 1,
    }
    report = (first / "tests.txt").read_text()
    assert "4 passed" in report
    assert "E   AssertionError: assert 'sabotage' == ''" in report
    assert "CUDARuntimeError: cudaErrorLaunchFailure" in report
    assert "crashed while running 'tests/test_gpu.py::test_checkpoints_that_break_the_gpu'" in report
    both = {"lstm", "grid"}
    assert cases_of(first) == {
        ("minigrid", "float32"): both,
        ("minigrid", "tf32"): both,
        ("eager", "float32"): both,
        ("eager", "tf32"): both,
        ("profile", "tf32"): {"grid"},
        ("gradients", "float32"): {"grid"},
        ("gradients", "tf32"): both,
    }
    assert errors_of(first) == ["no answer within 10 s"]

    parts = parts_of(second)
    assert {name: code for name, code in parts.items() if code} == {
        "state": 124,
        "minigrid,steps, tf32": 1,
    }
    assert errors_of(second) == ["RuntimeError: sabotage"]
    rates = {("floor", precision): {"floor"} for precision in ("float32", "tf32")}
    found = {(side, precision): both for side in ("minigrid", "steps", "graph") for precision in ("float32", "tf32")}
    found |= {("steps", "tf32"): {"grid"}, ("cells", "tf32"): {"grid"}, ("compiled", "tf32"): {"grid"}}
    assert cases_of(second) == rates | found
    trained = [line for line in lines_of(second) if line.get("side") == "training"][-1]
    assert math.isclose(trained["loss_on_numpy"], trained["loss_on_cupy"], rel_tol=1e-5)
    assert (second / "metrics.jsonl").read_text().startswith('{"split": "train", "step": 10')
    assert "done: 20 steps" in (second / "train.txt").read_text()

    for out in (first, second):
        files = [path for path in out.rglob("*") if path.is_file()]
        assert len(files) <= 8
        assert all(path.parent == out and path.stat().st_size < 16 * 2**20 for path in files)
        assert "is blocked" not in (out / "errors.txt").read_text()
        assert "name, clocks" in (out / "state.txt").read_text()


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed here")
def test_where_a_gpu_is_required_its_lack_is_a_failure(tmp_path):
    """If every test of a part is skipped, the part must not look successful."""
    options = ["-k", "checkpoints and rnn", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'base'}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/test_gpu.py", *options],
        env=os.environ | {"MINIGRID_REQUIRE_GPU": "yes"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "`backend` cupy needs CuPy, which is not installed" in done.stdout


def test_the_script_explains_itself():
    done = subprocess.run(
        ["bash", ROOT / "benchmarks" / "gpu.sh", "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Check, measure, profile and train on an NVIDIA GPU")
    assert "--seconds N   stop after at most N seconds (default: 400 for first" in done.stdout
    assert done.stdout.endswith("for what the results mean.\n")


def test_a_plan_needs_to_know_where_its_results_go():
    done = subprocess.run(
        ["bash", ROOT / "benchmarks" / "gpu.sh", "first"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "usage: bash benchmarks/gpu.sh first|second --out DIR" in done.stderr
