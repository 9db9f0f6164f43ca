"""A stand-in for cupy that computes with NumPy and is stricter than either.

It catches mistakes that would fail on a GPU. Its arrays are never converted to NumPy arrays implicitly and do not mix
with them, reductions return 0-d arrays, uninitialised memory holds NaN, and every name or keyword outside the tables
below is refused. test_cupy_wheel.py compares those tables with the real wheel. CUDA kernels run on the host, see
host_kernels.py.

``cupy.waits`` lists each time that the host waits for the device. ``cupy.calls`` lists all work that the host sends to
the device: kernel launches, copies (within the device and from the host), fills, and calls to cuBLAS, but not views and
allocations. One call to cupy can be several of these. The rules below follow CuPy 14.2:

- an array as an index is one launch; k arrays as one index are k + 2 (computing their positions takes two more);
- ``dot`` of two vectors is a product and a sum;
- an operand of a matrix product that is neither C- nor Fortran-contiguous is copied first.
"""

import os
import threading
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from host_kernels import MOST_SHARED, HostKernel, RawModule

ELEMENTWISE = ("add", "clip", "divide", "exp", "isfinite", "log", "maximum", "multiply", "sqrt", "subtract", "tanh")

FUNCTIONS: dict[str, set[str]] = {name: {"out"} for name in (*ELEMENTWISE, "matmul")} | {
    "arange": set(),
    "array": {"dtype"},
    "asarray": {"dtype"},
    "asnumpy": set(),
    "concatenate": {"axis"},
    "dot": set(),
    "empty": {"dtype"},
    "empty_like": set(),
    "ones": {"dtype"},
    "where": set(),
    "zeros": {"dtype"},
    "zeros_like": set(),
}
"""Functions of the module that code may call, and their keywords."""

METHODS: dict[str, set[str]] = {
    "astype": {"copy"},
    "copy": set(),
    "max": {"axis", "keepdims"},
    "ravel": set(),
    "reshape": set(),
    "sum": {"axis", "dtype", "keepdims"},
    "swapaxes": set(),
    "take": {"axis", "out"},
}
"""Methods of arrays that code may call, and their keywords."""

MAY_BE_VIEWS = ("astype", "ravel", "reshape", "swapaxes")
"""Methods that copy only if necessary."""

ATTRIBUTES = ("T", "dtype", "nbytes", "ndim", "shape", "size")

OPERATORS = [
    f"__{prefix}{name}__"
    for name in ("add", "sub", "mul", "truediv", "pow", "matmul", "and", "or")
    for prefix in ("", "r", "i")
    if prefix + name != "imatmul"  # cupy has none
] + [f"__{name}__" for name in ("lt", "le", "eq", "ne", "gt", "ge", "neg", "pos", "abs", "invert")]

WAITS = {"__float__": float, "__int__": int, "__bool__": bool}
"""Conversions that read a number from the device, and so wait for it."""


class ndarray:  # noqa: N801  (its name in cupy)
    """An array of the stand-in, around the NumPy array that holds its numbers."""

    __array_ufunc__ = None  # NumPy's operators refuse it with a TypeError
    __hash__ = None
    waits: list[str]
    calls: list[str]

    def __init__(self, host: Any):
        self.host = np.asarray(host)

    def __array__(self, *args: Any, **kwargs: Any):
        raise TypeError("implicit conversion to a NumPy array is not allowed")

    @property
    def device(self) -> "Device":
        """The device that holds the array: here always the current one."""
        return Device()

    def __len__(self) -> int:
        return len(self.host)

    def __iter__(self):
        return (self[k] for k in range(len(self)))

    def __getitem__(self, index: Any) -> "ndarray":
        _call("take", _launches_of_index(index))
        index = _index(index, self.waits)
        return ndarray(self.host[index])

    def __setitem__(self, index: Any, value: Any) -> None:
        value, launches = _host(value), _launches_of_index(index)
        index = _index(index, self.waits)
        if launches:
            _call("put", launches)
        elif not _is_same(self.host[index], value):  # `a[k] += b` ends with a[k] = a[k], which CuPy skips
            _call("copy" if isinstance(value, np.ndarray) else "fill")
        self.host[index] = value


def _operator(name: str):
    def apply(self: ndarray, *others: Any):
        if any(isinstance(other, np.ndarray | list | tuple) for other in others):
            raise TypeError(f"{name}: a device array and {type(others[0]).__name__} do not mix")
        result = getattr(self.host, name)(*map(_host, others))
        if result is NotImplemented:
            return result
        _call(name, _launches(name, (self.host, *map(_host, others))))
        return self if result is self.host else ndarray(result)

    return apply


def _attribute(name: str):
    def read(self: ndarray):
        value = getattr(self.host, name)
        return ndarray(value) if isinstance(value, np.ndarray) else value

    return property(read)


def _method(name: str, keywords: set[str]):
    def call(self: ndarray, *args: Any, **kwargs: Any) -> ndarray:
        _refuse(name, kwargs, keywords)
        given = {key: _host(value) for key, value in kwargs.items()}
        result = getattr(self.host, name)(*map(_host, args), **given)
        _call(name, 0 if name in MAY_BE_VIEWS and np.shares_memory(result, self.host) else 1)
        return ndarray(result)

    return call


def _wait(name: str, convert: type):
    def read(self: ndarray):
        self.waits.append(name)
        _call("copy to the host")
        return convert(self.host)

    return read


for _name in OPERATORS:
    setattr(ndarray, _name, _operator(_name))
for _name in ATTRIBUTES:
    setattr(ndarray, _name, _attribute(_name))
for _name, _keywords in METHODS.items():
    setattr(ndarray, _name, _method(_name, _keywords))
for _name, _convert in WAITS.items():
    setattr(ndarray, _name, _wait(_name, _convert))


def _host(value: Any) -> Any:
    """Return the NumPy array of a device array, or a number, dtype or shape as it is; refuse arrays of the host."""
    if isinstance(value, ndarray):
        return value.host
    if isinstance(value, np.ndarray | list):
        raise TypeError(f"expected a device array, not a {type(value).__name__}")
    return value


def _call(name: str, launches: int = 1) -> None:
    ndarray.calls.extend([name] * launches)


def _launches_of_index(index: Any) -> int:
    """Count the launches of an index: none for a view, one for an array, k + 2 for k arrays."""
    arrays = sum(isinstance(part, ndarray) for part in (index if isinstance(index, tuple) else (index,)))
    return arrays + 2 if arrays > 1 else arrays


def _launches(name: str, operands: tuple) -> int:
    """Count the launches of a function or an operator."""
    if name.startswith("empty"):
        return 0
    if name == "dot" and all(np.ndim(x) == 1 for x in operands):
        return 2
    if "matmul" in name:
        return 1 + sum(not (x.flags.c_contiguous or x.flags.f_contiguous) for x in operands)
    return 1


def _is_same(view: Any, value: Any) -> bool:
    """Return whether two arrays are views of the same numbers in memory."""
    return isinstance(value, np.ndarray) and view.__array_interface__ == value.__array_interface__


def _index(index: Any, waits: list[str]) -> Any:
    if isinstance(index, tuple):
        return tuple(_index(part, waits) for part in index)
    if isinstance(index, ndarray) and index.dtype == bool:
        waits.append("mask as index")  # the host must know how many elements it selects
    return _host(index)


def _refuse(name: str, given: dict[str, Any], allowed: set[str]) -> None:
    if unknown := given.keys() - allowed:
        raise TypeError(f"{name}: {sorted(unknown)} is not among the keywords that are compared with cupy")


def _function(name: str):
    def call(*args: Any, **kwargs: Any) -> ndarray:
        _refuse(name, kwargs, FUNCTIONS[name])
        out = kwargs.get("out")
        result = getattr(np, name)(*map(_host, args), **{key: _host(value) for key, value in kwargs.items()})
        _call(name, _launches(name, tuple(map(_host, args))))
        if name.startswith("empty") and result.dtype.kind == "f":
            result[...] = np.nan  # reading it before writing it shows
        return ndarray(result) if out is None else out

    return call


def _upload(x: Any, dtype: Any = None) -> ndarray:
    """Copy numbers from the host. In cupy this is asynchronous, because its staging buffer is pinned memory."""
    _call("copy" if isinstance(x, ndarray) else "copy from the host")
    return ndarray(np.array(x.host if isinstance(x, ndarray) else x, dtype))


class _Current(threading.local):
    """What each thread has chosen for itself."""

    device = 0


_current = _Current()


class Device:
    """One of the devices that the stand-in pretends to have."""

    attributes: ClassVar = {
        "CooperativeLaunch": 1,
        "MultiProcessorCount": 4,
        "MaxSharedMemoryPerBlockOptin": MOST_SHARED,
    }
    compute_capability = "90"

    def __init__(self, id: int | None = None):
        self.id = _current.device if id is None else id

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"

    def use(self) -> None:
        """Make this the current device of the calling thread."""
        _current.device = self.id

    def synchronize(self) -> None:
        """Wait for this device."""
        ndarray.waits.append("synchronize")


class Stream:
    """The queue in which the device works."""

    def synchronize(self) -> None:
        """Wait until it is empty."""
        ndarray.waits.append("synchronize stream")


def make() -> ModuleType:
    """Return a fresh stand-in with one device."""
    cupy = ModuleType("cupy")
    cupy.__spec__ = ModuleSpec("cupy", loader=None)
    cupy.__version__ = "0.0"
    cupy.waits = ndarray.waits = []
    cupy.calls = ndarray.calls = HostKernel.calls = []
    cupy.ndarray = ndarray
    for name in FUNCTIONS:
        setattr(cupy, name, _function(name))
    cupy.array = _upload
    cupy.asarray = lambda x, dtype=None: x if isinstance(x, ndarray) and dtype is None else _upload(x, dtype)

    def concatenate(arrays: list[ndarray], axis: int = 0) -> ndarray:
        _call("concatenate")
        return ndarray(np.concatenate([_host(a) for a in arrays], axis))

    cupy.concatenate = concatenate

    def asnumpy(x: ndarray) -> np.ndarray:
        cupy.waits.append("asnumpy")
        _call("copy to the host")
        return x.host.copy()

    cupy.asnumpy = asnumpy
    cupy.RawModule = RawModule
    cupy.cuda = ModuleType("cuda")
    _current.device = 0
    cupy.cuda.Device = Device
    cupy.cuda.Stream = cupy.cuda.get_current_stream = Stream
    cupy.cuda.runtime = runtime = ModuleType("runtime")
    runtime.CUDARuntimeError = type("CUDARuntimeError", (RuntimeError,), {})
    runtime.getDeviceCount = lambda: 1
    runtime.runtimeGetVersion = lambda: 0
    runtime.deviceGetPCIBusId = lambda number: f"{os.getpid()}:{number}"  # each process has GPUs of its own
    cupy.cuda.cublas = ModuleType("cublas")
    cupy.cuda.nvrtc = ModuleType("nvrtc")
    cupy.cuda.nvrtc.getVersion = lambda: (0, 0)
    runtime.getDeviceProperties = lambda number: {"name": f"Make-believe {number}".encode()}
    return cupy
