"""Where arrays live: NumPy on the CPU, or CuPy on an NVIDIA GPU."""

from minigrid.backend.arrays import CHUNK, Array, array_module, chunks, cut, on_gpu, to_host
from minigrid.backend.device import BACKENDS, backend_module, choose_device, choose_devices, describe_device, tf32
from minigrid.backend.workspace import Scope, Workspace

__all__ = [
    "BACKENDS",
    "CHUNK",
    "Array",
    "Scope",
    "Workspace",
    "array_module",
    "backend_module",
    "choose_device",
    "choose_devices",
    "chunks",
    "cut",
    "describe_device",
    "on_gpu",
    "tf32",
    "to_host",
]
