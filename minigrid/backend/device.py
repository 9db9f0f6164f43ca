"""Choose the device to compute on: the CPU or an NVIDIA GPU."""

import importlib
import importlib.util
import os
from types import ModuleType

import numpy as np

from minigrid.backend.ranks import Ranks
from minigrid.errors import UserError, did_you_mean, shown

BACKENDS = ("auto", "numpy", "cupy")


def backend_module(backend: str) -> ModuleType:
    """Return the array module of a backend.

    Parameters
    ----------
    backend : {"auto", "numpy", "cupy"}
        "auto" means cupy if it is installed and finds a GPU, and numpy otherwise.

    Returns
    -------
    module
        ``numpy`` or ``cupy``.

    Raises
    ------
    UserError
        The backend is unknown; or it is "cupy", and CuPy is not installed, cannot load the CUDA libraries, or finds no
        GPU.
    """
    if backend not in BACKENDS:
        raise UserError(
            f"`backend` must be auto, numpy or cupy, not {shown(backend)}{did_you_mean(str(backend), BACKENDS)}"
        )
    if backend == "numpy":
        return np
    try:
        return _cupy_with_gpu()
    except UserError:
        if backend == "auto":
            return np
        raise


def _cupy_with_gpu() -> ModuleType:
    """Return cupy, or raise a UserError that says why it cannot be used."""
    if importlib.util.find_spec("cupy") is None:
        raise UserError(
            "`backend` cupy needs CuPy, which is not installed: run `pip install -e .[cuda12]` (or .[cuda13]), "
            "or use `backend` numpy"
        )
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        raise UserError(
            f"`backend` cupy needs CuPy, which is installed but cannot be imported ({error}): reinstall it, "
            "or use `backend` numpy"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        if "InsufficientDriver" in str(error):
            raise UserError(
                "`backend` cupy needs an NVIDIA driver, which is missing or too old for this CuPy: update the driver, "
                "install the CuPy for the CUDA version that `nvidia-smi` shows, or use `backend` numpy"
            ) from error
        raise UserError(
            f"`backend` cupy needs an NVIDIA GPU, but CuPy finds none that it can use ({error}): "
            "check that `nvidia-smi` lists one, or use `backend` numpy"
        ) from error
    if count == 0:
        raise UserError("`backend` cupy needs an NVIDIA GPU, but this machine has none: use `backend` numpy")
    _require_libraries(cupy)
    return cupy


def _require_libraries(cupy: ModuleType) -> None:
    """Load cuBLAS and NVRTC now; otherwise CuPy would fail later, at its first product or its first kernel."""
    try:
        _ = cupy.cuda.cublas  # CuPy imports it on first access
        cupy.cuda.nvrtc.getVersion()
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"`backend` cupy needs the CUDA libraries, which CuPy cannot load ({error}): run "
            "`pip install -e .[cuda12]` (or .[cuda13]; if PyTorch is installed too, match its CUDA version), "
            "or use `backend` numpy"
        ) from error


def choose_device(backend: str, device: int = 0, tf32: bool = False) -> None:
    """Choose the GPU that this process computes on; does nothing if `backend` means NumPy.

    Parameters
    ----------
    backend : {"auto", "numpy", "cupy"}
        See :func:`backend_module`.
    device : int
        Number of the GPU, counted from 0.
    tf32 : bool
        Whether tensor cores may compute matrix products in float32. They round the factors to TF32, which keeps 10 bits
        of the mantissa. Overrides $CUPY_TF32. Choose before the first product, since CuPy reads the setting only once.

    Raises
    ------
    UserError
        This machine has no GPU of that number, or the backend cannot be used.
    """
    xp = backend_module(backend)
    if xp is np:
        return
    count = xp.cuda.runtime.getDeviceCount()
    if not 0 <= device < count:
        numbers = "0" if count == 1 else f"from 0 to {count - 1}"
        raise UserError(f"`device` must be {numbers}, not {device}: choose one of this machine's GPUs")
    xp.cuda.Device(device).use()
    os.environ["CUPY_TF32"] = "1" if tf32 else "0"


def choose_devices(ranks: Ranks, backend: str, device: int = 0, tf32: bool = False) -> None:
    """Choose a GPU for each rank, from GPU `device` on; otherwise as :func:`choose_device`.

    Where a rank sees a single GPU, the launcher has chosen one for it; where the ranks of a machine name several, each
    gets its own.

    Raises
    ------
    UserError
        A machine has more ranks than GPUs.
    """
    devices, place = ranks.neighbours(device)
    ranks.each(_choose_device_of, place, devices, backend, tf32)
    chosen, place = ranks.neighbours(_bus_id(backend_module(backend)))
    ranks.each(_require_own_gpu, chosen, place)


def _choose_device_of(place: int, devices: list[int], backend: str, tf32: bool) -> None:
    """Choose the GPU of the rank at a place among those of its machine, which have named these devices."""
    xp, device, ranks_here = backend_module(backend), devices[place], len(devices)
    if xp is np or ranks_here == 1 or len(set(devices)) > 1 or (count := xp.cuda.runtime.getDeviceCount()) == 1:
        choose_device(backend, device, tf32)
        return
    if device + ranks_here > count:
        raise UserError(
            f"{ranks_here} processes on this machine need GPUs {device} to {device + ranks_here - 1}, and it has "
            f"{count}, from 0 on: start one process per GPU"
        )
    choose_device(backend, device + place, tf32)


def _bus_id(xp: ModuleType) -> str | None:
    """Return what tells the GPU that this process computes on from the others of the machine; None for the CPU."""
    return None if xp is np else xp.cuda.runtime.deviceGetPCIBusId(xp.cuda.Device().id)


def _require_own_gpu(chosen: list[str | None], place: int) -> None:
    """Refuse that two processes of a machine compute on the same GPU."""
    if chosen[place] is not None and chosen.count(chosen[place]) > 1:
        raise UserError(
            f"{chosen.count(chosen[place])} processes share one GPU of this machine: start one process per GPU"
        )


def tf32() -> bool:
    """Return whether matrix products in float32 on a GPU may use TF32, see :func:`choose_device`."""
    return os.environ.get("CUPY_TF32", "0") != "0"


def describe_device(xp: ModuleType) -> str:
    """Describe what `xp` computes on in a few words: the CPU or the name of the GPU, and the version of the library."""
    if xp is np:
        return f"CPU, NumPy {np.__version__}"
    properties = xp.cuda.runtime.getDeviceProperties(xp.cuda.Device().id)
    return f"GPU {properties['name'].decode()}, CuPy {xp.__version__}"
