"""One layer of LSTM over a whole sequence, forward and backward through time.

A stacked LSTM is made of these; so is the time dimension of a grid, layer by layer.
"""

from collections.abc import Callable
from typing import NamedTuple

from minigrid.backend import Array, Workspace, array_module, blocks
from minigrid.backend.blas import product_at_each_step
from minigrid.backend.cuda.kernels import fused
from minigrid.backend.cuda.recurrence import recurrence
from minigrid.nn.cells.cell import Arrays, Cell, Memory, State
from minigrid.nn.gates import by_gate, lstm_backward, lstm_forward, lstm_slopes
from minigrid.nn.ops import LayerInput, linear_forward, rows
from minigrid.nn.options import ModelOptions


class Weights(NamedTuple):
    """Weights of one LSTM, or their gradients: W_x (N, 4H), W_h (H, 4H), bias (4H,)."""

    W_x: Array
    W_h: Array
    bias: Array


class Cache(NamedTuple):
    """What the backward pass needs, and what a picture of the gates shows."""

    source: LayerInput
    h: Array  # (T + 1, B, H), h[0] before the first step
    c: Array  # (T + 1, B, H)
    gates: Array  # (T, 4, B, H), i f o g
    s: Array  # (T, B, H), the tanh inside the output


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
        Form of h, see :mod:`minigrid.nn.gates`.
    workspace : Workspace
        Gives the arrays.
    """
    T, (B, H) = steps, h0.shape
    h = workspace.empty("h", (T + 1, B, H))
    c = workspace.empty("c", (T + 1, B, H))
    gates = workspace.empty("gates", (T, 4, B, H))
    s = workspace.empty("s", (T, B, H))
    from_x = workspace.scratch("a", (T, B, 4 * H))

    source.project(weights.W_x, weights.bias, out=from_x)
    h[0], c[0] = h0, c0
    if on_chip := recurrence(h0):
        on_chip.forward(from_x, weights.W_h, gates, h, c, s, output)
    else:
        forward_steps(from_x, weights.W_h, gates, h, c, s, output, workspace)
    return Cache(source, h, c, gates, s)


def forward_steps(
    a_x: Array, W_h: Array, gates: Array, h: Array, c: Array, s: Array, output: str, workspace: Workspace
) -> None:
    """Go from h[0] and c[0] to h[T] and c[T], step by step; a_x (T, B, 4H) is what comes from the input."""
    T, B, packed = a_x.shape
    a_h = workspace.scratch("from_h", (B, packed))
    multiply = product_at_each_step(h, W_h, a_h, workspace)
    a_x, a_h_gates = by_gate(a_x), by_gate(a_h)
    for t in range(T):
        multiply(t)  # a_h = h[t] @ W_h, the h that step t reads
        lstm_forward(a_x[t], a_h_gates, gates[t], c[t], c[t + 1], s[t], h[t + 1], output)


def sequence_backward(
    dh: Array, dc: Array | None, cache: Cache, weights: Weights, grads: Weights, output: str, workspace: Workspace
) -> tuple[Array | None, Array, Array]:
    """Backward of :func:`sequence_forward`, from the last step to the first.

    Parameters
    ----------
    dh : (T + 1, B, H) array
        Gradients that arrive at each h from outside this recurrence; dh[0] is that of the initial state.
    dc : (B, H) array or None
        Gradient that arrives at the final memory cell; None is zero.
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
    T, B, H = s.shape
    da = workspace.scratch("a", (T, B, 4 * H))
    dh_t = dh[T].copy()
    dc_t = array_module(dh).zeros((B, H), dh.dtype) if dc is None else dc.copy()
    if on_chip := recurrence(dh_t):
        on_chip.backward(dh, dh_t, dc_t, weights.W_h, gates, c, s, da, output)
    else:
        backward_steps(dh, dh_t, dc_t, weights.W_h, gates, c, s, da, output, workspace)
    grads.W_h[...] += rows(h[:-1]).T @ rows(da)
    dsource = source.project_backward(da, weights.W_x, grads.W_x, grads.bias)
    return dsource, dh_t, dc_t


def backward_steps(
    dh: Array,
    dh_t: Array,
    dc_t: Array,
    W_h: Array,
    gates: Array,
    c: Array,
    s: Array,
    da: Array,
    output: str,
    workspace: Workspace,
) -> None:
    """Go back step by step; dh_t and dc_t are what arrives at h[T] and c[T] and, in the end, at h[0] and c[0]."""
    multiply = product_at_each_step(da, W_h.T, dh_t, workspace)
    da_gates = by_gate(da)
    for steps in reversed(list(blocks(da))):
        update_backward = backward_of(gates[steps], c[:-1][steps], c[1:][steps], s[steps], output, workspace)
        for k, t in reversed(list(enumerate(range(len(da))[steps]))):
            update_backward(k, dh_t, dc_t, da_gates[t])
            # a[t] = ... + h[t-1] @ W_h; h[t-1] also has the gradient that arrives from outside
            multiply(t)  # dh_t = da[t] @ W_h.T
            dh_t += dh[t]


def backward_of(
    gates: Array, c_prev: Array, c: Array, s: Array, output: str, workspace: Workspace
) -> Callable[[int | slice, Array, Array, Array], None]:
    """Return the backward pass of some steps' updates, to be called as ``update_backward(which, dh, dc, da)``.

    `which` of the steps, and da as `by_gate` shows it; see `lstm_backward`.
    Gates are (steps, 4, B, H), the rest (steps, B, H).
    """
    if kernels := fused(gates):
        return lambda which, dh, dc, da: kernels.lstm_backward(
            dh, dc, gates[which], c_prev[which], c[which], s[which], da, output
        )
    slopes = workspace.scratch("slopes", gates.shape).swapaxes(0, 1)
    gates = gates.swapaxes(0, 1)
    dh_dc = workspace.scratch("dh_dc", s.shape)
    lstm_slopes(gates, c_prev, c, s, slopes, dh_dc, output)
    f = gates[1]
    return lambda which, dh, dc, da: lstm_backward(dh, dc, f[which], slopes[:, which], dh_dc[which], da)


def final_state(cache: Cache) -> dict[str, Array]:
    """Return copies of the last h and c, (B, H) each."""
    return {"h": cache.h[-1].copy(), "c": cache.c[-1].copy()}


def named_gates(source: LayerInput, h: Array, gates: Array, weights: Weights) -> dict[str, Array]:
    """Name the pre-activations and gates of one LSTM that read `source` and `h`: (T, B, H) each."""
    a = linear_forward(h, weights.W_h, weights.bias)  # (T, B, 4H)
    from_x = array_module(a).empty_like(a)
    source.project(weights.W_x, array_module(a).zeros_like(weights.bias), out=from_x)
    a += from_x
    named = {f"a_{gate}": a_gate for gate, a_gate in zip("ifog", by_gate(a).swapaxes(0, 1), strict=True)}
    return named | dict(zip("ifog", gates.swapaxes(0, 1), strict=True))


def named_arrays(cache: Cache, weights: Weights) -> dict[str, Array]:
    """Name everything that :func:`sequence_forward` computed: (T, B, H) each."""
    h, c = cache.h, cache.c
    named = named_gates(cache.source, h[:-1], cache.gates, weights)
    return named | {"c": c[1:], "h": h[1:], "c_prev": c[:-1], "h_prev": h[:-1]}


class LSTM(Cell):
    """A layer of the stacked LSTM."""

    prefix = "lstm"
    states = ("h", "c")
    kept, passing = 7, 9  # kept: h, c, s and four gates

    def __init__(self, options: ModelOptions):
        self.hidden = options.hidden
        self.output = options.lstm_output

    def weight_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """See :meth:`Cell.weight_shapes`."""
        H = self.hidden
        return {"lstm.W_x": (inputs, 4 * H), "lstm.W_h": (H, 4 * H), "lstm.bias": (4 * H,)}

    def forward(
        self, source: LayerInput, c_below: Memory, state: State, weights: Arrays, steps: int, workspace: Workspace
    ) -> tuple[Array, Memory, State, Cache]:
        """See :meth:`Cell.forward`."""
        cache = sequence_forward(
            source, state["h"], state["c"], Weights(*weights.values()), steps, self.output, workspace
        )
        return cache.h[1:], c_below, final_state(cache), cache

    def backward(
        self, dout: Array, dc: Memory, dstate: State, cache: Cache, weights: Arrays, grads: Arrays, workspace: Workspace
    ) -> tuple[Array | None, Memory, State]:
        """See :meth:`Cell.backward`."""
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
        return dsource, dc, {"h": dh0, "c": dc0}

    def named_arrays(self, cache: Cache, weights: Arrays) -> Arrays:
        """See :meth:`Cell.named_arrays`."""
        named = named_arrays(cache, Weights(*weights.values()))
        return {f"lstm.{name}": array for name, array in named.items()}
