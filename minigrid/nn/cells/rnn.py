"""One layer of a plain recurrent network over a whole sequence, forward and backward."""

from typing import NamedTuple

from minigrid.backend import Array, Workspace, array_module
from minigrid.nn.cells.cell import Arrays, Cell, Memory, State
from minigrid.nn.ops import LayerInput, rows
from minigrid.nn.options import ModelOptions


class Cache(NamedTuple):
    """What the backward pass needs, and what a picture shows."""

    source: LayerInput
    h: Array  # (T + 1, B, H), h[0] before the first step


class RNN(Cell):
    """A layer of ``h[t] = tanh(x[t] @ W_x + h[t-1] @ W_h + bias)``."""

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
        self, source: LayerInput, c_below: Memory, state: State, weights: Arrays, steps: int, workspace: Workspace
    ) -> tuple[Array, Memory, State, Cache]:
        """See :meth:`Cell.forward`."""
        T, (B, H) = steps, state["h"].shape
        W_x, W_h, bias = weights.values()
        xp = array_module(W_h)
        h = workspace.empty("h", (T + 1, B, H))
        source.project(W_x, bias, out=h[1:])
        h[0] = state["h"]
        for t in range(T):
            h[t + 1] += h[t] @ W_h
            xp.tanh(h[t + 1], out=h[t + 1])
        return h[1:], c_below, {"h": h[T].copy()}, Cache(source, h)

    def backward(
        self, dout: Array, dc: Memory, dstate: State, cache: Cache, weights: Arrays, grads: Arrays, workspace: Workspace
    ) -> tuple[Array | None, Memory, State]:
        """See :meth:`Cell.backward`."""
        source, h = cache
        T, B, H = dout.shape
        W_x, W_h, _ = weights.values()
        dW_x, dW_h, dbias = grads.values()
        da = workspace.scratch("da", (T, B, H))
        outside = self.gradient_of_h(dout, dstate["h"], workspace)
        dh = outside[T]
        for t in reversed(range(T)):
            da[t] = dh * (1 - h[t + 1] * h[t + 1])  # h = tanh(a)
            dh = da[t] @ W_h.T + outside[t]
        dW_h += rows(h[:-1]).T @ rows(da)
        dsource = source.project_backward(da, W_x, dW_x, dbias)
        return dsource, dc, {"h": dh}

    def named_arrays(self, cache: Cache, weights: Arrays) -> Arrays:
        """See :meth:`Cell.named_arrays`."""
        W_x, W_h, bias = weights.values()
        h = cache.h
        a = array_module(h).empty_like(h[1:])
        cache.source.project(W_x, bias, out=a)
        a += h[:-1] @ W_h
        return {"rnn.a": a, "rnn.h": h[1:], "rnn.h_prev": h[:-1]}
