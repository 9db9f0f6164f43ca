"""Choosing what to compute on: the CPU, or one of the NVIDIA GPUs."""

import importlib
import importlib.util
import os
from types import ModuleType

import numpy as np

from minigrid.errors import UserError

BACKENDS = ("auto", "numpy", "cupy")


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


def describe_device(xp: ModuleType) -> str:
    """Say in a few words what `xp` computes on."""
    if xp is np:
        return f"CPU, NumPy {np.__version__}"
    device = xp.cuda.runtime.getDeviceProperties(xp.cuda.Device().id)
    return f"GPU {device['name'].decode()}, CuPy {xp.__version__}"
