"""One layer of gated recurrent units over a whole sequence, in char-rnn's form, forward and backward."""

from typing import NamedTuple

from minigrid.backend import Array, array_module
from minigrid.cells.cell import Cell
from minigrid.ops import LayerInput, rows


class Cache(NamedTuple):
    """What the backward pass needs, and what a picture of the gates shows."""

    source: LayerInput
    h: Array  # (T + 1, B, H), h[0] before the first step
    gates: Array  # (T, 3, H, B), z r n
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

    kind = "gru"
    states = ("h",)
    kept, passing = 5, 8  # kept: h, r * h and three gates

    def __init__(self, hidden: int):
        self.hidden = hidden

    def weight_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        H = self.hidden
        return {"gru.W_x": (inputs, 3 * H), "gru.W_h": (H, 3 * H), "gru.bias": (3 * H,)}

    def forward(self, source, memory, state, weights, steps, workspace):
        T, (B, H) = steps, state["h"].shape
        W_x, W_h, bias = weights.values()
        xp = array_module(W_h)
        h = workspace.empty("h", (T + 1, B, H))
        gates = workspace.empty("gates", (T, 3, H, B))
        reset = workspace.empty("reset", (T, B, H))
        from_x = workspace.scratch("a_rows", (T, B, 3 * H), padded=True)
        source.project(W_x, bias, out=from_x)
        U_zr, U_n = W_h[:, : 2 * H].T, W_h[:, 2 * H :].T
        h[0] = state["h"]
        for t in range(T):
            h_prev = h[t].T
            gates[t] = from_x[t].T.reshape(3, H, B)
            zr = gates[t, :2]
            zr += (U_zr @ h_prev).reshape(2, H, B)
            zr *= 0.5  # sigmoid(x) = (1 + tanh(x / 2)) / 2
            xp.tanh(zr, out=zr)
            zr *= 0.5
            zr += 0.5
            z, r, n = gates[t]
            reset[t] = (r * h_prev).T
            n += U_n @ reset[t].T
            xp.tanh(n, out=n)
            h[t + 1] = (h_prev + z * (n - h_prev)).T
        return h[1:], memory, {"h": h[T].copy()}, Cache(source, h, gates, reset)

    def backward(self, dout, dmemory, dstate, cache, weights, grads, workspace):
        source, h, gates, reset = cache
        T, _, H, B = gates.shape
        W_x, W_h, _ = weights.values()
        dW_x, dW_h, dbias = grads.values()
        da_rows = workspace.scratch("a_rows", (T, B, 3 * H), padded=True)
        da = workspace.scratch("da", (3, H, B))
        U_zr, U_n = W_h[:, : 2 * H], W_h[:, 2 * H :]
        daz, dar, dan = da

        outside = self.gradient_of_h(dout, dstate["h"], workspace)
        dh = outside[T].T
        for t in reversed(range(T)):
            z, r, n = gates[t]
            h_prev = h[t].T
            # h = z * n + (1 - z) * h_prev
            dz = dh * (n - h_prev)
            dn = dh * z
            dh_prev = dh * (1 - z)
            # n = tanh(a_n), a_n = ... + (r * h_prev) @ U_n
            dan[...] = dn * (1 - n * n)
            dreset = U_n @ dan
            dr = dreset * h_prev
            dh_prev += dreset * r
            # z, r = sigmoid(a), a_zr = ... + h_prev @ U_zr
            daz[...] = dz * z * (1 - z)
            dar[...] = dr * r * (1 - r)
            dh_prev += U_zr @ da[:2].reshape(2 * H, B)
            da_rows[t] = da.reshape(3 * H, B).T
            dh = dh_prev + outside[t].T
        dW_h[:, : 2 * H] += rows(h[:-1]).T @ rows(da_rows)[:, : 2 * H]
        dW_h[:, 2 * H :] += rows(reset).T @ rows(da_rows)[:, 2 * H :]
        dsource = source.project_backward(da_rows, W_x, dW_x, dbias)
        return dsource, dmemory, {"h": dh.T}

    def named_arrays(self, cache, weights):
        W_x, W_h, bias = weights.values()
        H, h = self.hidden, cache.h
        a = array_module(h).empty((*cache.reset.shape[:2], 3 * H), h.dtype)
        cache.source.project(W_x, bias, out=a)
        a[..., : 2 * H] += h[:-1] @ W_h[:, : 2 * H]
        a[..., 2 * H :] += cache.reset @ W_h[:, 2 * H :]
        named = {f"gru.a_{gate}": a[..., k * H : (k + 1) * H] for k, gate in enumerate("zrn")}
        named |= {f"gru.{gate}": cache.gates[:, k].swapaxes(1, 2) for k, gate in enumerate("zrn")}
        return named | {"gru.h": h[1:], "gru.h_prev": h[:-1]}
