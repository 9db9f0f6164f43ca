"""One layer of gated recurrent units over a whole sequence, in char-rnn's form, forward and backward."""

from typing import NamedTuple

from minigrid.backend import Array, Scope, Workspace, array_module
from minigrid.nn.cells.cell import Arrays, Cell, Memory, State, Weights, weights_of
from minigrid.nn.ops import LayerInput, rows
from minigrid.nn.options import ModelOptions


class Cache(NamedTuple):
    """What the backward pass needs, and what a picture of the gates shows."""

    x: LayerInput
    weights: Weights  # W_x (N, 3H), W_h (H, 3H), bias (3H,)
    h: Array  # (T + 1, B, H): step t reads h[t] and writes h[t + 1]
    gates: Array  # (T, B, 3H), z r n
    reset: Array  # (T, B, H), r * h_prev


class GRU(Cell):
    """A layer of gated recurrent units.

    ::

        z = sigmoid(x @ W_z + h_prev @ U_z + b_z)
        r = sigmoid(x @ W_r + h_prev @ U_r + b_r)
        n = tanh(x @ W_n + (r * h_prev) @ U_n + b_n)
        h = z * n + (1 - z) * h_prev

    Gates are packed [z | r | n]; W_x holds the W, W_h the U. z multiplies the candidate n, and the reset gate acts
    before the product with U_n. PyTorch does both the other way round.
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
        self, x: LayerInput, c_below: Memory, state: State, weights: Arrays, workspace: Workspace | Scope
    ) -> tuple[Array, Memory, State, Cache]:
        """See :meth:`Cell.forward`."""
        T, (B, H) = x.steps, state["h"].shape
        W = weights_of("gru", weights)
        xp = array_module(W.W_h)
        h = workspace.empty("h", (T + 1, B, H))
        gates = workspace.empty("gates", (T, B, 3 * H))
        reset = workspace.empty("reset", (T, B, H))
        # contiguous: CuPy would copy a slice of columns at every product
        U_zr, U_n = W.W_h[:, : 2 * H].copy(), W.W_h[:, 2 * H :].copy()

        x.project(W.W_x, W.bias, out=gates)
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
        return h[1:], c_below, {"h": h[T].copy()}, Cache(x, W, h, gates, reset)

    def backward(
        self, dout: Array, dc_above: Memory, dstate: State, cache: Cache, grads: Arrays, workspace: Workspace | Scope
    ) -> tuple[Array | None, Memory, State]:
        """See :meth:`Cell.backward`."""
        x, W, h, gates, reset = cache
        T, B, H = reset.shape
        dW = weights_of("gru", grads)
        U_zr, U_n = W.W_h[:, : 2 * H].copy(), W.W_h[:, 2 * H :].copy()
        da = workspace.scratch("da", (T, B, 3 * H))

        dh_next = array_module(dout).zeros((B, H), dout.dtype) if dstate["h"] is None else dstate["h"]
        for t in reversed(range(T)):
            z, r, n = split(gates[t])
            da_z, da_r, da_n = split(da[t])
            dh = dout[t] + dh_next  # h[t + 1] is read by the layer above and by step t + 1
            # h[t + 1] = z * n + (1 - z) * h[t]
            dz = dh * (n - h[t])
            dn = dh * z
            dh_prev = dh * (1 - z)
            # n = tanh(a_n), a_n = ... + (r * h[t]) @ U_n
            da_n[...] = dn * (1 - n * n)
            dreset = da_n @ U_n.T
            dr = dreset * h[t]
            dh_prev += dreset * r
            # z, r = sigmoid(a_zr), a_zr = ... + h[t] @ U_zr
            da_z[...] = dz * z * (1 - z)
            da_r[...] = dr * r * (1 - r)
            dh_prev += da[t, :, : 2 * H] @ U_zr.T
            dh_next = dh_prev
        dW.W_h[:, : 2 * H] += rows(h[:-1]).T @ rows(da)[:, : 2 * H]
        dW.W_h[:, 2 * H :] += rows(reset).T @ rows(da)[:, 2 * H :]
        dx = x.project_backward(da, W.W_x, dW.W_x, dW.bias)
        return dx, dc_above, {"h": dh_next}

    def named_arrays(self, cache: Cache) -> dict[str, Array]:
        """See :meth:`Cell.named_arrays`."""
        x, W, h, gates, reset = cache
        H = self.hidden
        a = array_module(h).empty_like(gates)
        x.project(W.W_x, W.bias, out=a)
        a[..., : 2 * H] += h[:-1] @ W.W_h[:, : 2 * H]
        a[..., 2 * H :] += reset @ W.W_h[:, 2 * H :]
        named = {f"gru.a_{gate}": a_gate for gate, a_gate in zip("zrn", split(a), strict=True)}
        named |= {f"gru.{gate}": array for gate, array in zip("zrn", split(gates), strict=True)}
        return named | {"gru.h": h[1:], "gru.h_prev": h[:-1]}


def split(packed: Array) -> tuple[Array, Array, Array]:
    """View (..., 3H) as its thirds z, r and n, (..., H) each."""
    H = packed.shape[-1] // 3
    return packed[..., :H], packed[..., H : 2 * H], packed[..., 2 * H :]
