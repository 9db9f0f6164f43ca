"""CUDA kernels on the host: the same source, compiled as C++, with the threads run one after the other.

The compiled libraries are deleted as soon as they are loaded, unless $MINIGRID_HOST_KERNELS names a folder that keeps
them for other processes.
"""

import ctypes
import hashlib
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from minigrid.backend.cuda.kernels import FOLDER

SHIM = (Path(__file__).parent / "host_kernels.h").read_text()

KERNEL = re.compile(r'extern "C" __global__ void (?:__launch_bounds__\(.*?\) )?(\w+)\((.*?)\) \{', re.DOTALL)

RUN = """
extern "C" void run_{name}(const unsigned *grid, unsigned threads, int how, size_t shared, {parameters}) {{
    run(grid, threads, how, shared, [=] {{ {name}({names}); }});
}}
"""

SHARED = """
static char *shared_memory() { return (char *)memory; }
static size_t most_shared() { return sizeof memory; }
"""

ALWAYS_SHARED, MOST_SHARED = 48 * 1024, 227 * 1024
"""Bytes of shared memory per block: always available, and at most, on request."""

ONE_BY_ONE, IN_TURNS, TOGETHER = range(3)
"""How to run the threads of a launch, see host_kernels.h."""

SCALARS = {
    "float": np.float32,
    "double": np.float64,
    "int": np.int32,
    "unsigned": np.uint32,
    "long long": np.int64,
    "word": np.uint64,
}


class RawModule:
    """A stand-in for cupy.RawModule."""

    def __init__(self, *, code: str, options: tuple[str, ...], enable_cooperative_groups: bool = False):
        self._library = compile_on_host(code, options)
        self._real = next(o.removeprefix("-DREAL=") for o in options if o.startswith("-DREAL="))
        self._parameters = {name: [p.strip() for p in text.split(",")] for name, text in KERNEL.findall(code)}
        self._how = TOGETHER if enable_cooperative_groups else IN_TURNS if "__syncthreads" in code else ONE_BY_ONE
        self._attributes = _attributes(code, options)

    def get_function(self, name: str) -> "HostKernel":
        """Return a kernel; call it with a grid, a block and arguments."""
        kinds = [parameter.rpartition(" ")[0].replace("real", self._real) for parameter in self._parameters[name]]
        pointers = [parameter.rpartition(" ")[2].startswith("*") for parameter in self._parameters[name]]
        return HostKernel(getattr(self._library, f"run_{name}"), kinds, pointers, self._how, self._attributes)


class HostKernel:
    """One kernel. Scalars must have exactly the types of its parameters, since a GPU would misread any others.

    Each launch adds the kernel's name to `calls`. `room` is the number of blocks of a cooperative launch that the
    make-believe GPU can run at the same time. If a launch needs more, CuPy 14.2 shrinks a grid that lies along x only,
    with a warning, and refuses any other grid.
    """

    calls: ClassVar[list[str]] = []
    room = 2**31
    _lock = threading.Lock()  # the sizes of a launch are global in the compiled code

    def __init__(self, run: Any, kinds: list[str], pointers: list[bool], how: int, attributes: dict[str, int]):
        self._run, self._kinds, self._pointers, self._how = run, kinds, pointers, how
        self._attributes = attributes

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        """Shared memory per block, at most. As in CuPy, kernels from the same source and options share this limit."""
        return self._attributes.get(self._run.__name__, ALWAYS_SHARED)

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, size: int) -> None:
        assert size <= MOST_SHARED
        self._attributes[self._run.__name__] = size

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple, *, shared_mem: int = 0) -> None:
        assert len(block) == 1
        assert 1 <= block[0] <= 1024
        grid = (*grid, 1, 1)[:3]
        assert 1 <= grid[0] < 2**31
        assert all(1 <= n < 2**16 for n in grid[1:])
        assert shared_mem <= self.max_dynamic_shared_size_bytes
        if self._how == TOGETHER and math.prod(grid) > self.room:
            if grid[1:] != (1, 1):
                raise ValueError(f"The specified grid size {grid} exceeds the limit ({self.room}).")
            warnings.warn(f"The grid size will be reduced from {grid[0]} to {self.room}", stacklevel=2)
            grid = (self.room, 1, 1)
        size = (ctypes.c_uint * 3)(*grid)
        given = [_argument(*each) for each in zip(args, self._kinds, self._pointers, strict=True)]
        self.calls.append(self._run.__name__.removeprefix("run_"))
        with self._lock:
            self._run(size, ctypes.c_uint(block[0]), ctypes.c_int(self._how), ctypes.c_size_t(shared_mem), *given)


def _argument(value: Any, kind: str, pointer: bool) -> Any:
    wanted = SCALARS[kind.removeprefix("const ")]
    if not pointer:
        assert type(value) is wanted, f"{value!r} is not {wanted}"
        return np.ctypeslib.as_ctypes_type(wanted)(value)
    array = value.host
    assert array.dtype == wanted
    assert array.size == 0 or array.ndim == 0 or array.shape[-1] == 1 or array.strides[-1] == array.itemsize
    return ctypes.c_void_p(array.ctypes.data)


@cache
def _attributes(code: str, options: tuple[str, ...]) -> dict[str, int]:
    return {}


def _on_host(code: str) -> str:
    """Remove the functions in PTX, which the shim replaces, and give the shared memory a size."""
    code = code.replace((FOLDER / "ptx.cu").read_text(), "")
    shared, found = re.subn(r"extern (__shared__ .*?)\[\];", rf"\1[{MOST_SHARED} / sizeof(real)];", code)
    return shared if found else f"{code}\nstatic char memory[1];"


def compile_on_host(code: str, options: tuple[str, ...]) -> ctypes.CDLL:
    """Compile the source of a module and load it; of several threads that want it, only one compiles."""
    with _compiling:
        return _compiled(code, options)


_compiling = threading.Lock()


@cache
def _compiled(code: str, options: tuple[str, ...]) -> ctypes.CDLL:
    if sys.platform != "linux" or shutil.which("g++") is None:
        pytest.skip("running the CUDA kernels on the host needs g++ on Linux")
    wrappers = [
        RUN.format(name=name, parameters=text, names=", ".join(re.findall(r"(\w+)\s*(?:,|$)", text.strip())))
        for name, text in KERNEL.findall(code)
    ]
    text = "\n".join([SHIM, _on_host(code), SHARED, *wrappers])
    # no fused multiply-add, which NumPy does not use either
    flags = ["-std=c++17", "-O1", "-shared", "-fPIC", "-ffp-contract=off", *options]
    folder = Path(tempfile.mkdtemp(prefix="minigrid-kernels-"))
    source, library = folder / "kernels.cpp", folder / "kernels.so"
    kept = Path(os.environ.get("MINIGRID_HOST_KERNELS", folder)) / f"{_digest(text, *flags)}.so"
    if not kept.exists():
        source.write_text(text)
        subprocess.run(["g++", *flags, str(source), "-o", str(library)], check=True)
        shutil.move(library, kept)
    loaded = ctypes.CDLL(str(kept))
    shutil.rmtree(folder)
    return loaded


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
