"""CUDA kernels on the host: the same source, compiled as C++, its threads run one after the other."""

import ctypes
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrid.kernels import FOLDER

SHIM = (Path(__file__).parent / "host_kernels.h").read_text()

KERNEL = re.compile(r'extern "C" __global__ void (?:__launch_bounds__\(.*?\) )?(\w+)\((.*?)\) \{', re.DOTALL)

RUN = """
extern "C" void run_{name}(const unsigned *grid, unsigned threads, bool together, size_t shared, {parameters}) {{
    run({{grid[0], grid[1]}}, threads, together, shared, [=] {{ {name}({names}); }});
}}
"""

SHARED = """
static char *shared_memory() { return (char *)memory; }
static size_t most_shared() { return sizeof memory; }
"""

ALWAYS_SHARED, MOST_SHARED = 48 * 1024, 227 * 1024
"""Bytes that a block may have without asking, and on request."""

SCALARS = {
    "float": np.float32,
    "double": np.float64,
    "int": np.int32,
    "unsigned": np.uint32,
    "long long": np.int64,
    "word": np.uint64,
}


class RawModule:
    """Stands for cupy.RawModule."""

    def __init__(self, *, code: str, options: tuple[str, ...], enable_cooperative_groups: bool = False):
        self._library = _compile(code, options)
        self._real = next(o.removeprefix("-DREAL=") for o in options if o.startswith("-DREAL="))
        self._parameters = {name: [p.strip() for p in text.split(",")] for name, text in KERNEL.findall(code)}
        self._together = enable_cooperative_groups
        self._attributes = _attributes(code, options)

    def get_function(self, name: str) -> "HostKernel":
        """Return a kernel, to be called with a grid, a block and arguments."""
        kinds = [parameter.rpartition(" ")[0].replace("real", self._real) for parameter in self._parameters[name]]
        pointers = [parameter.rpartition(" ")[2].startswith("*") for parameter in self._parameters[name]]
        return HostKernel(getattr(self._library, f"run_{name}"), kinds, pointers, self._together, self._attributes)


class HostKernel:
    """One kernel; it takes scalars of exactly its own types, since a GPU would read the bytes of any other."""

    def __init__(self, run: Any, kinds: list[str], pointers: list[bool], together: bool, attributes: dict[str, int]):
        self._run, self._kinds, self._pointers, self._together = run, kinds, pointers, together
        self._attributes = attributes

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        """Bytes that a block may have; in CuPy kernels from the same source with the same options share it."""
        return self._attributes.get(self._run.__name__, ALWAYS_SHARED)

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, size: int) -> None:
        assert size <= MOST_SHARED
        self._attributes[self._run.__name__] = size

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple, *, shared_mem: int = 0) -> None:
        assert len(block) == 1
        assert 1 <= block[0] <= 1024
        assert 1 <= grid[0] < 2**31
        assert all(1 <= n < 2**16 for n in grid[1:])
        assert shared_mem <= self.max_dynamic_shared_size_bytes
        size = (ctypes.c_uint * 2)(*(*grid, 1)[:2])
        given = [_argument(*each) for each in zip(args, self._kinds, self._pointers, strict=True)]
        self._run(size, ctypes.c_uint(block[0]), self._together, ctypes.c_size_t(shared_mem), *given)


def _argument(value: Any, kind: str, pointer: bool) -> Any:
    wanted = SCALARS[kind.removeprefix("const ")]
    if not pointer:
        assert type(value) is wanted, f"{value!r} is not {wanted}"
        return np.ctypeslib.as_ctypes_type(wanted)(value)
    array = value.host
    assert array.dtype == wanted
    assert array.size == 0 or array.shape[-1] == 1 or array.strides[-1] == array.itemsize
    return ctypes.c_void_p(array.ctypes.data)


@cache
def _attributes(code: str, options: tuple[str, ...]) -> dict[str, int]:
    return {}


def _on_host(code: str) -> str:
    """Leave out what is in PTX, which the shim has twins of, and give the shared memory its size."""
    code = code.replace((FOLDER / "ptx.cu").read_text(), "")
    shared, found = re.subn(r"extern (__shared__ .*?)\[\];", rf"\1[{MOST_SHARED} / sizeof(real)];", code)
    return shared if found else f"{code}\nstatic char memory[1];"


@cache
def _compile(code: str, options: tuple[str, ...]) -> ctypes.CDLL:
    if sys.platform != "linux" or shutil.which("g++") is None:
        pytest.skip("the kernels of the GPU are run on the host with g++ on Linux")
    wrappers = [
        RUN.format(name=name, parameters=text, names=", ".join(re.findall(r"(\w+)\s*(?:,|$)", text.strip())))
        for name, text in KERNEL.findall(code)
    ]
    folder = Path(tempfile.mkdtemp(prefix="minigrid-kernels-"))
    source, library = folder / "kernels.cpp", folder / "kernels.so"
    source.write_text("\n".join([SHIM, _on_host(code), SHARED, *wrappers]))
    # no fused multiply-add: NumPy has none either
    flags = ["-std=c++17", "-O2", "-shared", "-fPIC", "-ffp-contract=off", *options]
    subprocess.run(["g++", *flags, str(source), "-o", str(library)], check=True)
    loaded = ctypes.CDLL(str(library))
    shutil.rmtree(folder)
    return loaded
