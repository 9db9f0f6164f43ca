"""The LSTM update, forward and backward: the heart of the project, used along time and along depth alike.

The four gates are always in the order i, f, o, g, along the first axis: (4, B, H) for one step, or (4, T, B, H) for
several at once, which the same functions update. Results go into arrays that the caller provides. On a GPU,
``backend/cuda/gates.cu`` computes the same in one launch.

Notation: ``dc`` alone is the gradient of the loss with respect to c; ``dc_da_i``, ∂c/∂a_i, is a local derivative, the
other inputs of c held fixed.
"""

from collections.abc import Iterator
from typing import NamedTuple

from minigrid.backend import Array, array_module


class Update(NamedTuple):
    """The arrays of one LSTM update, or of several."""

    gates: Array  # (4, ..., B, H), i f o g
    c_prev: Array  # (..., B, H), memory cell before the update
    c: Array  # (..., B, H), memory cell after it
    s: Array  # (..., B, H), the tanh in the output: tanh(c), or tanh(o * c) if `output` is "paper"
    h: Array  # (..., B, H), hidden state after the update

    def of_steps(self, steps: int | slice) -> "Update":
        """Select one or some of the steps; the arrays are views."""
        gates, c_prev, c, s, h = self
        return Update(gates[:, steps], c_prev[steps], c[steps], s[steps], h[steps])

    def each_step(self) -> Iterator[tuple[Array, ...]]:
        """Go through the steps from first to last: the five arrays of each, in the order above."""
        gates, c_prev, c, s, h = self
        return zip(gates.swapaxes(0, 1), c_prev, c, s, h, strict=True)  # half the time that of_steps(t) takes


def by_gate(packed: Array) -> Array:
    """View rows (B, 4H) or (T, B, 4H), packed ``[i | f | o | g]`` like the weights, as (4, B, H) or (4, T, B, H)."""
    gates = packed.reshape(*packed.shape[:-1], 4, -1).swapaxes(-2, -3)  # (4, B, H) or (T, 4, B, H)
    return gates.swapaxes(0, -3)  # without T, the same axis: no change


def activate(a: Array) -> None:
    """Turn pre-activations (4, ..., H) into gates, in place: sigmoid for i, f and o, tanh for g.

    One tanh serves all four, because sigmoid(x) = (1 + tanh(x / 2)) / 2.
    """
    a_ifo = a[:3]
    a_ifo *= 0.5
    array_module(a).tanh(a, out=a)
    a_ifo *= 0.5
    a_ifo += 0.5


def lstm_forward(a_x: Array, a_h: Array, update: Update | tuple[Array, ...], output: str) -> None:
    """Update an LSTM.

    ::

        a = a_x + a_h
        i = sigmoid(a_i)   f = sigmoid(a_f)   o = sigmoid(a_o)   g = tanh(a_g)
        c = f * c_prev + i * g
        h = o * s,  s = tanh(c)         as in grid-lstm, char-rnn and PyTorch
        h = s,      s = tanh(o * c)     if `output` is "paper": as printed in arXiv:1507.01526

    Parameters
    ----------
    a_x, a_h : (4, ..., B, H) arrays
        The parts of the pre-activations that come from the input and from the hidden state.
    update : Update or tuple of its arrays
        ``c_prev`` is read; ``gates``, ``c``, ``s`` and ``h`` are written.
    output : {"standard", "paper"}
        Form of h.
    """
    gates, c_prev, c, s, h = update
    xp = array_module(gates)
    xp.add(a_x, a_h, out=gates)
    i, f, o, g = gates
    activate(gates)
    i_times_g = xp.multiply(i, g, out=s)  # s is free until the output; a fresh array would cost time
    xp.multiply(f, c_prev, out=c)
    c += i_times_g
    if output == "paper":
        xp.tanh(o * c, out=s)
        h[...] = s
    else:
        xp.tanh(c, out=s)
        xp.multiply(o, s, out=h)


def lstm_slopes(update: Update, output: str, out: Array) -> None:
    """Compute the local derivatives of :func:`lstm_forward`.

    They do not depend on the gradients that arrive, so a layer computes them for many steps at once, and its loop over
    time, which has to go one by one, stays short.

    ::

        ∂c/∂a_i = i * (1 - i) * g
        ∂c/∂a_f = f * (1 - f) * c_prev
        ∂h/∂a_o = o * (1 - o) * s                  `output` "standard"
        ∂h/∂a_o = o * (1 - o) * c * (1 - s^2)      `output` "paper"
        ∂c/∂a_g = (1 - g^2) * i
        ∂h/∂c   = o * (1 - s^2)                    both

    Parameters
    ----------
    update : Update
        As `lstm_forward` has left it.
    output : {"standard", "paper"}
        Form of h.
    out : (5, ..., B, H) array
        Written: the five derivatives, in this order.
    """
    gates, c_prev, c, s, _ = update
    i, _, o, g = gates
    dc_da_i, dc_da_f, dh_da_o, dc_da_g, dh_dc = out
    xp = array_module(out)
    xp.subtract(1, gates[:3], out=out[:3])
    out[:3] *= gates[:3]  # i * (1 - i), f * (1 - f), o * (1 - o)
    dc_da_i *= g
    dc_da_f *= c_prev
    xp.multiply(g, g, out=dc_da_g)
    xp.subtract(1, dc_da_g, out=dc_da_g)  # 1 - g^2
    dc_da_g *= i
    slope_of_s = xp.multiply(s, s, out=dh_dc)
    xp.subtract(1, slope_of_s, out=slope_of_s)  # 1 - s^2, for the moment in the place of dh_dc
    if output == "paper":
        dh_da_o *= c
        dh_da_o *= slope_of_s
    else:
        dh_da_o *= s
    xp.multiply(slope_of_s, o, out=dh_dc)


def lstm_backward(dh: Array, dc: Array, f: Array, slopes: Array, da: Array, dc_prev: Array) -> None:
    """Backward of :func:`lstm_forward`: the chain rule.

    ::

        dc_total = dc + dh * ∂h/∂c            c goes to the next update, and into h
        da_i     = dc_total * ∂c/∂a_i
        da_f     = dc_total * ∂c/∂a_f
        da_o     = dh * ∂h/∂a_o
        da_g     = dc_total * ∂c/∂a_g
        dc_prev  = dc_total * f

    Parameters
    ----------
    dh, dc : (..., B, H) arrays
        Gradients that arrive at h, and at c from the next update.
    f : (..., B, H) array
        The forget gate, ∂c/∂c_prev.
    slopes : (5, ..., B, H) array
        From :func:`lstm_slopes`. Overwritten: dc_total takes the place of ∂h/∂c.
    da : (4, ..., B, H) array
        Written: gradient of the pre-activations.
    dc_prev : (..., B, H) array
        Written: gradient of the memory cell before the update; may be `dc` itself.
    """
    xp = array_module(da)
    dh_dc = slopes[4]
    dc_total = xp.multiply(dh, dh_dc, out=dh_dc)
    dc_total += dc
    xp.multiply(dc_total, slopes[:4], out=da)  # da_i, da_f and da_g in one call; the next line replaces da_o
    xp.multiply(dh, slopes[2], out=da[2])  # da_o
    xp.multiply(dc_total, f, out=dc_prev)
