"""One layer of LSTM over a whole sequence, forward and backward through time.

A stacked LSTM is made of these; so is the time dimension of a grid, layer by layer.
"""

from typing import NamedTuple

from minigrid.backend import Array, Workspace, array_module
from minigrid.cells.cell import Cell
from minigrid.gates import lstm_backward, lstm_forward
from minigrid.ops import LayerInput, linear_forward, rows, transposed


class Weights(NamedTuple):
    """Weights of one LSTM, or their gradients: W_x (N, 4H), W_h (H, 4H), bias (4H,)."""

    W_x: Array
    W_h: Array
    bias: Array


class Cache(NamedTuple):
    """What the backward pass needs, and what a picture of the gates shows.

    The hidden states are batch-major, h[0] before the first step; the rest is feature-major.
    """

    source: LayerInput
    h: Array  # (T + 1, B, H)
    c: Array  # (T + 1, H, B)
    gates: Array  # (T, 4, H, B), i f o g
    s: Array  # (T, H, B), the tanh inside the output


def sequence_forward(
    source: LayerInput,
    h0: Array,
    c0: Array,
    weights: Weights,
    steps: int,
    output: str,
    workspace: Workspace,
) -> Cache:
    """Run the LSTM over `steps` time steps.

    ::

        a[t] = x[t] @ W_x + h[t-1] @ W_h + bias
        h[t], c[t] = lstm(a[t], c[t-1])

    The products with x do not wait for h and are done for all steps at once.

    Parameters
    ----------
    source : TokenInput or DenseInput
        x, the input of the layer.
    h0, c0 : (B, H) arrays
        Initial state.
    weights : Weights
        Of this layer.
    steps : int
        T.
    output : {"standard", "paper"}
        Form of h, see :mod:`minigrid.gates`.
    workspace : Workspace
        Gives the arrays.
    """
    T, (B, H) = steps, h0.shape
    xp = array_module(h0)
    h = workspace.empty("h", (T + 1, B, H), padded=True)
    c = workspace.empty("c", (T + 1, H, B))
    gates = workspace.empty("gates", (T, 4, H, B))
    s = workspace.empty("s", (T, H, B))
    from_x = workspace.scratch("a_rows", (T, B, 4 * H), padded=True)

    source.project(weights.W_x, weights.bias, out=from_x)
    h[0], c[0] = h0, c0.T
    W_hT = transposed(weights.W_h, uses=T)  # (4H, H)
    a = gates.reshape(T, 4 * H, B)
    for t in range(T):
        xp.matmul(W_hT, h[t].T, out=a[t])
        a[t] += from_x[t].T
        lstm_forward(gates[t], c[t], c[t + 1], s[t], h[t + 1].T, output)
    return Cache(source, h, c, gates, s)


def sequence_backward(
    dh: Array, dc: Array, cache: Cache, weights: Weights, grads: Weights, output: str, workspace: Workspace
) -> tuple[Array | None, Array, Array]:
    """Backward of :func:`sequence_forward`, from the last step to the first.

    Parameters
    ----------
    dh : (T + 1, B, H) array
        Gradients that arrive at each h from outside this recurrence; dh[0] is that of the initial state.
    dc : (B, H) array
        Gradient that arrives at the final memory cell.
    cache, weights, output
        As in the forward pass.
    grads : Weights
        Added to.
    workspace : Workspace
        Gives the arrays.

    Returns
    -------
    dsource : array or None
        Gradient of what the source reads, as its `project_backward` returns it.
    dh0, dc0 : (B, H) arrays
        Gradients of the initial state.
    """
    source, h, c, gates, s = cache
    T, _, H, B = gates.shape
    xp = array_module(h)
    da_rows = workspace.scratch("a_rows", (T, B, 4 * H), padded=True)
    da = workspace.scratch("da", (4, H, B))
    dh_t = workspace.scratch("dh", (H, B))
    dc_t = workspace.scratch("dc", (H, B))
    scratch = workspace.scratch("slope", (4, H, B))

    dc_t[...] = dc.T
    dh_t[...] = dh[T].T
    for t in reversed(range(T)):
        lstm_backward(dh_t, dc_t, gates[t], c[t], c[t + 1], s[t], da, dc_t, scratch, output)
        da_t = da.reshape(4 * H, B)
        da_rows[t] = da_t.T
        # a[t] = ... + h[t-1] @ W_h; h[t-1] also has the gradient that arrives from outside
        xp.matmul(weights.W_h, da_t, out=dh_t)
        dh_t += dh[t].T
    grads.W_h[...] += rows(h[:-1]).T @ rows(da_rows)
    dsource = source.project_backward(da_rows, weights.W_x, grads.W_x, grads.bias)
    return dsource, dh_t.T.copy(), dc_t.T.copy()


def final_state(cache: Cache) -> dict[str, Array]:
    """Return copies of the last h and c, (B, H) each."""
    return {"h": cache.h[-1].copy(), "c": cache.c[-1].T.copy()}


def named_gates(source: LayerInput, h: Array, gates: Array, weights: Weights) -> dict[str, Array]:
    """Name the pre-activations and gates of one LSTM that read `source` and `h`: (T, B, H) each."""
    a = linear_forward(h, weights.W_h, weights.bias)  # (T, B, 4H)
    from_x = array_module(a).empty_like(a)
    source.project(weights.W_x, array_module(a).zeros_like(weights.bias), out=from_x)
    a += from_x
    H = h.shape[-1]
    named = {f"a_{gate}": a[..., k * H : (k + 1) * H] for k, gate in enumerate("ifog")}
    return named | {gate: gates[:, k].swapaxes(1, 2) for k, gate in enumerate("ifog")}


def named_arrays(cache: Cache, weights: Weights) -> dict[str, Array]:
    """Name everything that :func:`sequence_forward` computed: (T, B, H) each."""
    h, c = cache.h, cache.c.swapaxes(1, 2)
    named = named_gates(cache.source, h[:-1], cache.gates, weights)
    return named | {"c": c[1:], "h": h[1:], "c_prev": c[:-1], "h_prev": h[:-1]}


class LSTM(Cell):
    """A layer of the stacked LSTM."""

    kind = "lstm"
    states = ("h", "c")
    kept, passing = 7, 9  # kept: h, c, s and four gates

    def __init__(self, hidden: int, lstm_output: str):
        self.hidden = hidden
        self.output = lstm_output

    def weight_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        H = self.hidden
        return {"lstm.W_x": (inputs, 4 * H), "lstm.W_h": (H, 4 * H), "lstm.bias": (4 * H,)}

    def forward(self, source, memory, state, weights, steps, workspace):
        cache = sequence_forward(
            source, state["h"], state["c"], Weights(*weights.values()), steps, self.output, workspace
        )
        return cache.h[1:], memory, final_state(cache), cache

    def backward(self, dout, dmemory, dstate, cache, weights, grads, workspace):
        dh = self.gradient_of_h(dout, dstate["h"], workspace)
        dsource, dh0, dc0 = sequence_backward(
            dh,
            dstate["c"],
            cache,
            Weights(*weights.values()),
            Weights(*grads.values()),
            self.output,
            workspace,
        )
        return dsource, dmemory, {"h": dh0, "c": dc0}

    def named_arrays(self, cache, weights):
        named = named_arrays(cache, Weights(*weights.values()))
        return {f"lstm.{name}": array for name, array in named.items()}
