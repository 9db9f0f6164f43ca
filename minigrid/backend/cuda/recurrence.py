"""The recurrence of an LSTM layer on a GPU, all steps in one launch, where its recurrent weights fit on the chip.

How that is done is in ``cuda/recurrence.cu``. Here it is decided whether a layer fits, and how it is shared out.
"""

from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from minigrid.backend.arrays import Array, array_module
from minigrid.backend.cuda.kernels import WARP, definitions, source
from minigrid.backend.device import tf32

UNITS = 8  # of a block of threads, with all four gates
THREADS = 256  # of a block
PADDING = 4  # numbers between rows in shared memory: what a warp reads together lies in different banks
MOST_ROWS = 64  # sequences that a block works on at a time
MOST_COLUMNS = 256  # of what is multiplied with the weights, at a time
# Cycles that a block waits for the others before it ends the kernel with an error: 17 seconds at 2 GHz.
PATIENCE = 2**35
OLDEST = 80  # compute capability, times ten: copies into shared memory that do not wait, tensor cores for TF32


class Chip(NamedTuple):
    """What a GPU has."""

    multiprocessors: int
    shared: int  # bytes of memory that one of them can give to a block


class Layout(NamedTuple):
    """How a layer is shared out among blocks of threads, one for each multiprocessor at most."""

    neighbourhoods: int  # of units: four blocks each, UNITS of a block
    parts: int  # of the batch
    sequences: int  # in a part
    rows: int  # sequences worked on at a time, a multiple of 16 and perhaps more than there are
    columns: int  # of what is multiplied with the weights, at a time
    shared: int  # bytes of a block

    @property
    def tile_rows(self) -> int:
        """Rows that a thread sums up: few sequences leave more threads to share the length of the sums."""
        return 2 if min(self.sequences, self.rows) <= 16 else 8


def layout(batch: int, hidden: int, itemsize: int, chip: Chip) -> Layout | None:
    """Share out a layer; None where it does not fit.

    ::

        numbers = H * 4 * UNITS + rows * max(2 * (columns + PADDING), THREADS)

    in a block's shared memory: its weights, and two chunks of what they are multiplied with, where the sums of all
    threads are put together later.
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
    """Return the sizes that the source is compiled for; `tile_rows` 0 means tensor cores."""
    return {
        "UNITS": UNITS,
        "THREADS": THREADS,
        "PADDING": PADDING,
        "PATIENCE": PATIENCE,
        "ROWS": rows,
        "TILE_ROWS": tile_rows,
    }


def recurrence(state: Array) -> "Recurrence | None":
    """Return the recurrence of layers with a state like this one, (B, H), on a GPU; None if it does not fit there."""
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
    """The loops over steps of :mod:`minigrid.nn.cells.lstm`, for one size of state and the same arrays."""

    def __init__(self, xp: ModuleType, dtype: np.dtype, layout: Layout, chip: Chip, tf32: bool):
        self._xp, self._dtype, self._layout = xp, dtype, layout
        module = xp.RawModule(
            code=source("recurrence"),
            options=definitions(dtype, **sizes(layout.rows, 0 if tf32 else layout.tile_rows)),
            enable_cooperative_groups=True,  # for the launch: all blocks run at the same time, or none does
        )
        self._forward = module.get_function("recurrence_forward")
        self._backward = module.get_function("recurrence_backward")
        for kernel in (self._forward, self._backward):
            # all that there is: layers of other sizes may share the compiled kernel, and with it this limit
            kernel.max_dynamic_shared_size_bytes = chip.shared

    def forward(self, a_x: Array, cache: Any, output: str) -> None:
        """All steps of the forward pass, from h[0] and c[0] on; a_x (T, B, 4H) is ``x @ W_x + bias``."""
        T, _, H = cache.s.shape
        counters = self._xp.zeros((T, self._layout.parts), "uint32")
        arrays = (a_x, cache.weights.W_h, cache.gates, cache.h, cache.c, cache.s, counters)
        self._launch(self._forward, H // UNITS, arrays, cache.s.shape, output)

    def backward(self, dh: Array, dh_next: Array, dc_next: Array, cache: Any, da: Array, output: str) -> None:
        """All steps of the backward pass.

        Parameters
        ----------
        dh : (T + 1, B, H) array
            Gradients that arrive at h[0] ... h[T] from outside the recurrence.
        dh_next, dc_next : (B, H) arrays
            In: the gradients that arrive at h[T] and c[T]. Out: those of h[0] and c[0].
        cache : minigrid.nn.cells.lstm.Cache
            From the forward pass.
        da : (T, B, 4H) array
            Written: gradient of the pre-activations.
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
        """Launch so many blocks for each part of the batch."""
        _, parts, sequences, _, columns, shared = self._layout
        numbers = map(np.int32, (*sizes, sequences, columns, output == "paper"))
        # Along y and z: if the GPU has no room for a grid along x, CuPy makes the grid smaller and only warns.
        kernel((1, blocks, parts), (THREADS,), (*arrays, *numbers), shared_mem=shared)
