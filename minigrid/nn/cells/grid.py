"""One layer of the 2D Grid LSTM over a whole sequence (arXiv:1507.01526, section 3), forward and backward.

Each block has two LSTMs: one along time, one along depth. Only the one along time has to go step by step; what it
reads from the layer below is known for all steps, so it is an ordinary LSTM layer (:mod:`minigrid.nn.cells.lstm`). The
LSTM along depth has no recurrence in time at all: its products are done for the whole sequence at once.
"""

from typing import NamedTuple

from minigrid.backend import Array, Workspace, blocks
from minigrid.nn.cells import lstm
from minigrid.nn.cells.cell import Arrays, Cell, Memory, State
from minigrid.nn.gates import by_gate, lstm_forward
from minigrid.nn.ops import LayerInput, rows
from minigrid.nn.options import ModelOptions


class Cache(NamedTuple):
    """What the backward pass needs, and what a picture of the gates shows."""

    time: lstm.Cache
    gates: Array  # (T, 4, B, H), i f o g of the depth LSTM
    c_below: Array  # (T, B, H), memory cell along depth that came in
    c_depth: Array  # (T, B, H), memory cell along depth that goes out
    s_depth: Array  # (T, B, H), the tanh inside the output of the depth LSTM
    h_depth: Array  # (T, B, H), hidden state along depth that goes out


class Grid(Cell):
    """A layer of grid blocks.

    ::

        a_time  = h_time[t-1] @ time.W_time  + x[t] @ time.W_depth  + time.bias
        h_time[t], c_time[t] = lstm(a_time, c_time[t-1])
        a_depth = h_time[t] @ depth.W_time + x[t] @ depth.W_depth + depth.bias
        h_depth[t], c_depth[t] = lstm(a_depth, c_below[t])

    where x is h_depth of the layer below and c_below its c_depth. With priority "none" the depth LSTM reads h_time[t-1]
    as well.
    """

    prefix = "time"
    states = ("h", "c")
    kept, passing = 14, 12  # kept: h, c, s and four gates, along time and along depth

    def __init__(self, options: ModelOptions):
        self.hidden = options.hidden
        self.output = options.lstm_output
        # which T of the states h_time[0] ... h_time[T] the LSTM along depth reads: the new ones, or the old ones
        self.read = slice(1, None) if options.priority == "depth" else slice(None, -1)

    def weight_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """See :meth:`Cell.weight_shapes`."""
        H = self.hidden
        return {
            f"{way}.{name}": shape
            for way in ("time", "depth")
            for name, shape in {"W_time": (H, 4 * H), "W_depth": (inputs, 4 * H), "bias": (4 * H,)}.items()
        }

    def forward(
        self, source: LayerInput, c_below: Memory, state: State, weights: Arrays, steps: int, workspace: Workspace
    ) -> tuple[Array, Memory, State, Cache]:
        """Go along time step by step, then along depth for all steps at once; see :meth:`Cell.forward`."""
        T, (B, H) = steps, state["h"].shape
        time, depth = self._split(weights)
        # h_time[t], c_time[t] = lstm(a_time, c_time[t-1])
        along_time = lstm.sequence_forward(
            source, state["h"], state["c"], time, T, self.output, workspace.scope("time")
        )
        h_time = along_time.h[self.read]

        workspace = workspace.scope("depth")
        gates = workspace.empty("gates", (T, 4, B, H))
        c_depth = workspace.empty("c_depth", (T, B, H))
        s_depth = workspace.empty("s_depth", (T, B, H))
        h_depth = workspace.empty("h_depth", (T, B, H))
        if c_below is None:
            c_below = workspace.empty("c_below", (T, B, H))
            c_below[...] = 0
        # h_depth[t], c_depth[t] = lstm(a_depth, c_below[t])
        from_x = workspace.scratch("a", (T, B, 4 * H))
        source.project(depth.W_x, depth.bias, out=from_x)
        for block in blocks(from_x):
            from_h = (rows(h_time[block]) @ depth.W_h).reshape(from_x[block].shape)
            a_x, a_h, ifog = (a.swapaxes(0, 1) for a in (by_gate(from_x[block]), by_gate(from_h), gates[block]))
            lstm_forward(a_x, a_h, ifog, c_below[block], c_depth[block], s_depth[block], h_depth[block], self.output)
        cache = Cache(along_time, gates, c_below, c_depth, s_depth, h_depth)
        return h_depth, c_depth, lstm.final_state(along_time), cache

    def backward(
        self, dout: Array, dc: Memory, dstate: State, cache: Cache, weights: Arrays, grads: Arrays, workspace: Workspace
    ) -> tuple[Array | None, Memory, State]:
        """Go back along depth for all steps at once, then along time step by step; see :meth:`Cell.backward`."""
        T, B, H = cache.s_depth.shape
        time, depth = self._split(weights)
        dtime, ddepth = self._split(grads)
        h_time = cache.time.h[self.read]
        da = workspace.scratch("a", (T, B, 4 * H))
        dc_below = workspace.scratch("dc_below", (T, B, H))
        dc_below[...] = 0 if dc is None else dc  # each block turns the one into the other

        # h_depth[t], c_depth[t] = lstm(a_depth, c_below[t]), where dout arrives at h_depth and dc at c_depth
        for block in blocks(da):
            kept = (array[block] for array in (cache.gates, cache.c_below, cache.c_depth, cache.s_depth))
            update_backward = lstm.backward_of(*kept, self.output, workspace)
            update_backward(slice(None), dout[block], dc_below[block], by_gate(da[block]).swapaxes(0, 1))
        # a_depth = h_time @ depth.W_time + x @ depth.W_depth + depth.bias
        ddepth.W_h[...] += rows(h_time).T @ rows(da)
        dh_time = self.gradient_of_h((rows(da) @ depth.W_h.T).reshape(T, B, H), dstate["h"], workspace, self.read)
        dsource = cache.time.source.project_backward(da, depth.W_x, ddepth.W_x, ddepth.bias)
        # h_time[t], c_time[t] = lstm(a_time, c_time[t-1])
        dsource_time, dh0, dc0 = lstm.sequence_backward(
            dh_time, dstate["c"], cache.time, time, dtime, self.output, workspace
        )
        dsource += dsource_time
        return dsource, dc_below, {"h": dh0, "c": dc0}

    def named_arrays(self, cache: Cache, weights: Arrays) -> Arrays:
        """Name both LSTMs' gates and states, ``time.f``, ``depth.c`` ...; see :meth:`Cell.named_arrays`."""
        time, depth = self._split(weights)
        along_time = lstm.named_arrays(cache.time, time)
        along_depth = lstm.named_gates(cache.time.source, cache.time.h[self.read], cache.gates, depth)
        along_depth |= {"c": cache.c_depth, "h": cache.h_depth, "c_prev": cache.c_below}
        return {f"time.{name}": array for name, array in along_time.items()} | {
            f"depth.{name}": array for name, array in along_depth.items()
        }

    @staticmethod
    def _split(weights: Arrays) -> tuple[lstm.Weights, lstm.Weights]:
        """Sort the weights, or their gradients, into those of the LSTM along time and of the one along depth.

        Both become an ordinary LSTM's: W_depth, which multiplies what comes from the layer below, is its W_x, and
        W_time, which multiplies the hidden state along time, its W_h.
        """
        return tuple(
            lstm.Weights(weights[f"{way}.W_depth"], weights[f"{way}.W_time"], weights[f"{way}.bias"])
            for way in ("time", "depth")
        )
