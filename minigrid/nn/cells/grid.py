"""One layer of the 2D Grid LSTM over a whole sequence (arXiv:1507.01526, section 3), forward and backward.

Each block has two LSTMs. The one along time reads the layer below and its own past, so it is an ordinary LSTM layer
(:mod:`minigrid.nn.cells.lstm`). The one along depth has no past of its own: once the states along time are known, it
is computed for all time steps at once.
"""

from typing import NamedTuple

from minigrid.backend import Array, Scope, Workspace, blocks, on_gpu
from minigrid.backend.cuda import lstm as cuda
from minigrid.nn.cells import lstm
from minigrid.nn.cells.cell import Arrays, Cell, Memory, State
from minigrid.nn.gates import Update, by_gate, lstm_backward, lstm_forward, lstm_slopes
from minigrid.nn.ops import LayerInput, rows
from minigrid.nn.options import ModelOptions


class Weights(NamedTuple):
    """Weights of one of the two LSTMs, or their gradients."""

    W_time: Array  # (H, 4H), multiplies a hidden state along time
    W_depth: Array  # (H, 4H), multiplies the hidden state along depth that comes from the layer below
    bias: Array  # (4H,)


def weights_of(kind: str, arrays: Arrays) -> Weights:
    """Return the weights called ``{kind}.W_time``, ``{kind}.W_depth`` and ``{kind}.bias``."""
    return Weights(W_time=arrays[f"{kind}.W_time"], W_depth=arrays[f"{kind}.W_depth"], bias=arrays[f"{kind}.bias"])


def as_lstm_layer(time: Weights) -> lstm.Weights:
    """Name the weights of the LSTM along time as an LSTM layer does: input comes along depth, the past along time."""
    return lstm.Weights(W_x=time.W_depth, W_h=time.W_time, bias=time.bias)


class DepthCache(NamedTuple):
    """What the backward pass along depth needs."""

    x: LayerInput  # h_depth of the layer below
    h_time: Array  # (T, B, H), the hidden states along time that were read
    weights: Weights
    update: Update  # of all T steps; c_prev is c_depth of the layer below


class Cache(NamedTuple):
    """What the backward pass needs, and what a picture of the gates shows."""

    time: lstm.Cache
    depth: DepthCache


def depth_forward(
    x: LayerInput, h_time: Array, c_below: Memory, weights: Weights, output: str, workspace: Workspace | Scope
) -> DepthCache:
    """Run the LSTM along depth, one update for each of T time steps.

    ::

        a_depth[t] = h_time[t] @ W_time + x[t] @ W_depth + bias
        h_depth[t], c_depth[t] = lstm(a_depth[t], c_below[t])

    Parameters
    ----------
    x : TokenInput or DenseInput
        h_depth of the layer below, (T, B, H).
    h_time : (T, B, H) array
        Hidden states along time.
    c_below : (T, B, H) array or None
        c_depth of the layer below; None is zero.
    weights : Weights
        Of the LSTM along depth.
    output : {"standard", "paper"}
        Form of h, see :mod:`minigrid.nn.gates`.
    workspace : Workspace or Scope
        Provides the arrays.
    """
    T, B, H = h_time.shape
    if c_below is None:
        c_below = workspace.empty("c_below", (T, B, H))
        c_below[...] = 0
    update = Update(
        gates=workspace.empty("gates", (T, 4, B, H)),
        c_prev=c_below,
        c=workspace.empty("c", (T, B, H)),
        s=workspace.empty("s", (T, B, H)),
        h=workspace.empty("h", (T, B, H)),
    )
    a_x = workspace.scratch("packed", (T, B, 4 * H))
    x.project(weights.W_depth, weights.bias, out=a_x)
    if on_gpu(a_x):
        cuda.update_forward(a_x, h_time, weights.W_time, update, output)
    else:
        for block in blocks(a_x):
            a_h = (rows(h_time[block]) @ weights.W_time).reshape(a_x[block].shape)
            lstm_forward(by_gate(a_x[block]), by_gate(a_h), update.of_steps(block), output)
    return DepthCache(x, h_time, weights, update)


def depth_backward(
    dh: Array, dc: Memory, cache: DepthCache, grads: Weights, output: str, workspace: Workspace | Scope
) -> tuple[Array, Array, Array]:
    """Backward of :func:`depth_forward`.

    Parameters
    ----------
    dh, dc : (T, B, H) arrays
        Gradients that arrive at h_depth and c_depth; for dc, None is zero.
    cache : DepthCache
        From the forward pass.
    grads : Weights
        Gradients of the weights; this layer's are added to them.
    output : {"standard", "paper"}
        As in the forward pass.
    workspace : Workspace or Scope
        Provides the arrays.

    Returns
    -------
    dx : array
        Gradient of x, as its `project_backward` returns it.
    dh_time, dc_below : (T, B, H) arrays
        Gradients of what was read along time, and of the memory cell of the layer below.
    """
    x, h_time, weights, update = cache
    T, B, H = h_time.shape
    da = workspace.scratch("packed", (T, B, 4 * H))
    dc_below = workspace.scratch("dc_below", (T, B, H))

    # h_depth[t], c_depth[t] = lstm(a_depth[t], c_below[t])
    dc_below[...] = 0 if dc is None else dc
    if on_gpu(dh):
        cuda.update_backward(dh, dc_below, update, da, output)
    else:
        for block in blocks(da):
            steps = len(range(T)[block])
            slopes = lstm_slopes(update.of_steps(block), output, workspace.scratch("slopes", (5, steps, B, H)))
            lstm_backward(dh[block], dc_below[block], slopes, da=by_gate(da[block]), dc_prev=dc_below[block])

    # a_depth[t] = h_time[t] @ W_time + x[t] @ W_depth + bias
    grads.W_time[...] += rows(h_time).T @ rows(da)
    dh_time = (rows(da) @ weights.W_time.T).reshape(T, B, H)
    dx = x.project_backward(da, weights.W_depth, grads.W_depth, grads.bias)
    return dx, dh_time, dc_below


class Grid(Cell):
    """A layer of grid blocks.

    ::

        a_time[t]  = h_time[t-1] @ time.W_time + x[t] @ time.W_depth + time.bias
        h_time[t], c_time[t] = lstm(a_time[t], c_time[t-1])
        a_depth[t] = h_time[t] @ depth.W_time + x[t] @ depth.W_depth + depth.bias
        h_depth[t], c_depth[t] = lstm(a_depth[t], c_below[t])

    Here x is h_depth of the layer below and c_below its c_depth. With priority "none" the LSTM along depth reads
    h_time[t-1], as the one along time does.
    """

    prefix = "time"
    states = ("h", "c")
    kept, passing = 14, 12  # kept: h, c, s and four gates, along time and along depth

    def __init__(self, options: ModelOptions):
        self.hidden = options.hidden
        assert options.lstm_output is not None  # ModelOptions has filled in the default
        self.output = options.lstm_output
        # which T of the T + 1 states along time, initial state included, the LSTM along depth reads
        self.read = slice(1, None) if options.priority == "depth" else slice(None, -1)

    def weight_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """See :meth:`Cell.weight_shapes`."""
        H = self.hidden
        shapes = {"W_time": (H, 4 * H), "W_depth": (inputs, 4 * H), "bias": (4 * H,)}
        return {f"{kind}.{name}": shape for kind in ("time", "depth") for name, shape in shapes.items()}

    def forward(
        self, x: LayerInput, c_below: Memory, state: State, weights: Arrays, workspace: Workspace | Scope
    ) -> tuple[Array, Memory, State, Cache]:
        """Go along time step by step, then along depth for all steps at once; see :meth:`Cell.forward`."""
        time = as_lstm_layer(weights_of("time", weights))
        depth = weights_of("depth", weights)
        along_time = lstm.sequence_forward(x, state["h"], state["c"], time, self.output, workspace.scope("time"))
        h_time = along_time.h[self.read]
        along_depth = depth_forward(x, h_time, c_below, depth, self.output, workspace.scope("depth"))
        h_depth, c_depth = along_depth.update.h, along_depth.update.c
        return h_depth, c_depth, lstm.final_state(along_time), Cache(along_time, along_depth)

    def backward(
        self, dout: Array, dc_above: Memory, dstate: State, cache: Cache, grads: Arrays, workspace: Workspace | Scope
    ) -> tuple[Array | None, Memory, State]:
        """Go back along depth for all steps at once, then along time step by step; see :meth:`Cell.backward`."""
        T, B, H = dout.shape
        dtime = as_lstm_layer(weights_of("time", grads))
        ddepth = weights_of("depth", grads)
        dx_depth, dh_read, dc_below = depth_backward(dout, dc_above, cache.depth, ddepth, self.output, workspace)

        # from outside, gradients arrive at h_time from the LSTM along depth and, at the last step, from the final state
        dh_time = workspace.scratch("dh", (T + 1, B, H))
        dh_time[...] = 0
        dh_time[self.read] = dh_read
        if dstate["h"] is not None:
            dh_time[T] += dstate["h"]
        dx_time, dh0, dc0 = lstm.sequence_backward(dh_time, dstate["c"], cache.time, dtime, self.output, workspace)

        dx_depth += dx_time  # both LSTMs read x
        return dx_depth, dc_below, {"h": dh0, "c": dc0}

    def named_arrays(self, cache: Cache) -> dict[str, Array]:
        """Name both LSTMs' gates and states, ``time.f``, ``depth.c`` ...; see :meth:`Cell.named_arrays`."""
        x, h_time, weights, update = cache.depth
        along_time = lstm.named_arrays(cache.time)
        along_depth = lstm.named_gates(x, h_time, update.gates, as_lstm_layer(weights))
        along_depth |= {"c": update.c, "h": update.h, "c_prev": update.c_prev}
        return {f"time.{name}": array for name, array in along_time.items()} | {
            f"depth.{name}": array for name, array in along_depth.items()
        }
