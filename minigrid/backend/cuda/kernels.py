"""Launch the CUDA kernels for the LSTM update, the loss, the optimisers and dropout masks.

One launch replaces a dozen operations on arrays. CuPy compiles the .cu files next to this one when a kernel is first
used, and caches the result on disk. Each kernel has a twin in NumPy code, with the same equations.
"""

from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from minigrid.backend.arrays import Array, array_module

FOLDER = Path(__file__).parent
REAL = {"float32": "float", "float64": "double"}
WARP = 32  # threads per warp, the group that a GPU runs together
MOST_THREADS = 256  # threads per block, at most
MOST_BLOCKS = 1024  # blocks that share a long sum, at most; fixed, so that every GPU adds in the same order
PER_COUNTER = 8  # 32-bit random numbers per value of Philox's counter


def kernels_for(x: Array) -> "Kernels":
    """Return the kernels for arrays of the dtype of `x`, which is on a GPU."""
    return _kernels(array_module(x), x.dtype)


MODULES = {
    "gates": ("gates.cu",),
    "loss": ("reduce.cu", "loss.cu"),
    "optim": ("reduce.cu", "optim.cu"),
    "masks": ("masks.cu",),
    "recurrence": ("ptx.cu", "gates.cu", "recurrence.cu"),
}
"""The .cu files that are compiled together, in this order."""


def source(module: str) -> str:
    """Return the CUDA C++ source of one of the `MODULES`."""
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in MODULES[module])


def definitions(dtype: np.dtype, **sizes: int) -> tuple[str, ...]:
    """Return compiler options that define the macros of the source: REAL, WARP, and those in `sizes`."""
    return (f"-DREAL={REAL[dtype.name]}", *(f"-D{name}={size}" for name, size in ({"WARP": WARP} | sizes).items()))


@cache
def _kernels(xp: ModuleType, dtype: np.dtype) -> "Kernels":
    return Kernels(xp, dtype)


class Kernels:
    """The kernels for one dtype; each method has a twin for NumPy.

    A kernel receives the addresses of arrays, but no shapes or strides. Each array must therefore have the memory
    layout that the .cu file describes; the callers of the twin use the same one.
    """

    def __init__(self, xp: ModuleType, dtype: np.dtype):
        self._xp, self._dtype, self._real = xp, dtype, dtype.type
        self._kernels: dict[str, Any] = {}

    def _kernel(self, module: str, name: str) -> Any:
        """Return a kernel of one of the `MODULES`; compile it on first use."""
        if name not in self._kernels:  # CuPy compiles a source only once, however many kernels it holds
            compiled = self._xp.RawModule(code=source(module), options=definitions(self._dtype))
            self._kernels[name] = compiled.get_function(name)
        return self._kernels[name]

    def lstm_forward(self, a_x: Array, a_h: Array, update: Any, output: str) -> None:
        """Twin of :func:`minigrid.nn.gates.lstm_forward`; a_x and a_h are packed rows (..., B, 4H)."""
        gates, c_prev, c, s, h = update
        self._rowwise(self._kernel("gates", "lstm_forward"), (a_x, a_h, gates, c_prev, c, s, h), c.shape, output)

    def lstm_backward(self, dh: Array, dc: Array, update: Any, da: Array, output: str) -> None:
        """Twin of :func:`minigrid.nn.gates.lstm_slopes` and :func:`minigrid.nn.gates.lstm_backward` together.

        Writes da, packed rows (..., B, 4H), and overwrites dc with the gradient of `c_prev`.
        """
        gates, c_prev, c, s, _ = update
        self._rowwise(self._kernel("gates", "lstm_backward"), (dh, dc, gates, c_prev, c, s, da), c.shape, output)

    def cross_entropy_forward(self, logits: Array, y: Array, n: Array | None) -> tuple[Array, Array, Array]:
        """Twin of :func:`minigrid.nn.ops.cross_entropy_forward`, on logits (rows, V) and y (rows,).

        Returns
        -------
        loss : 0-d array
            Mean over the counted targets.
        p : (rows, V) array
            Softmax of the logits.
        n : 0-d array
            The given `n`, or the number of counted targets if it is None.
        """
        xp, (rows, V) = self._xp, logits.shape
        count = np.int32(n is None)
        n = xp.empty((), "int32") if n is None else xp.asarray(n, "int32")
        p, losses, loss = xp.empty_like(logits), xp.empty(rows, logits.dtype), xp.empty((), logits.dtype)
        self._by_row(self._kernel("loss", "cross_entropy_forward"), (logits, y, p, losses), rows, V)
        self._reduce(self._kernel("loss", "mean_loss"), 1, (losses, y, n, loss, np.int32(rows), count))
        return loss, p, n

    def cross_entropy_backward(self, p: Array, y: Array, n: Array) -> Array:
        """Twin of :func:`minigrid.nn.ops.cross_entropy_backward`; returns the gradient of the logits, (rows, V)."""
        dlogits = self._xp.empty_like(p)
        self._by_row(self._kernel("loss", "cross_entropy_backward"), (p, y, n, dlogits), *p.shape)
        return dlogits

    def scale_and_square(self, g: Array, factor: float) -> Array:
        """Multiply g (P,) by `factor` in place; return the sum of the squares of the result, a 0-d array."""
        blocks = min(MOST_BLOCKS, _blocks(g.size))
        sums = self._xp.empty(blocks, g.dtype)
        self._reduce(self._kernel("optim", "scale_and_square"), blocks, (g, sums, self._real(factor), np.int64(g.size)))
        return sums.sum()

    def rmsprop(self, p: Array, g: Array, m: Array, lr: float, alpha: float, epsilon: float) -> None:
        """Twin of :class:`minigrid.training.optim.RMSprop`."""
        numbers = map(self._real, (lr, alpha, 1 - alpha, epsilon))
        self._flat(self._kernel("optim", "rmsprop"), p.size, (p, g, m, *numbers, np.int64(p.size)))

    def adam(
        self, p: Array, g: Array, m: Array, v: Array, lr: float, step: int, beta1: float, beta2: float, epsilon: float
    ) -> None:
        """Twin of :class:`minigrid.training.optim.Adam`."""
        rate, correction = lr / (1 - beta1**step), 1 - beta2**step
        numbers = map(self._real, (rate, correction, beta1, 1 - beta1, beta2, 1 - beta2, epsilon))
        self._flat(self._kernel("optim", "adam"), p.size, (p, g, m, v, *numbers, np.int64(p.size)))

    def dropout_masks(self, masks: Array, key: tuple[int, int], dropout: float) -> None:
        """Twin of :meth:`minigrid.CharModel.draw_masks` on the host: draw bit-identical masks."""
        numbers = (np.float32(dropout), self._real(1 / (1 - dropout)))
        arguments = (masks, *map(np.uint64, key), *numbers, np.int64(masks.size))
        self._flat(self._kernel("masks", "dropout_masks"), -(-masks.size // PER_COUNTER), arguments)

    def _by_row(self, kernel: Any, arrays: tuple[Array, ...], rows: int, V: int) -> None:
        """Launch a kernel of loss.cu, with one warp per row."""
        blocks = -(-rows * WARP // MOST_THREADS)
        kernel((blocks,), (MOST_THREADS,), (*arrays, np.int32(rows), np.int32(V)))

    def _reduce(self, kernel: Any, blocks: int, arguments: tuple) -> None:
        """Launch a kernel in which each block adds up numbers; it needs shared memory for one sum per warp."""
        kernel((blocks,), (MOST_THREADS,), arguments, shared_mem=MOST_THREADS // WARP * np.dtype("float64").itemsize)

    def _flat(self, kernel: Any, threads: int, arguments: tuple) -> None:
        """Launch a kernel on at least `threads` threads, whole blocks of them."""
        kernel((_blocks(threads),), (MOST_THREADS,), arguments)

    def _rowwise(self, kernel: Any, arrays: tuple[Array, ...], shape: tuple[int, ...], output: str) -> None:
        """Launch a kernel of gates.cu for `shape` (..., B, H), with one block per row, or several if rows are long."""
        *steps, B, H = shape
        rows = B * (steps[0] if steps else 1)
        threads = min(MOST_THREADS, -(-H // WARP) * WARP)
        kernel((rows, -(-H // threads)), (threads,), (*arrays, np.int32(B), np.int32(H), np.int32(output == "paper")))


def _blocks(threads: int) -> int:
    """Return how many blocks hold at least `threads` threads: one even if there is nothing to do, as CUDA requires."""
    return max(1, -(-threads // MOST_THREADS))
