"""The LSTM update, forward and backward: the heart of the project, used along time and along depth alike.

Arrays are (4, ..., H) for the four gates, always in the order i, f, o, g, and (..., H) for the rest, so that each gate
is one contiguous block and every line below is one pass over it. What stands in the middle, the batch or several steps
of it, is all the same to the update. Results go into arrays that the caller provides. On a GPU ``gates.cu`` does the
same in one launch.
"""

from minigrid.backend import Array, array_module
from minigrid.backend.cuda.kernels import fused


def by_gate(packed: Array) -> Array:
    """View rows (..., B, 4H), packed ``[i | f | o | g]`` as the weights are, as (..., 4, B, H)."""
    return packed.reshape(*packed.shape[:-1], 4, -1).swapaxes(-2, -3)


def activate(a: Array) -> None:
    """Turn pre-activations (4, ..., H) into gates, in place: sigmoid for i, f and o, tanh for g.

    One tanh serves all four, since sigmoid(x) = (1 + tanh(x / 2)) / 2.
    """
    ifo = a[:3]
    ifo *= 0.5
    array_module(a).tanh(a, out=a)
    ifo *= 0.5
    ifo += 0.5


def lstm_forward(
    a_x: Array, a_h: Array, gates: Array, c_prev: Array, c: Array, s: Array, h: Array, output: str = "standard"
) -> None:
    """One LSTM update.

    ::

        a = a_x + a_h
        i = sigmoid(a_i)   f = sigmoid(a_f)   o = sigmoid(a_o)   g = tanh(a_g)
        c = f * c_prev + i * g
        h = o * s,  s = tanh(c)         what grid-lstm, char-rnn and PyTorch compute
        h = s,      s = tanh(o * c)     `output` "paper": as printed in arXiv:1507.01526

    Parameters
    ----------
    a_x, a_h : (4, ..., H) arrays
        The parts of the pre-activations that come from the input and from the hidden state, as :func:`by_gate` shows
        them.
    gates : (4, ..., H) array
        Written: i, f, o and g.
    c_prev : (..., H) array
        The memory cell before.
    c, s, h : (..., H) arrays
        Written: the new memory cell; the tanh that the backward pass needs; the new hidden state.
    output : {"standard", "paper"}
        The form of h.
    """
    if kernels := fused(gates):
        return kernels.lstm_forward(a_x, a_h, gates, c_prev, c, s, h, output)
    xp = array_module(gates)
    xp.add(a_x, a_h, out=gates)
    activate(gates)
    i, f, o, g = gates
    xp.multiply(i, g, out=s)  # s is free until the output needs it
    xp.multiply(f, c_prev, out=c)
    c += s
    if output == "paper":
        xp.multiply(o, c, out=s)
        xp.tanh(s, out=s)
        h[...] = s
    else:
        xp.tanh(c, out=s)
        xp.multiply(o, s, out=h)


def lstm_slopes(
    gates: Array, c_prev: Array, c: Array, s: Array, slopes: Array, dh_dc: Array, output: str = "standard"
) -> None:
    """Work out the local derivatives of :func:`lstm_forward`: all that its backward pass can know in advance.

    ::

        dc/da_i = g * i * (1 - i)     dc/da_f = c_prev * f * (1 - f)     dc/da_g = i * (1 - g^2)
        dh/dc = o * (1 - s^2)         dh/da_o = s * o * (1 - o)
                                      dh/da_o = (1 - s^2) * c * o * (1 - o)     (`output` "paper")

    Parameters
    ----------
    gates, c_prev, c, s : (4, ..., H) and (..., H) arrays
        As `lstm_forward` left them.
    slopes : (4, ..., H) array
        Written: dc/da_i, dc/da_f, dh/da_o and dc/da_g.
    dh_dc : (..., H) array
        Written.
    output : {"standard", "paper"}
        The form of h.
    """
    xp = array_module(gates)
    i, _, o, g = gates
    to_i, to_f, to_o, to_g = slopes
    xp.subtract(1, gates[:3], out=slopes[:3])
    slopes[:3] *= gates[:3]
    to_i *= g
    to_f *= c_prev
    xp.multiply(g, g, out=to_g)
    xp.subtract(1, to_g, out=to_g)
    to_g *= i
    xp.multiply(s, s, out=dh_dc)
    xp.subtract(1, dh_dc, out=dh_dc)
    if output == "paper":
        to_o *= c
        to_o *= dh_dc
    else:
        to_o *= s
    dh_dc *= o


def lstm_backward(dh: Array, dc: Array, f: Array, slopes: Array, dh_dc: Array, da: Array) -> None:
    """Backward of :func:`lstm_forward`: the chain rule, with the local derivatives from :func:`lstm_slopes`.

    ::

        dc += dh * dh/dc
        da_i = dc * dc/da_i     da_f = dc * dc/da_f     da_o = dh * dh/da_o     da_g = dc * dc/da_g
        dc_prev = dc * f

    Parameters
    ----------
    dh : (..., H) array
        Gradient that arrives at h.
    dc : (..., H) array
        Gradient that arrives at c from the next update, in; that of `c_prev`, out.
    f : (..., H) array
        The forget gate.
    slopes, dh_dc : (4, ..., H) and (..., H) arrays
        From `lstm_slopes`; `dh_dc` is used up.
    da : (4, ..., H) array
        Written: gradient of the pre-activations.
    """
    xp = array_module(da)
    dh_dc *= dh
    dc += dh_dc
    xp.multiply(slopes, dc, out=da)  # all four in one pass, then the output gate's own
    xp.multiply(slopes[2], dh, out=da[2])
    dc *= f
