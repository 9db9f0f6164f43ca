"""Where arrays live: NumPy on the CPU or CuPy on an NVIDIA GPU.

Compute code never names a library. It asks an array for its module, ``xp = array_module(x)``, and calls that.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from minigrid.errors import UserError

BACKENDS = ("auto", "numpy", "cupy")

CACHE_LINE = 64  # bytes

BLOCK = 1 << 16
"""Numbers to work on at a time where several passes follow each other: so few that they stay in a CPU's cache."""

Array = Any
"""A NumPy or a CuPy array."""


def array_module(x: Array) -> ModuleType:
    """Return the module that `x` belongs to: ``numpy``, or ``cupy`` for an array on a GPU."""
    # cupy is looked up, not imported: an array of its own cannot exist before somebody has imported it.
    cupy = sys.modules.get("cupy")
    return cupy if cupy is not None and isinstance(x, cupy.ndarray) else np


def backend_module(name: str) -> ModuleType:
    """Return the array module of a backend.

    Parameters
    ----------
    name : {"auto", "numpy", "cupy"}
        "auto" is cupy where it is installed and finds a GPU, and numpy elsewhere.

    Raises
    ------
    UserError
        Unknown name; cupy asked for where it is not installed or finds no GPU.
    """
    if name not in BACKENDS:
        raise UserError(f"unknown backend {name!r}: choose one of {', '.join(BACKENDS)}")
    if name == "numpy":
        return np
    try:
        return _cupy_with_gpu()
    except UserError:
        if name == "auto":
            return np
        raise


def _cupy_with_gpu() -> ModuleType:
    if importlib.util.find_spec("cupy") is None:
        raise UserError(
            "--backend cupy needs CuPy, which is not installed: run `pip install -e .[cuda12]` "
            "(or .[cuda13]), or use --backend numpy"
        )
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        raise UserError(
            f"--backend cupy: CuPy is installed but cannot be imported ({error}); install it anew, "
            "or use --backend numpy"
        ) from error
    try:
        devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        if "InsufficientDriver" in str(error):
            raise UserError(
                "--backend cupy: there is no NVIDIA driver, or it is too old for this CuPy; update the driver, install "
                "the CuPy for the CUDA version that `nvidia-smi` shows, or use --backend numpy"
            ) from error
        raise UserError(
            f"--backend cupy: CuPy is installed but finds no usable NVIDIA GPU or driver ({error}); use --backend numpy"
        ) from error
    if devices == 0:
        raise UserError("--backend cupy: CuPy is installed but this machine has no NVIDIA GPU; use --backend numpy")
    _require_libraries(cupy)
    return cupy


def _require_libraries(cupy: ModuleType) -> None:
    """Load what CuPy would look for only at the first product and at the first kernel, in the middle of the work."""
    try:
        _ = cupy.cuda.cublas  # imported when it is first looked at
        cupy.cuda.nvrtc.getVersion()
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"--backend cupy: CuPy does not find the libraries of CUDA ({error}); run `pip install -e .[cuda12]` (or "
            ".[cuda13]; beside PyTorch the one for the same CUDA version), or use --backend numpy"
        ) from error


def choose_device(backend: str, number: int = 0, tf32: bool = False) -> None:
    """Choose the GPU that this process computes on, where `backend` means one; nothing happens where it means NumPy.

    Parameters
    ----------
    backend : {"auto", "numpy", "cupy"}
        As in :func:`backend_module`.
    number : int
        Of the GPU, from 0.
    tf32 : bool
        Whether float32 products may round what they multiply to 10 bits, as tensor cores do it. Choose before the first
        product. Overrides $CUPY_TF32.

    Raises
    ------
    UserError
        There is no such GPU; whatever is wrong with the backend.
    """
    xp = backend_module(backend)
    if xp is np:
        return
    count = xp.cuda.runtime.getDeviceCount()
    if not 0 <= number < count:
        raise UserError(f"--device {number}: there is no such GPU, this machine's {count} are numbered from 0")
    xp.cuda.Device(number).use()
    os.environ["CUPY_TF32"] = "1" if tf32 else "0"  # CuPy looks at it once, at its first product


def tf32() -> bool:
    """Whether products of float32 numbers on a GPU may round them to 10 bits, see :func:`choose_device`."""
    return os.environ.get("CUPY_TF32", "0") != "0"


def to_host(x: Array) -> np.ndarray:
    """Return `x` as a NumPy array, copied from the GPU if that is where it is."""
    return x if isinstance(x, np.ndarray) else array_module(x).asnumpy(x)


def describe_device(xp: ModuleType) -> str:
    """Say in a few words what `xp` computes on."""
    if xp is np:
        return f"CPU, NumPy {np.__version__}"
    device = xp.cuda.runtime.getDeviceProperties(xp.cuda.Device().id)
    return f"GPU {device['name'].decode()}, CuPy {xp.__version__}"


def blocks(x: Array, part: slice = slice(None), numbers: int = BLOCK) -> Iterator[slice]:
    """Cut a part of x, along its first axis, into blocks that stay in a CPU's cache through several passes.

    A block has about as many numbers as it says, at least one entry of the axis. On a GPU the whole part is one block.
    """
    start, stop, _ = part.indices(len(x))
    length = max(1, numbers * len(x) // x.size) if isinstance(x, np.ndarray) else len(x)
    return (slice(k, min(k + length, stop)) for k in range(start, stop, length))


class Workspace:
    """Where forward and backward passes get their arrays from.

    A plain workspace gives fresh arrays. One with ``reuse=True`` hands out the same array for the same name and shape,
    so that training steps find the large ones ready; whoever keeps one knows that the next pass overwrites it.

    Parameters
    ----------
    xp : module
        numpy or cupy.
    dtype : str or dtype
        Of every array handed out.
    reuse : bool
        Whether to hand the same arrays out again.

    Notes
    -----
    A *padded* array has a cache line of unused numbers after each row. Without it, rows of a power of two of numbers
    lie so far apart that what a product reads together falls into the same few places of a CPU's cache.
    """

    def __init__(self, xp: ModuleType, dtype: Any, reuse: bool = False):
        self.xp = xp
        self.dtype = np.dtype(dtype)
        self._kept: dict[tuple, Array] | None = {} if reuse else None
        self._scope = ""
        self._scoped: dict[str, Workspace] = {}

    def scope(self, name: str) -> "Workspace":
        """Return this workspace with `name` put before the names of what :meth:`empty` gives, one per layer."""
        if name not in self._scoped:
            scoped = self._scoped[name] = Workspace(self.xp, self.dtype)
            scoped._kept, scoped._scope = self._kept, f"{self._scope}{name}."
        return self._scoped[name]

    def empty(self, name: str, shape: tuple[int, ...], padded: bool = False) -> Array:
        """Return an array for this scope to keep from the forward to the backward pass, contents undefined."""
        return self._take(self._scope + name, shape, padded)

    def scratch(self, name: str, shape: tuple[int, ...], padded: bool = False) -> Array:
        """Return an array whose contents only matter until anybody else asks for the same name, in any scope."""
        return self._take(name, shape, padded)

    def _take(self, name: str, shape: tuple[int, ...], padded: bool) -> Array:
        if self._kept is None:
            return self._new(shape, padded)
        array = self._kept.get((name, shape))
        if array is None:
            array = self._kept[name, shape] = self._new(shape, padded)
        return array

    def _new(self, shape: tuple[int, ...], padded: bool) -> Array:
        *outer, width = shape
        padding = CACHE_LINE // self.dtype.itemsize if padded and self.xp is np else 0
        return self.xp.empty((*outer, width + padding), self.dtype)[..., :width]
