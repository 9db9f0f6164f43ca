"""Fixtures and settings of all tests."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("minigrid", deadline=None)  # a shared machine may stall; slowness is no failure
settings.load_profile("minigrid")


class DeviceArray:
    """Stands for an array on a GPU: like CuPy's, it never turns into a NumPy array by itself."""

    __array_ufunc__ = None  # NumPy's operators refuse it with a TypeError

    def __init__(self, array):
        self.on_device = np.array(array)

    def __array__(self, *args, **kwargs):
        raise TypeError("implicit conversion to a NumPy array is not allowed")

    def __getattr__(self, name):
        if name in ("shape", "size", "ndim", "dtype"):
            return getattr(self.on_device, name)
        raise AttributeError(name)

    def reshape(self, *shape):
        return DeviceArray(self.on_device.reshape(*shape))


@pytest.fixture
def fake_cupy(monkeypatch) -> ModuleType:
    """A module that passes for an imported cupy with one GPU; ``fake_cupy.asarray`` makes its arrays."""
    cupy = ModuleType("cupy")
    cupy.__spec__ = ModuleSpec("cupy", loader=None)
    cupy.__version__ = "0.0"
    cupy.ndarray = cupy.asarray = DeviceArray
    cupy.asnumpy = lambda x: x.on_device.copy()

    runtime = ModuleType("runtime")
    runtime.CUDARuntimeError = type("CUDARuntimeError", (RuntimeError,), {})
    runtime.getDeviceCount = lambda: 1
    runtime.getDeviceProperties = lambda number: {"name": f"Make-believe {number}".encode()}
    cupy.cuda = ModuleType("cuda")
    cupy.cuda.runtime = runtime
    cupy.cuda.Device = lambda: type("Device", (), {"id": 7})

    monkeypatch.setitem(sys.modules, "cupy", cupy)
    return cupy
