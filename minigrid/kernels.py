"""CUDA kernels: the LSTM update and RMSprop in one launch each, which take NumPy a dozen operations; dropout masks.

The sources, in ``cuda/``, are compiled when the first array on a GPU asks for them, and CuPy keeps the result on disk.
Here and in :mod:`minigrid.recurrence` the passes take another way for arrays on a GPU; the equations are the same.
"""

from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from minigrid.backend import Array, array_module

FOLDER = Path(__file__).with_name("cuda")
REAL = {"float32": "float", "float64": "double"}
WARP = 32  # threads that a GPU runs together
MOST_THREADS = 256  # of a block
PER_COUNTER = 8  # 32-bit random numbers that one value of Philox's counter gives


def fused(x: Array) -> "Kernels | None":
    """Return the kernels for arrays like `x`, which lies on a GPU; None for a NumPy array."""
    xp = array_module(x)
    return None if xp is np else _kernels(xp, x.dtype)


def source(*names: str) -> str:
    """Return files of ``cuda/``, one after the other."""
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in names)


@cache
def _kernels(xp: ModuleType, dtype: np.dtype) -> "Kernels":
    return Kernels(xp, dtype)


class Kernels:
    """The kernels for one dtype; each method has a twin for NumPy.

    A kernel is handed addresses only: arrays must lie as its twin's callers lay them out, which the sources describe.
    """

    def __init__(self, xp: ModuleType, dtype: np.dtype):
        self._real = dtype.type
        gates, optim, masks = (
            xp.RawModule(code=source(name), options=(f"-DREAL={REAL[dtype.name]}",))
            for name in ("gates.cu", "optim.cu", "masks.cu")
        )
        self._forward = gates.get_function("lstm_forward")
        self._backward = gates.get_function("lstm_backward")
        self._rmsprop = optim.get_function("rmsprop")
        self._masks = masks.get_function("dropout_masks")

    def lstm_forward(
        self, a_x: Array, a_h: Array, gates: Array, c_prev: Array, c: Array, s: Array, h: Array, output: str
    ) -> None:
        """Twin of :func:`minigrid.gates.lstm_forward`; a_x and a_h are views of packed rows."""
        self._rowwise(self._forward, (a_x, a_h, gates, c_prev, c, s, h), output)

    def lstm_backward(
        self, dh: Array, dc: Array, gates: Array, c_prev: Array, c: Array, s: Array, da: Array, output: str
    ) -> None:
        """Twin of :func:`minigrid.gates.lstm_slopes` and `lstm_backward` in one; da is a view of packed rows."""
        self._rowwise(self._backward, (dh, dc, gates, c_prev, c, s, da), output)

    def rmsprop(self, p: Array, g: Array, m: Array, lr: float, alpha: float, epsilon: float) -> None:
        """Twin of :class:`minigrid.optim.RMSprop`."""
        numbers = map(self._real, (lr, alpha, 1 - alpha, epsilon))
        self._flat(self._rmsprop, p.size, (p, g, m, *numbers, np.int64(p.size)))

    def dropout_masks(self, masks: Array, key: tuple[int, int], dropout: float) -> None:
        """Twin of what :meth:`minigrid.CharModel.draw_masks` does on the host: the same masks, bit by bit."""
        numbers = (np.float32(dropout), self._real(1 / (1 - dropout)))
        self._flat(
            self._masks, -(-masks.size // PER_COUNTER), (masks, *map(np.uint64, key), *numbers, np.int64(masks.size))
        )

    def _flat(self, kernel: Any, threads: int, arguments: tuple) -> None:
        kernel((-(-threads // MOST_THREADS),), (MOST_THREADS,), arguments)

    def _rowwise(self, kernel: Any, arrays: tuple[Array, ...], output: str) -> None:
        """Launch a kernel of gates.cu: a block of threads for each row, or several where a row is long."""
        *steps, B, H = arrays[3].shape  # c_prev's
        rows = B * (steps[0] if steps else 1)
        threads = min(MOST_THREADS, -(-H // WARP) * WARP)
        kernel((rows, -(-H // threads)), (threads,), (*arrays, np.int32(B), np.int32(H), np.int32(output == "paper")))
