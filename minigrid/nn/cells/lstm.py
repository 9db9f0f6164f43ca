"""One layer of LSTM over a whole sequence, forward and backward through time.

A stacked LSTM is made of these layers; so is the time dimension of a grid. A comment that begins with "backward of"
quotes the line of the forward pass, as its docstring has it, whose backward pass follows.
"""

from typing import NamedTuple

from minigrid.backend import Array, Scope, Workspace, array_module, chunks, on_gpu
from minigrid.backend.blas import matmul, tiled
from minigrid.backend.cuda import lstm as lstm_on_gpu
from minigrid.nn.cells.cell import Arrays, Cell, DepthState, State, Weights, weights_of
from minigrid.nn.gates import Update, by_gate, lstm_backward, lstm_forward, lstm_slopes
from minigrid.nn.ops import LayerInput, linear_forward, rows
from minigrid.nn.options import ModelOptions


class Cache(NamedTuple):
    """What the backward pass needs; traces are made of it too."""

    x: LayerInput
    weights: Weights  # W_x (N, 4H), W_h (H, 4H), bias (4H,)
    h: Array  # (T + 1, B, H): step t reads h[t] and writes h[t + 1]
    c: Array  # (T + 1, B, H), likewise
    gates: Array  # (T, 4, B, H), i f o g: those of a step are one block of memory
    s: Array  # (T, B, H), the tanh inside the output

    @property
    def update(self) -> Update:
        """The updates of all T steps; the arrays are views, so that writing to them fills the cache."""
        return Update(self.gates.swapaxes(0, 1), c_prev=self.c[:-1], c=self.c[1:], s=self.s, h=self.h[1:])


def sequence_forward(
    x: LayerInput, h0: Array, c0: Array, weights: Weights, output: str, workspace: Workspace | Scope
) -> Cache:
    """Run an LSTM over T time steps.

    ::

        a[t] = x[t] @ W_x + h[t] @ W_h + bias
        h[t + 1], c[t + 1] = lstm(a[t], c[t])

    The products with x do not depend on h, so they are computed for all steps at once.

    Parameters
    ----------
    x : TokenInput or DenseInput
        Input of the layer, T steps of B sequences.
    h0, c0 : (B, H) arrays
        Initial state.
    weights : Weights
        W_x (N, 4H), W_h (H, 4H), bias (4H,).
    output : {"standard", "paper"}
        Form of h, see :mod:`minigrid.nn.gates`.
    workspace : Workspace or Scope
        Provides the arrays.
    """
    T = x.steps
    B, H = h0.shape
    h = workspace.empty("h", (T + 1, B, H))
    c = workspace.steps("c", (T + 1, B, H))
    gates = workspace.steps("gates", (T, 4, B, H))
    s = workspace.steps("s", (T, B, H))
    cache = Cache(x, weights, h, c, gates, s)

    a_x = workspace.scratch("packed", (T, B, 4 * H))
    x.project(weights.W_x, weights.bias, out=a_x)
    h[0], c[0] = h0, c0
    if on_gpu(h0):
        lstm_on_gpu.forward_steps(a_x, cache, output, workspace)
    else:
        forward_steps(a_x, cache, output, workspace)
    return cache


def forward_steps(a_x: Array, cache: Cache, output: str, workspace: Workspace | Scope) -> None:
    """Go from h[0] and c[0] to h[T] and c[T], step by step; a_x (T, B, 4H) is ``x @ W_x + bias``."""
    T, B, H = cache.s.shape
    h, update = cache.h, cache.update
    a_h = workspace.scratch("a_h", (B, 4 * H))
    a_x_by_gate, a_h_by_gate = by_gate(a_x), by_gate(a_h)  # views
    W_h = tiled(cache.weights.W_h, a_h, T, workspace)  # laid out for T products; they are the same
    for t, update_t in enumerate(update.each_step()):  # update_t reads c[t], writes h[t + 1] and c[t + 1]
        matmul(h[t], W_h, out=a_h)  # a_h = h[t] @ W_h, and with it a_h_by_gate
        lstm_forward(a_x_by_gate[:, t], a_h_by_gate, update_t, output)


def sequence_backward(
    dh: Array, dc: Array | None, cache: Cache, grads: Weights, output: str, workspace: Workspace | Scope
) -> tuple[Array | None, Array, Array]:
    """Backward of :func:`sequence_forward`, from the last step to the first.

    Parameters
    ----------
    dh : (T + 1, B, H) array
        Gradients that arrive at h[0] ... h[T] from outside this recurrence, for example from the layer above. At h[0]
        something arrives only in a grid with priority "none".
    dc : (B, H) array or None
        Gradient that arrives at the final memory cell c[T]; None is zero.
    cache : Cache
        From the forward pass.
    grads : Weights
        Gradients of the weights; this layer's are added to them.
    output : {"standard", "paper"}
        As in the forward pass.
    workspace : Workspace or Scope
        Provides the arrays.

    Returns
    -------
    dx : array or None
        Gradient of x, (T, B, N). In the first layer that of the embedding, (V, N); None if there is no embedding.
    dh0, dc0 : (B, H) arrays
        Gradients of the initial state.
    """
    T, B, H = cache.s.shape
    da = workspace.scratch("packed", (T, B, 4 * H))
    if on_gpu(dh):
        dh0, dc0 = lstm_on_gpu.backward_steps(dh, dc, cache, da, output)
    else:
        dh0, dc0 = backward_steps(dh, dc, cache, da, output, workspace)

    # backward of: a[t] = x[t] @ W_x + h[t] @ W_h + bias, except for h[t], which backward_steps has done
    grads.W_h[...] += rows(cache.h[:-1]).T @ rows(da)  # [...], because a field of a NamedTuple cannot be assigned to
    dx = cache.x.project_backward(da, cache.weights.W_x, grads.W_x, grads.bias)  # adds to these two as well
    return dx, dh0, dc0


def backward_steps(
    dh: Array, dc: Array | None, cache: Cache, da: Array, output: str, workspace: Workspace | Scope
) -> tuple[Array, Array]:
    """Go back from the last step to the first; write da (T, B, 4H), return the gradients of h[0] and c[0].

    dh (T + 1, B, H) arrives at h[0] ... h[T] from outside the recurrence, and dc (B, H) at c[T]; None is zero.
    """
    T, B, H = cache.s.shape
    update, da_by_gate = cache.update, by_gate(da)
    f = update.gates[1]
    # At the top of step t, dh_total is the complete gradient of h[t + 1], and dc_carried is that of c[t + 1] except for
    # the path through h[t + 1], which lstm_backward adds. At the bottom, the same holds for h[t] and c[t].
    dh_total = dh[T].copy()
    dc_carried = array_module(dh).zeros((B, H), dh.dtype) if dc is None else dc.copy()
    W_h_T = tiled(cache.weights.W_h.T, dh_total, T, workspace)  # as in forward_steps
    for chunk in reversed(list(chunks(da))):
        steps = range(T)[chunk]
        slopes = workspace.scratch("slopes", (len(steps), 5, B, H)).swapaxes(0, 1)  # of this chunk
        lstm_slopes(update.of_steps(chunk), output, out=slopes)
        for t in reversed(steps):
            # backward of: h[t + 1], c[t + 1] = lstm(a[t], c[t])
            slopes_t = slopes[:, t - steps.start]
            lstm_backward(dh_total, dc_carried, f[t], slopes_t, da=da_by_gate[:, t], dc_prev=dc_carried)  # fills da[t]
            # backward of: a[t] = ... + h[t] @ W_h
            matmul(da[t], W_h_T, out=dh_total)  # dh_total = da[t] @ W_h.T
            dh_total += dh[t]
    return dh_total, dc_carried


def final_state(cache: Cache) -> State:
    """Return copies of the last h and c, (B, H) each."""
    return {"h": cache.h[-1].copy(), "c": cache.c[-1].copy()}


def named_gates(x: LayerInput, h: Array, gates: Array, weights: Weights) -> dict[str, Array]:
    """Name the pre-activations and gates (4, T, B, H) of an LSTM that read x and h: (T, B, H) each."""
    a = linear_forward(h, weights.W_h, weights.bias)  # (T, B, 4H)
    a_x = array_module(a).empty_like(a)
    x.project(weights.W_x, array_module(a).zeros_like(weights.bias), out=a_x)
    a += a_x
    named = {f"a_{gate}": a_gate for gate, a_gate in zip("ifog", by_gate(a), strict=True)}
    return named | dict(zip("ifog", gates, strict=True))


def named_arrays(cache: Cache) -> dict[str, Array]:
    """Name everything that :func:`sequence_forward` computed: (T, B, H) each."""
    h, c = cache.h, cache.c
    named = named_gates(cache.x, h[:-1], cache.update.gates, cache.weights)
    return named | {"c": c[1:], "h": h[1:], "c_prev": c[:-1], "h_prev": h[:-1]}


class LSTM(Cell):
    """A layer of the stacked LSTM."""

    prefix = "lstm"
    states = ("h", "c")
    kept, passing = 7, 9  # kept: h, c, s and four gates

    def __init__(self, options: ModelOptions):
        self.hidden = options.hidden
        assert options.lstm_output is not None  # ModelOptions has filled in the default
        self.output = options.lstm_output

    def weight_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """See :meth:`Cell.weight_shapes`."""
        H = self.hidden
        return {"lstm.W_x": (inputs, 4 * H), "lstm.W_h": (H, 4 * H), "lstm.bias": (4 * H,)}

    def forward(
        self, x: LayerInput, c_below: DepthState, state: State, weights: Arrays, workspace: Workspace | Scope
    ) -> tuple[Array, DepthState, State, Cache]:
        """See :meth:`Cell.forward`."""
        cache = sequence_forward(x, state["h"], state["c"], weights_of("lstm", weights), self.output, workspace)
        return cache.h[1:], c_below, final_state(cache), cache

    def backward(
        self,
        dout: Array,
        dc_above: DepthState,
        dstate: State,
        cache: Cache,
        grads: Arrays,
        workspace: Workspace | Scope,
    ) -> tuple[Array | None, DepthState, State]:
        """See :meth:`Cell.backward`."""
        T, B, H = dout.shape
        dh = workspace.scratch("dh", (T + 1, B, H))
        dh[0] = 0
        dh[1:] = dout  # the layer above reads h[1] ... h[T]
        if dstate["h"] is not None:
            dh[T] += dstate["h"]
        dx, dh0, dc0 = sequence_backward(dh, dstate["c"], cache, weights_of("lstm", grads), self.output, workspace)
        return dx, dc_above, {"h": dh0, "c": dc0}

    def named_arrays(self, cache: Cache) -> dict[str, Array]:
        """See :meth:`Cell.named_arrays`."""
        return {f"lstm.{name}": array for name, array in named_arrays(cache).items()}
