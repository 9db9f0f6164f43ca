"""Where arrays live: NumPy on the CPU or CuPy on an NVIDIA GPU."""

from minigrid.backend.arrays import BLOCK, Array, array_module, blocks, to_host
from minigrid.backend.device import BACKENDS, backend_module, choose_device, describe_device, tf32
from minigrid.backend.workspace import Workspace

__all__ = [
    "BACKENDS",
    "BLOCK",
    "Array",
    "Workspace",
    "array_module",
    "backend_module",
    "blocks",
    "choose_device",
    "describe_device",
    "tf32",
    "to_host",
]
