"""One layer of the 2D Grid LSTM over a whole sequence (arXiv:1507.01526, section 3), forward and backward.

Each block of the grid has two LSTMs. The one along time reads the layer below and its own past, so it is an ordinary
LSTM layer (:mod:`minigrid.nn.cells.lstm`). The one along depth has no past of its own: once the states along time are
known, it is computed for all time steps at once.

Conventions: A comment that begins with "backward of" quotes the line of the forward pass, as its docstring has it,
whose backward pass follows. A loop over `chunks` goes through all T time steps, a slice of them at a time, to stay in
the CPU's cache; it computes the same as one pass over all. An array from ``workspace.empty`` lasts until the backward
pass, one from ``workspace.scratch`` until any layer asks for the same name again.
"""

from typing import NamedTuple

from minigrid.backend import Array, Scope, Workspace, chunks, on_gpu
from minigrid.backend.cuda import lstm as lstm_on_gpu
from minigrid.nn.cells import lstm
from minigrid.nn.cells.cell import Arrays, Cell, DepthState, State, Weights
from minigrid.nn.gates import Update, by_gate, lstm_backward, lstm_forward, lstm_slopes
from minigrid.nn.ops import LayerInput, rows
from minigrid.nn.options import ModelOptions


class GridWeights(NamedTuple):
    """Weights of one of the two LSTMs, or their gradients. W_time and W_depth are named after what they multiply."""

    W_time: Array  # (H, 4H), multiplies h_time
    W_depth: Array  # (H, 4H), multiplies x, the h_depth of the layer below
    bias: Array  # (4H,)


def grid_weights(kind: str, arrays: Arrays) -> GridWeights:
    """Return the arrays called ``{kind}.W_time``, ``{kind}.W_depth`` and ``{kind}.bias``; kind is "time" or "depth"."""
    return GridWeights(W_time=arrays[f"{kind}.W_time"], W_depth=arrays[f"{kind}.W_depth"], bias=arrays[f"{kind}.bias"])


def as_lstm_layer(weights: GridWeights) -> Weights:
    """Name weights as an LSTM layer does, whose input is x and whose hidden state is h_time."""
    return Weights(W_x=weights.W_depth, W_h=weights.W_time, bias=weights.bias)


class DepthCache(NamedTuple):
    """What the backward pass along depth needs."""

    x: LayerInput  # h_depth of the layer below; in the first layer, the embedded characters
    h_read: Array  # (T, B, H), the hidden states along time that the LSTM along depth reads
    weights: GridWeights
    update: Update  # all T steps; its c_prev is c_depth of the layer below


class Cache(NamedTuple):
    """What the backward pass needs; traces are made of it too."""

    time: lstm.Cache
    depth: DepthCache


def depth_forward(
    x: LayerInput,
    h_read: Array,
    c_below: DepthState,
    weights: GridWeights,
    output: str,
    workspace: Workspace | Scope,
) -> DepthCache:
    """Run the LSTM along depth, one update for each of T time steps.

    ::

        a_depth[t] = h_read[t] @ W_time + x[t] @ W_depth + bias
        h_depth[t], c_depth[t] = lstm(a_depth[t], c_below[t])

    Parameters
    ----------
    x : TokenInput or DenseInput
        h_depth of the layer below, (T, B, H); in the first layer, the embedded characters.
    h_read : (T, B, H) array
        Hidden states along time.
    c_below : (T, B, H) array or None
        c_depth of the layer below; None is zero.
    weights : GridWeights
        Weights of the LSTM along depth.
    output : {"standard", "paper"}
        Form of h, see :mod:`minigrid.nn.gates`.
    workspace : Workspace or Scope
        Provides the arrays.
    """
    T, B, H = h_read.shape
    if c_below is None:
        c_below = workspace.empty("c_below", (T, B, H))
        c_below[...] = 0
    update = Update(
        gates=workspace.empty("gates", (T, 4, B, H)).swapaxes(0, 1),
        c_prev=c_below,
        c=workspace.empty("c", (T, B, H)),
        s=workspace.empty("s", (T, B, H)),
        h=workspace.empty("h", (T, B, H)),
    )
    a_x = workspace.scratch("packed", (T, B, 4 * H))
    x.project(weights.W_depth, weights.bias, out=a_x)
    if on_gpu(a_x):
        lstm_on_gpu.update_forward(a_x, h_read, weights.W_time, update, output)
    else:
        a_x_by_gate = by_gate(a_x)
        for chunk in chunks(a_x):
            a_h = (rows(h_read[chunk]) @ weights.W_time).reshape(-1, B, 4 * H)
            lstm_forward(a_x_by_gate[:, chunk], by_gate(a_h), update.of_steps(chunk), output)
    return DepthCache(x, h_read, weights, update)


def depth_backward(
    dh: Array, dc: DepthState, cache: DepthCache, grads: GridWeights, output: str, workspace: Workspace | Scope
) -> tuple[Array, Array, Array]:
    """Backward of :func:`depth_forward`.

    Parameters
    ----------
    dh, dc : (T, B, H) arrays
        Gradients that arrive at h_depth and c_depth; for dc, None is zero.
    cache : DepthCache
        From the forward pass.
    grads : GridWeights
        Gradients of the weights; this layer's are added to them.
    output : {"standard", "paper"}
        As in the forward pass.
    workspace : Workspace or Scope
        Provides the arrays.

    Returns
    -------
    dx : (T, B, H) array
        Gradient of x; in the first layer that of the embedding, (V, H). Never None, because a grid has an embedding.
    dh_read, dc_below : (T, B, H) arrays
        Gradients of the hidden states along time that were read, and of the memory cell of the layer below. The latter
        is a scratch array, which the layer below receives as its dc and overwrites.
    """
    x, h_read, weights, update = cache
    T, B, H = h_read.shape
    da = workspace.scratch("packed", (T, B, 4 * H))
    dc_below = workspace.scratch("dc_below", (T, B, H))

    # backward of: h_depth[t], c_depth[t] = lstm(a_depth[t], c_below[t])
    # The update turns dc_below from the gradient of c_depth into that of c_below. It begins as dc, which, below the top
    # layer, may be this very array.
    dc_below[...] = 0 if dc is None else dc
    if on_gpu(dh):
        lstm_on_gpu.update_backward(dh, dc_below, update, da, output)
    else:
        f, da_by_gate = update.gates[1], by_gate(da)
        for chunk in chunks(da):
            steps = range(T)[chunk]
            slopes = workspace.scratch("slopes", (len(steps), 5, B, H)).swapaxes(0, 1)
            lstm_slopes(update.of_steps(chunk), output, out=slopes)
            dc_chunk = dc_below[chunk]
            lstm_backward(dh[chunk], dc_chunk, f[chunk], slopes, da=da_by_gate[:, chunk], dc_prev=dc_chunk)

    # backward of: a_depth[t] = h_read[t] @ W_time + x[t] @ W_depth + bias
    # dh_read and dx are fresh arrays: the LSTM along time reuses the memory of da
    grads.W_time[...] += rows(h_read).T @ rows(da)  # [...], because a field of a NamedTuple cannot be assigned to
    dh_read = (rows(da) @ weights.W_time.T).reshape(T, B, H)
    dx = x.project_backward(da, weights.W_depth, grads.W_depth, grads.bias)  # adds to these two as well
    return dx, dh_read, dc_below


class Grid(Cell):
    """A layer of grid blocks.

    ::

        a_time[t]  = h_time[t] @ time.W_time + x[t] @ time.W_depth + time.bias
        h_time[t+1], c_time[t+1] = lstm(a_time[t], c_time[t])
        a_depth[t] = h_time[t+1] @ depth.W_time + x[t] @ depth.W_depth + depth.bias
        h_depth[t], c_depth[t] = lstm(a_depth[t], c_below[t])

    Step t begins in the state h_time[t], c_time[t] along time; index 0 is the initial state. x is h_depth of the layer
    below and c_below its c_depth. This is priority "depth", the default: the LSTM along depth waits for the one along
    time and reads its new state. With priority "none" it reads the old one, h_time[t] instead of h_time[t+1].
    """

    prefix = "time"
    states = ("h", "c")
    kept, passing = 14, 12  # kept: h, c, s and four gates, along time and along depth

    def __init__(self, options: ModelOptions):
        assert options.lstm_output is not None  # ModelOptions has filled in the default
        self.hidden = options.hidden
        self.output = options.lstm_output
        # the T of the T + 1 states along time that the LSTM along depth reads: the new ones, or the old ones
        self.steps_read = slice(1, None) if options.priority == "depth" else slice(None, -1)

    def weight_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """See :meth:`Cell.weight_shapes`; `inputs` is always H here."""
        H = self.hidden
        shapes = {"W_time": (H, 4 * H), "W_depth": (inputs, 4 * H), "bias": (4 * H,)}
        return {f"{kind}.{name}": shape for kind in ("time", "depth") for name, shape in shapes.items()}

    def forward(
        self, x: LayerInput, c_below: DepthState, state: State, weights: Arrays, workspace: Workspace | Scope
    ) -> tuple[Array, DepthState, State, Cache]:
        """Go along time step by step, then along depth for all steps at once; see :meth:`Cell.forward`."""
        time_weights = as_lstm_layer(grid_weights("time", weights))
        depth_weights = grid_weights("depth", weights)
        time = lstm.sequence_forward(x, state["h"], state["c"], time_weights, self.output, workspace.scope("time"))
        h_read = time.h[self.steps_read]
        depth = depth_forward(x, h_read, c_below, depth_weights, self.output, workspace.scope("depth"))
        return depth.update.h, depth.update.c, lstm.final_state(time), Cache(time, depth)

    def backward(
        self,
        dout: Array,
        dc_above: DepthState,
        dstate: State,
        cache: Cache,
        grads: Arrays,
        workspace: Workspace | Scope,
    ) -> tuple[Array | None, DepthState, State]:
        """Go back along depth for all steps at once, then along time step by step; see :meth:`Cell.backward`."""
        T, B, H = dout.shape
        time_grads = as_lstm_layer(grid_weights("time", grads))
        depth_grads = grid_weights("depth", grads)
        dx_depth, dh_read, dc_below = depth_backward(dout, dc_above, cache.depth, depth_grads, self.output, workspace)

        # What arrives at h_time from outside its own recurrence: from the LSTM along depth, which reads all but one of
        # the T + 1 states, and from the final state. The LSTM along depth does not read c_time.
        dh_time = workspace.scratch("dh", (T + 1, B, H))
        dh_time[...] = 0
        dh_time[self.steps_read] = dh_read
        if dstate["h"] is not None:
            dh_time[T] += dstate["h"]
        dx_time, dh0, dc0 = lstm.sequence_backward(dh_time, dstate["c"], cache.time, time_grads, self.output, workspace)

        dx_depth += dx_time  # in total: both LSTMs read x
        return dx_depth, dc_below, {"h": dh0, "c": dc0}

    def named_arrays(self, cache: Cache) -> dict[str, Array]:
        """Name both LSTMs' gates and states, ``time.f``, ``depth.c`` ...; see :meth:`Cell.named_arrays`."""
        x, h_read, weights, update = cache.depth
        time = lstm.named_arrays(cache.time)
        depth = lstm.named_gates(x, h_read, update.gates, as_lstm_layer(weights))
        depth |= {"c": update.c, "h": update.h, "c_prev": update.c_prev}
        return {f"time.{name}": array for name, array in time.items()} | {
            f"depth.{name}": array for name, array in depth.items()
        }
