"""The names that the stand-in for cupy allows, compared with the real cupy, which can be imported without a GPU.

The tests look for cupy in ``.venv/cuda`` (``make .venv/cuda/ready``), then among the installed packages. They import it
in a process of its own, so that no other test sees it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import strict_cupy

FOLDER = Path(__file__).parent.parent / ".venv" / "cuda"

QUESTION = """
import inspect, json, sys
import cupy

def keywords(owner, name):
    # None: there is no such name. Compiled functions list their keywords only in their docstrings.
    thing = getattr(owner, name, None)
    if thing is None:
        return None
    if isinstance(thing, cupy.ufunc):
        return ["out", "dtype"]
    try:
        return list(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        lines = (thing.__doc__ or "").split("\\n")
        signatures = [line.split("(", 1)[-1] for line in lines[:1] + [line for line in lines if f"{name}(" in line]]
        return [part.split("=")[0].strip(" )").split(" ")[-1] for line in signatures for part in line.split(",")]

owners = {"cupy": cupy, "ndarray": cupy.ndarray, "RawModule": cupy.RawModule}
owners |= {"RawKernel": cupy.RawKernel, "cuda": cupy.cuda, "Device": cupy.cuda.Device, "runtime": cupy.cuda.runtime}
owners |= {"Stream": cupy.cuda.Stream, "nvrtc": cupy.cuda.nvrtc}
wanted = json.load(sys.stdin)
print(json.dumps({
    "version": cupy.__version__,
    "keywords": {owner: {name: keywords(owners[owner], name) for name in names} for owner, names in wanted.items()},
    "out of memory is a MemoryError": issubclass(cupy.cuda.memory.OutOfMemoryError, MemoryError),
}))
"""

WANTED = {
    "cupy": strict_cupy.FUNCTIONS | {"RawModule": {"code", "options", "enable_cooperative_groups"}},
    "RawModule": {"get_function": set()},
    "RawKernel": {"max_dynamic_shared_size_bytes": set(), "__call__": {"shared_mem"}},
    "ndarray": strict_cupy.METHODS
    | {name: set() for name in ("device", *strict_cupy.ATTRIBUTES, *strict_cupy.OPERATORS, *strict_cupy.WAITS)},
    "cuda": {"Device": set(), "Stream": set(), "get_current_stream": set()},
    "Device": {name: set() for name in ("use", "synchronize", "id", "attributes", "compute_capability")},
    "Stream": {"synchronize": set()},
    "runtime": {
        "deviceGetPCIBusId": set(),
        "getDeviceCount": set(),
        "getDeviceProperties": set(),
        "runtimeGetVersion": set(),
        "CUDARuntimeError": set(),
    },
    "nvrtc": {"getVersion": set()},
}


@pytest.fixture(scope="module")
def real() -> dict:
    path = os.pathsep.join([str(FOLDER), os.environ.get("PYTHONPATH", "")])
    asked = subprocess.run(
        [sys.executable, "-c", QUESTION],
        input=json.dumps({owner: list(names) for owner, names in WANTED.items()}),
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named 'cupy'" in asked.stderr:
        pytest.skip("cupy is not installed: make .venv/cuda/ready")
    assert asked.returncode == 0, asked.stderr
    return json.loads(asked.stdout)


@pytest.mark.parametrize("owner", WANTED)
def test_cupy_has_every_name_and_keyword(real, owner):
    for name, keywords in WANTED[owner].items():
        found = real["keywords"][owner][name]
        assert found is not None, f"cupy {real['version']} has no {owner}.{name}"
        assert keywords <= set(found), f"{owner}.{name} of cupy {real['version']} takes {found}, not {keywords}"


def test_out_of_memory_is_a_memory_error(real):
    assert real["out of memory is a MemoryError"]
