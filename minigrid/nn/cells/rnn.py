"""One layer of a plain recurrent network over a whole sequence, forward and backward."""

from typing import NamedTuple

from minigrid.backend import Array, Scope, Workspace, array_module
from minigrid.nn.cells.cell import Arrays, Cell, Memory, State, Weights, weights_of
from minigrid.nn.ops import LayerInput, rows
from minigrid.nn.options import ModelOptions


class Cache(NamedTuple):
    """What the backward pass needs, and what a picture shows."""

    x: LayerInput
    weights: Weights  # W_x (N, H), W_h (H, H), bias (H,)
    h: Array  # (T + 1, B, H): step t reads h[t] and writes h[t + 1]


class RNN(Cell):
    """A layer of ``h[t + 1] = tanh(x[t] @ W_x + h[t] @ W_h + bias)``."""

    prefix = "rnn"
    states = ("h",)
    kept, passing = 1, 5  # kept: h

    def __init__(self, options: ModelOptions):
        self.hidden = options.hidden

    def weight_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """See :meth:`Cell.weight_shapes`."""
        H = self.hidden
        return {"rnn.W_x": (inputs, H), "rnn.W_h": (H, H), "rnn.bias": (H,)}

    def forward(
        self, x: LayerInput, c_below: Memory, state: State, weights: Arrays, workspace: Workspace | Scope
    ) -> tuple[Array, Memory, State, Cache]:
        """See :meth:`Cell.forward`."""
        T, (B, H) = x.steps, state["h"].shape
        W = weights_of("rnn", weights)
        xp = array_module(W.W_h)
        h = workspace.empty("h", (T + 1, B, H))
        x.project(W.W_x, W.bias, out=h[1:])
        h[0] = state["h"]
        for t in range(T):
            h[t + 1] += h[t] @ W.W_h
            xp.tanh(h[t + 1], out=h[t + 1])
        return h[1:], c_below, {"h": h[T].copy()}, Cache(x, W, h)

    def backward(
        self, dout: Array, dc_above: Memory, dstate: State, cache: Cache, grads: Arrays, workspace: Workspace | Scope
    ) -> tuple[Array | None, Memory, State]:
        """See :meth:`Cell.backward`."""
        x, W, h = cache
        T, B, H = dout.shape
        dW = weights_of("rnn", grads)
        da = workspace.scratch("da", (T, B, H))
        dh_next = array_module(dout).zeros((B, H), dout.dtype) if dstate["h"] is None else dstate["h"]
        for t in reversed(range(T)):
            dh = dout[t] + dh_next  # h[t + 1] is read by the layer above and by step t + 1
            da[t] = dh * (1 - h[t + 1] * h[t + 1])  # h[t + 1] = tanh(a[t])
            dh_next = da[t] @ W.W_h.T  # a[t] = x[t] @ W_x + h[t] @ W_h + bias
        dW.W_h[...] += rows(h[:-1]).T @ rows(da)
        dx = x.project_backward(da, W.W_x, dW.W_x, dW.bias)
        return dx, dc_above, {"h": dh_next}

    def named_arrays(self, cache: Cache) -> dict[str, Array]:
        """See :meth:`Cell.named_arrays`."""
        x, W, h = cache
        a = array_module(h).empty_like(h[1:])
        x.project(W.W_x, W.bias, out=a)
        a += h[:-1] @ W.W_h
        return {"rnn.a": a, "rnn.h": h[1:], "rnn.h_prev": h[:-1]}
