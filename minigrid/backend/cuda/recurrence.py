"""The recurrence of an LSTM layer on a GPU: all steps in one launch, if the recurrent weights fit on the chip.

``recurrence.cu`` does the work. This module decides whether a layer fits and divides it among the blocks of threads.
"""

from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from minigrid.backend.arrays import Array, array_module
from minigrid.backend.cuda.kernels import WARP, definitions, source
from minigrid.backend.device import tf32

UNITS = 8  # hidden units per block of threads, with all four gates
THREADS = 256  # threads per block
PADDING = 4  # unused numbers after each row in shared memory, so that the threads of a warp read different banks
MOST_ROWS = 64  # sequences per product, at most
MOST_COLUMNS = 256  # columns per chunk of a product's left factor, at most
PATIENCE = 2**35  # clock cycles that a block waits for others before it aborts the kernel: 17 seconds at 2 GHz
OLDEST = 80  # lowest compute capability, times ten: the first with asynchronous copies and TF32 tensor cores


class Chip(NamedTuple):
    """The resources of a GPU."""

    multiprocessors: int
    shared: int  # bytes of shared memory per block, at most


class Layout(NamedTuple):
    """How a layer is divided among blocks of threads, at most one per multiprocessor."""

    neighbourhoods: int  # groups of four blocks, with UNITS hidden units per block
    parts: int  # parts of the batch
    sequences: int  # sequences per part; the last part may have fewer
    rows: int  # sequences per product: a multiple of 16, perhaps more than the part has
    columns: int  # columns per chunk of a product's left factor
    shared: int  # bytes of shared memory per block

    @property
    def tile_rows(self) -> int:
        """Rows of the product per thread. With few sequences, several threads share the terms of each sum."""
        return 2 if min(self.sequences, self.rows) <= 16 else 8


def layout(batch: int, hidden: int, itemsize: int, chip: Chip) -> Layout | None:
    """Divide a layer among blocks of threads; return None if it does not fit on the chip.

    Parameters
    ----------
    batch, hidden : int
        Sequences and hidden units of the layer.
    itemsize : int
        Bytes per number.
    chip : Chip
        Resources of the GPU.

    Notes
    -----
    The shared memory of a block holds ::

        numbers = H * 4 * UNITS + rows * max(2 * (columns + PADDING), THREADS)

    First come its weights, then two chunks of the matrix that they are multiplied with. Once all chunks have been
    processed, the partial sums of the threads take their place.
    """
    neighbourhoods = -(-hidden // (4 * UNITS))
    if hidden % UNITS or 4 * neighbourhoods > chip.multiprocessors:
        return None
    sequences = -(-batch // (chip.multiprocessors // (4 * neighbourhoods)))
    weights = hidden * 4 * UNITS
    room = chip.shared // itemsize - weights
    rows = min(MOST_ROWS, sequences + 15, room // THREADS) // 16 * 16
    if rows <= 0:
        return None
    columns = min(MOST_COLUMNS, room // (2 * rows) - PADDING) // WARP * WARP
    numbers = weights + rows * max(2 * (columns + PADDING), THREADS)
    return Layout(neighbourhoods, -(-batch // sequences), sequences, rows, columns, numbers * itemsize)


def sizes(rows: int, tile_rows: int) -> dict[str, int]:
    """Return the sizes to compile the source for; `tile_rows` 0 selects tensor cores."""
    return {
        "UNITS": UNITS,
        "THREADS": THREADS,
        "PADDING": PADDING,
        "PATIENCE": PATIENCE,
        "ROWS": rows,
        "TILE_ROWS": tile_rows,
    }


def recurrence(state: Array) -> "Recurrence | None":
    """Return the recurrence for a layer with `state` (B, H) on a GPU, or None if the layer does not fit on the chip."""
    xp, (B, H) = array_module(state), state.shape
    return _recurrence(xp, xp.cuda.Device().id, B, H, state.dtype, tf32())


@cache
def _recurrence(xp: ModuleType, device: int, B: int, H: int, dtype: np.dtype, tf32: bool) -> "Recurrence | None":
    gpu = xp.cuda.Device(device)
    has = gpu.attributes
    if int(gpu.compute_capability) < OLDEST or not has["CooperativeLaunch"]:
        return None
    chip = Chip(has["MultiProcessorCount"], has["MaxSharedMemoryPerBlockOptin"])
    found = layout(B, H, dtype.itemsize, chip)
    return found and Recurrence(xp, dtype, found, chip, tf32 and dtype == "float32")


class Recurrence:
    """The loops over time of :mod:`minigrid.nn.cells.lstm`, on the same arrays, for one shape and dtype of state."""

    def __init__(self, xp: ModuleType, dtype: np.dtype, layout: Layout, chip: Chip, tf32: bool):
        self._xp, self._dtype, self._layout = xp, dtype, layout
        module = xp.RawModule(
            code=source("recurrence"),
            options=definitions(dtype, **sizes(layout.rows, 0 if tf32 else layout.tile_rows)),
            enable_cooperative_groups=True,  # a cooperative launch: all blocks run at the same time, or none does
        )
        self._forward = module.get_function("recurrence_forward")
        self._backward = module.get_function("recurrence_backward")
        for kernel in (self._forward, self._backward):
            # the most that the GPU allows: layers of other sizes may share the compiled kernel, and its limit too
            kernel.max_dynamic_shared_size_bytes = chip.shared

    def forward(self, a_x: Array, cache: Any, output: str) -> None:
        """Run all steps of the forward pass, starting from h[0] and c[0]; a_x (T, B, 4H) is ``x @ W_x + bias``."""
        T, _, H = cache.s.shape
        counters = self._xp.zeros((T, self._layout.parts), "uint32")
        arrays = (a_x, cache.weights.W_h, cache.gates, cache.h, cache.c, cache.s, counters)
        self._launch(self._forward, H // UNITS, arrays, cache.s.shape, output)

    def backward(self, dh: Array, dh_next: Array, dc_next: Array, cache: Any, da: Array, output: str) -> None:
        """Run all steps of the backward pass.

        Parameters
        ----------
        dh : (T + 1, B, H) array
            Gradients that arrive at h[0] ... h[T] from outside the recurrence.
        dh_next, dc_next : (B, H) arrays
            Gradients that arrive at h[T] and c[T]. Overwritten with the gradients of h[0] and c[0].
        cache : minigrid.nn.cells.lstm.Cache
            From the forward pass.
        da : (T, B, 4H) array
            Output: gradient of the pre-activations.
        output : {"standard", "paper"}
            As in the forward pass.
        """
        T, B, H = cache.s.shape
        neighbourhoods, parts, *_ = self._layout
        products = self._xp.empty((4, B, H), self._dtype)
        counters = self._xp.zeros((T, parts, 1 + neighbourhoods), "uint32")
        forward = (cache.weights.W_h, cache.gates, cache.c, cache.s)
        arrays = (dh, dh_next, dc_next, *forward, da, products, counters)
        self._launch(self._backward, 4 * neighbourhoods, arrays, cache.s.shape, output)

    def _launch(self, kernel: Any, blocks: int, arrays: tuple[Array, ...], sizes: tuple[int, ...], output: str) -> None:
        """Launch `blocks` blocks of threads for each part of the batch."""
        _, parts, sequences, _, columns, shared = self._layout
        numbers = map(np.int32, (*sizes, sequences, columns, output == "paper"))
        # The grid lies along y and z: CuPy refuses one that is too large for the GPU. Along x, it would shrink the
        # grid and only warn.
        kernel((1, blocks, parts), (THREADS,), (*arrays, *numbers), shared_mem=shared)
