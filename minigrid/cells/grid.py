"""One layer of the 2D Grid LSTM over a whole sequence (arXiv:1507.01526, section 3), forward and backward.

Each block has two LSTMs: one along time, one along depth. Only the one along time has to go step by step; what it
reads from the layer below is known for all steps, so it is an ordinary LSTM layer (:mod:`minigrid.cells.lstm`). The
LSTM along depth has no recurrence in time at all: its products are done for the whole sequence at once.
"""

from typing import NamedTuple

from minigrid.backend import Array, array_module, blocks
from minigrid.cells import lstm
from minigrid.cells.cell import Cell
from minigrid.gates import by_gate, lstm_backward, lstm_forward
from minigrid.ops import rows


class Cache(NamedTuple):
    """What the backward pass needs, and what a picture of the gates shows."""

    time: lstm.Cache
    gates: Array  # (T, 4, B, H), i f o g of the depth LSTM
    c_below: Array  # (T, B, H), memory cell along depth that came in
    c: Array  # (T, B, H), memory cell along depth that goes out
    s: Array  # (T, B, H), the tanh inside the output of the depth LSTM
    h: Array  # (T, B, H), hidden state along depth that goes out


class Grid(Cell):
    """A layer of grid blocks.

    ::

        a_time  = h_time[t-1] @ time.W_time  + x[t] @ time.W_depth  + time.bias
        h_time[t], c_time[t] = lstm(a_time, c_time[t-1])
        a_depth = h_time[t] @ depth.W_time + x[t] @ depth.W_depth + depth.bias
        h_depth[t], c_depth[t] = lstm(a_depth, c_below[t])

    where x is h_depth of the layer below. With priority "none" the depth LSTM reads h_time[t-1] as well.
    """

    kind = "time"
    states = ("h", "c")
    kept, passing = 14, 12  # kept: h, c, s and four gates, along time and along depth

    def __init__(self, hidden: int, lstm_output: str, priority: str):
        self.hidden = hidden
        self.output = lstm_output
        # which T of the states h_time[0] ... h_time[T] the LSTM along depth reads: the new ones, or the old ones
        self.read = slice(1, None) if priority == "depth" else slice(None, -1)

    def weight_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        H = self.hidden
        return {
            f"{kind}.{name}": shape
            for kind in ("time", "depth")
            for name, shape in {"W_time": (H, 4 * H), "W_depth": (inputs, 4 * H), "bias": (4 * H,)}.items()
        }

    def forward(self, source, memory, state, weights, steps, workspace):
        T, (B, H) = steps, state["h"].shape
        xp = array_module(state["h"])
        time, depth = self._split(weights)
        time_cache = lstm.sequence_forward(
            source, state["h"], state["c"], time, T, self.output, workspace.scope("time")
        )

        workspace = workspace.scope("depth")
        gates = workspace.empty("gates", (T, 4, B, H))
        c = workspace.empty("c", (T, B, H))
        s = workspace.empty("s", (T, B, H))
        h = workspace.empty("h", (T, B, H))
        if memory is None:
            memory = workspace.empty("c_below", (T, B, H))
            memory[...] = 0

        from_x = workspace.scratch("a", (T, B, 4 * H))
        source.project(depth.W_x, depth.bias, out=from_x)
        h_time = time_cache.h[self.read]
        for steps in blocks(from_x):
            from_h = (rows(h_time[steps]) @ depth.W_h).reshape(from_x[steps].shape)
            xp.add(by_gate(from_x[steps]), by_gate(from_h), out=gates[steps])
            lstm_forward(gates[steps].swapaxes(0, 1), memory[steps], c[steps], s[steps], h[steps], self.output)
        return h, c, lstm.final_state(time_cache), Cache(time_cache, gates, memory, c, s, h)

    def backward(self, dout, dmemory, dstate, cache, weights, grads, workspace):
        T, B, H = cache.s.shape
        time, depth = self._split(weights)
        dtime, ddepth = self._split(grads)
        da = workspace.scratch("a", (T, B, 4 * H))
        dmemory_below = workspace.scratch("dmemory", (T, B, H))
        dmemory_below[...] = 0 if dmemory is None else dmemory

        # h_depth[t], c_depth[t] = lstm(a_depth, c_below[t])
        for steps in blocks(da):
            gates, c_below, c, s = (kept[steps] for kept in (cache.gates, cache.c_below, cache.c, cache.s))
            slopes, dh_dc = lstm.slopes_of(gates, c_below, c, s, self.output, workspace)
            lstm_backward(
                dout[steps],
                dmemory_below[steps],
                gates[:, 1],
                slopes.swapaxes(0, 1),
                dh_dc,
                by_gate(da[steps]).swapaxes(0, 1),
            )
        # a_depth = h_time @ depth.W_time + x @ depth.W_depth + depth.bias
        ddepth.W_h[...] += rows(cache.time.h[self.read]).T @ rows(da)
        dh_time = self.gradient_of_h((rows(da) @ depth.W_h.T).reshape(T, B, H), dstate["h"], workspace, self.read)
        dsource = cache.time.source.project_backward(da, depth.W_x, ddepth.W_x, ddepth.bias)
        # h_time[t], c_time[t] = lstm(a_time, c_time[t-1])
        dsource_time, dh0, dc0 = lstm.sequence_backward(
            dh_time, dstate["c"], cache.time, time, dtime, self.output, workspace
        )
        dsource += dsource_time
        return dsource, dmemory_below, {"h": dh0, "c": dc0}

    def named_arrays(self, cache, weights):
        time, depth = self._split(weights)
        along_time = lstm.named_arrays(cache.time, time)
        along_depth = lstm.named_gates(cache.time.source, cache.time.h[self.read], cache.gates, depth)
        along_depth |= {"c": cache.c, "h": cache.h, "c_prev": cache.c_below}
        return {f"time.{name}": array for name, array in along_time.items()} | {
            f"depth.{name}": array for name, array in along_depth.items()
        }

    @staticmethod
    def _split(weights: dict[str, Array]) -> tuple[lstm.Weights, lstm.Weights]:
        """Sort the weights, or their gradients, into those of the LSTM along time and of the one along depth.

        In both, W_depth multiplies what comes from the layer below, and W_time the hidden state along time.
        """
        return tuple(
            lstm.Weights(weights[f"{kind}.W_depth"], weights[f"{kind}.W_time"], weights[f"{kind}.bias"])
            for kind in ("time", "depth")
        )
