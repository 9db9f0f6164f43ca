"""Where arrays live: NumPy on the CPU, or CuPy on an NVIDIA GPU."""

from minigrid.backend.arrays import BLOCK, Array, array_module, blocks, on_gpu, to_host
from minigrid.backend.device import BACKENDS, backend_module, choose_device, describe_device, tf32
from minigrid.backend.workspace import Scope, Workspace

__all__ = [
    "BACKENDS",
    "BLOCK",
    "Array",
    "Scope",
    "Workspace",
    "array_module",
    "backend_module",
    "blocks",
    "choose_device",
    "describe_device",
    "on_gpu",
    "tf32",
    "to_host",
]
