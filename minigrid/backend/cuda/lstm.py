"""The LSTM of a layer on a GPU: the loops over time, and the update of all steps at once.

Each function has a NumPy twin that computes the same: ``forward_steps`` and ``backward_steps`` in
:mod:`minigrid.nn.cells.lstm`, ``lstm_forward`` and ``lstm_backward`` in :mod:`minigrid.nn.gates`. `cache` and `update`
are the named tuples ``Cache`` and ``Update`` of those modules.
"""

from typing import Any

from minigrid.backend.arrays import Array, array_module
from minigrid.backend.cuda.kernels import kernels_for
from minigrid.backend.cuda.recurrence import recurrence


def forward_steps(a_x: Array, cache: Any, output: str, workspace: Any) -> None:
    """Go from h[0] and c[0] to h[T] and c[T]: in one launch if the layer fits on the chip, otherwise step by step."""
    h, W_h = cache.h, cache.weights.W_h
    if on_chip := recurrence(h[0]):
        on_chip.forward(a_x, cache, output)
        return
    xp, kernels = array_module(h), kernels_for(h)
    a_h = workspace.scratch("a_h", a_x.shape[1:])
    for t in range(len(a_x)):
        xp.matmul(h[t], W_h, out=a_h)
        kernels.lstm_forward(a_x[t], a_h, cache.update.of_steps(t), output)


def backward_steps(dh: Array, dc: Array | None, cache: Any, da: Array, output: str) -> tuple[Array, Array]:
    """Go back from the last step to the first; write da (T, B, 4H), return the gradients of h[0] and c[0]."""
    xp = array_module(da)
    dh_next, dc_next = dh[-1].copy(), xp.zeros_like(dh[-1]) if dc is None else dc.copy()
    if on_chip := recurrence(dc_next):
        on_chip.backward(dh, dh_next, dc_next, cache, da, output)
        return dh_next, dc_next
    kernels = kernels_for(da)
    for t in reversed(range(len(da))):
        kernels.lstm_backward(dh_next, dc_next, cache.update.of_steps(t), da[t], output)
        xp.matmul(da[t], cache.weights.W_h.T, out=dh_next)
        dh_next += dh[t]
    return dh_next, dc_next


def update_forward(a_x: Array, h: Array, W_h: Array, update: Any, output: str) -> None:
    """Update all steps of an LSTM without a recurrence over time: ``a[t] = a_x[t] + h[t] @ W_h``, for h (T, B, H)."""
    a_h = h.reshape(-1, h.shape[-1]) @ W_h
    kernels_for(a_x).lstm_forward(a_x, a_h, update, output)


def update_backward(dh: Array, dc: Array, update: Any, da: Array, output: str) -> None:
    """Backward of :func:`update_forward`: write da (T, B, 4H), turn dc (T, B, H) into the gradient of `c_prev`."""
    kernels_for(da).lstm_backward(dh, dc, update, da, output)
