"""One layer of gated recurrent units over a whole sequence, in char-rnn's form, forward and backward."""

from typing import NamedTuple

from minigrid.backend import Array, Workspace, array_module
from minigrid.nn.cells.cell import Arrays, Cell, Memory, State
from minigrid.nn.ops import LayerInput, rows
from minigrid.nn.options import ModelOptions


class Cache(NamedTuple):
    """What the backward pass needs, and what a picture of the gates shows."""

    source: LayerInput
    h: Array  # (T + 1, B, H), h[0] before the first step
    gates: Array  # (T, B, 3H), z r n
    reset: Array  # (T, B, H), r * h_prev


class GRU(Cell):
    """A layer of gated recurrent units.

    ::

        z = sigmoid(x @ W_z + h_prev @ U_z + b_z)
        r = sigmoid(x @ W_r + h_prev @ U_r + b_r)
        n = tanh(x @ W_n + (r * h_prev) @ U_n + b_n)
        h = z * n + (1 - z) * h_prev

    Gates are packed [z | r | n]; W_x holds the W, W_h the U. z multiplies the candidate n, and the reset acts before
    the product with U_n (in PyTorch it is the other way round in both).
    """

    prefix = "gru"
    states = ("h",)
    kept, passing = 5, 8  # kept: h, r * h and three gates

    def __init__(self, options: ModelOptions):
        self.hidden = options.hidden

    def weight_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """See :meth:`Cell.weight_shapes`."""
        H = self.hidden
        return {"gru.W_x": (inputs, 3 * H), "gru.W_h": (H, 3 * H), "gru.bias": (3 * H,)}

    def forward(
        self, source: LayerInput, c_below: Memory, state: State, weights: Arrays, steps: int, workspace: Workspace
    ) -> tuple[Array, Memory, State, Cache]:
        """See :meth:`Cell.forward`."""
        T, (B, H) = steps, state["h"].shape
        W_x, W_h, bias = weights.values()
        xp = array_module(W_h)
        h = workspace.empty("h", (T + 1, B, H))
        gates = workspace.empty("gates", (T, B, 3 * H))
        reset = workspace.empty("reset", (T, B, H))
        source.project(W_x, bias, out=gates)
        U_zr, U_n = W_h[:, : 2 * H].copy(), W_h[:, 2 * H :].copy()  # or CuPy would copy them at every product
        h[0] = state["h"]
        for t in range(T):
            z, r, n = split(gates[t])
            zr = gates[t, :, : 2 * H]
            zr += h[t] @ U_zr
            zr *= 0.5  # sigmoid(x) = (1 + tanh(x / 2)) / 2
            xp.tanh(zr, out=zr)
            zr *= 0.5
            zr += 0.5
            xp.multiply(r, h[t], out=reset[t])
            n += reset[t] @ U_n
            xp.tanh(n, out=n)
            h[t + 1] = h[t] + z * (n - h[t])
        return h[1:], c_below, {"h": h[T].copy()}, Cache(source, h, gates, reset)

    def backward(
        self, dout: Array, dc: Memory, dstate: State, cache: Cache, weights: Arrays, grads: Arrays, workspace: Workspace
    ) -> tuple[Array | None, Memory, State]:
        """See :meth:`Cell.backward`."""
        source, h, gates, reset = cache
        T, B, H = reset.shape
        W_x, W_h, _ = weights.values()
        dW_x, dW_h, dbias = grads.values()
        da = workspace.scratch("da", (T, B, 3 * H))
        U_zrT, U_nT = W_h[:, : 2 * H].copy().T, W_h[:, 2 * H :].copy().T

        outside = self.gradient_of_h(dout, dstate["h"], workspace)
        dh = outside[T]
        for t in reversed(range(T)):
            z, r, n = split(gates[t])
            daz, dar, dan = split(da[t])
            # h = z * n + (1 - z) * h_prev
            dz = dh * (n - h[t])
            dn = dh * z
            dh_prev = dh * (1 - z)
            # n = tanh(a_n), a_n = ... + (r * h_prev) @ U_n
            dan[...] = dn * (1 - n * n)
            dreset = dan @ U_nT
            dr = dreset * h[t]
            dh_prev += dreset * r
            # z, r = sigmoid(a), a_zr = ... + h_prev @ U_zr
            daz[...] = dz * z * (1 - z)
            dar[...] = dr * r * (1 - r)
            dh_prev += da[t, :, : 2 * H] @ U_zrT
            dh = dh_prev + outside[t]
        dW_h[:, : 2 * H] += rows(h[:-1]).T @ rows(da)[:, : 2 * H]
        dW_h[:, 2 * H :] += rows(reset).T @ rows(da)[:, 2 * H :]
        dsource = source.project_backward(da, W_x, dW_x, dbias)
        return dsource, dc, {"h": dh}

    def named_arrays(self, cache: Cache, weights: Arrays) -> Arrays:
        """See :meth:`Cell.named_arrays`."""
        W_x, W_h, bias = weights.values()
        H, h = self.hidden, cache.h
        a = array_module(h).empty((*cache.reset.shape[:2], 3 * H), h.dtype)
        cache.source.project(W_x, bias, out=a)
        a[..., : 2 * H] += h[:-1] @ W_h[:, : 2 * H]
        a[..., 2 * H :] += cache.reset @ W_h[:, 2 * H :]
        named = {f"gru.a_{gate}": a_gate for gate, a_gate in zip("zrn", split(a), strict=True)}
        named |= {f"gru.{gate}": array for gate, array in zip("zrn", split(cache.gates), strict=True)}
        return named | {"gru.h": h[1:], "gru.h_prev": h[:-1]}


def split(packed: Array) -> tuple[Array, Array, Array]:
    """View (..., 3H) as its thirds z, r and n, (..., H) each."""
    H = packed.shape[-1] // 3
    return packed[..., :H], packed[..., H : 2 * H], packed[..., 2 * H :]
