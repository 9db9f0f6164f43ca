"""CUDA kernels on the host: the same source, compiled as C++, its threads run one after the other."""

import ctypes
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SHIM = """
#include <cmath>
using std::sqrt;
using std::tanh;
#define __device__ static
#define __global__
struct Numbers { unsigned x, y; };
static Numbers gridDim, blockIdx, blockDim, threadIdx;
static unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned __int128)a * b >> 64;
}
"""

KERNEL = re.compile(r'extern "C" __global__ void (\w+)\((.*?)\)', re.DOTALL)

RUN = """
extern "C" void run_{name}(const unsigned *grid, const unsigned *block, {parameters}) {{
    gridDim = {{grid[0], grid[1]}}, blockDim = {{block[0], 1}};
    for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++)
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)
            for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++)
                {name}({names});
}}
"""

SCALARS = {"float": np.float32, "double": np.float64, "int": np.int32, "long long": np.int64, "word": np.uint64}


class RawModule:
    """Stands for cupy.RawModule."""

    def __init__(self, *, code: str, options: tuple[str, ...]):
        self._library = _compile(code, options)
        self._real = next(o.removeprefix("-DREAL=") for o in options if o.startswith("-DREAL="))
        self._parameters = {name: [p.strip() for p in text.split(",")] for name, text in KERNEL.findall(code)}

    def get_function(self, name: str) -> "HostKernel":
        """Return a kernel, to be called with a grid, a block and arguments."""
        kinds = [parameter.rpartition(" ")[0].replace("real", self._real) for parameter in self._parameters[name]]
        pointers = [parameter.rpartition(" ")[2].startswith("*") for parameter in self._parameters[name]]
        return HostKernel(getattr(self._library, f"run_{name}"), kinds, pointers)


class HostKernel:
    """One kernel; it takes scalars of exactly its own types, since a GPU would read the bytes of any other."""

    def __init__(self, run: Any, kinds: list[str], pointers: list[bool]):
        self._run, self._kinds, self._pointers = run, kinds, pointers

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple) -> None:
        assert len(block) == 1
        assert 1 <= block[0] <= 1024
        assert 1 <= grid[0] < 2**31
        assert all(1 <= n < 2**16 for n in grid[1:])
        sizes = [(ctypes.c_uint * 2)(*(*numbers, 1)[:2]) for numbers in (grid, block)]
        given = [_argument(*each) for each in zip(args, self._kinds, self._pointers, strict=True)]
        self._run(*sizes, *given)


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
def _compile(code: str, options: tuple[str, ...]) -> ctypes.CDLL:
    if shutil.which("g++") is None:
        pytest.skip("the kernels of the GPU are run on the host with g++, which is not installed")
    wrappers = [
        RUN.format(name=name, parameters=text, names=", ".join(re.findall(r"(\w+)\s*(?:,|$)", text.strip())))
        for name, text in KERNEL.findall(code)
    ]
    folder = Path(tempfile.mkdtemp(prefix="minigrid-kernels-"))
    source, library = folder / "kernels.cpp", folder / "kernels.so"
    source.write_text("\n".join([SHIM, code, *wrappers]))
    # no fused multiply-add: NumPy has none either
    flags = ["-O2", "-shared", "-fPIC", "-ffp-contract=off", *options]
    subprocess.run(["g++", *flags, str(source), "-o", str(library)], check=True)
    loaded = ctypes.CDLL(str(library))
    shutil.rmtree(folder)
    return loaded
