"""The LSTM update, forward and backward: the heart of the project, used along time and along depth alike.

Arrays here are *feature-major*: (4, H, B) for the four packed gates ``[i | f | o | g]`` and (H, B) for the rest, so
that each gate is one contiguous block and every line below is one pass over it. All results go into arrays that the
caller provides.
"""

from minigrid.backend import Array, array_module


def activate(a: Array) -> None:
    """Turn pre-activations into gates, in place: sigmoid for i, f and o, tanh for g.

    One tanh serves all four, since sigmoid(x) = (1 + tanh(x / 2)) / 2.

    Parameters
    ----------
    a : (4, H, B) array
        Pre-activations in, gates out.
    """
    ifo = a[:3]
    ifo *= 0.5
    array_module(a).tanh(a, out=a)
    ifo *= 0.5
    ifo += 0.5


def standard_output_forward(o: Array, c: Array, s: Array, h: Array) -> None:
    """``h = o * tanh(c)``; keeps ``s = tanh(c)``. What grid-lstm, char-rnn and PyTorch compute."""
    xp = array_module(c)
    xp.tanh(c, out=s)
    xp.multiply(o, s, out=h)


def standard_output_backward(dh: Array, o: Array, c: Array, s: Array, do: Array, dc_from_h: Array) -> None:
    """Gradients of ``h = o * s, s = tanh(c)``: into `do`, and of c into `dc_from_h`; all (H, B)."""
    xp = array_module(c)
    xp.multiply(s, s, out=dc_from_h)
    xp.subtract(1, dc_from_h, out=dc_from_h)
    dc_from_h *= o
    dc_from_h *= dh  # dc_from_h = dh * o * (1 - s^2)
    xp.multiply(dh, s, out=do)


def paper_output_forward(o: Array, c: Array, s: Array, h: Array) -> None:
    """``h = tanh(o * c)``, as printed in arXiv:1507.01526; keeps ``s = h``."""
    xp = array_module(c)
    xp.multiply(o, c, out=s)
    xp.tanh(s, out=s)
    h[...] = s


def paper_output_backward(dh: Array, o: Array, c: Array, s: Array, do: Array, dc_from_h: Array) -> None:
    """Gradients of ``h = s = tanh(o * c)``: into `do`, and of c into `dc_from_h`; all (H, B)."""
    xp = array_module(c)
    xp.multiply(s, s, out=dc_from_h)
    xp.subtract(1, dc_from_h, out=dc_from_h)
    dc_from_h *= dh  # the gradient at the product o * c: dh * (1 - s^2)
    xp.multiply(dc_from_h, c, out=do)
    dc_from_h *= o


OUTPUTS = {
    "standard": (standard_output_forward, standard_output_backward),
    "paper": (paper_output_forward, paper_output_backward),
}
"""The two forms of ``--lstm-output``: a forward and a backward function each."""


def lstm_forward(a: Array, c_prev: Array, c: Array, s: Array, h: Array, output: str = "standard") -> None:
    """One LSTM update.

    ::

        i = sigmoid(a_i)   f = sigmoid(a_f)   o = sigmoid(a_o)   g = tanh(a_g)
        c = f * c_prev + i * g
        h = o * tanh(c)                       (`output` "paper": h = tanh(o * c))

    Parameters
    ----------
    a : (4, H, B) array
        Pre-activations in; the gates i, f, o, g out.
    c_prev : (H, B) array
        The memory cell before.
    c, s, h : (H, B) arrays
        Written: the new memory cell; the tanh that the backward pass needs; the new hidden state.
    output : {"standard", "paper"}
        The form of h.
    """
    xp = array_module(a)
    output_forward, _ = OUTPUTS[output]
    activate(a)
    i, f, o, g = a
    xp.multiply(i, g, out=s)  # s is free until the output needs it
    xp.multiply(f, c_prev, out=c)
    c += s
    output_forward(o, c, s, h)


def lstm_backward(
    dh: Array,
    dc: Array,
    gates: Array,
    c_prev: Array,
    c: Array,
    s: Array,
    da: Array,
    dc_prev: Array,
    scratch: Array,
    output: str = "standard",
) -> None:
    """Backward of :func:`lstm_forward`, line by line from the last to the first.

    Parameters
    ----------
    dh, dc : (H, B) arrays
        Gradients that arrive at h and, from the next update, at c.
    gates, c_prev, c, s : (4, H, B) and (H, B) arrays
        As `lstm_forward` left them.
    da : (4, H, B) array
        Written: gradient of the pre-activations.
    dc_prev : (H, B) array
        Written: gradient of `c_prev`; may be the same array as `dc`.
    scratch : (4, H, B) array
        Overwritten.
    output : {"standard", "paper"}
        The form of h.
    """
    xp = array_module(gates)
    _, output_backward = OUTPUTS[output]
    i, f, o, g = gates
    di, df, do, dg = da
    dc_from_h = scratch[0]
    dc_total = (
        dc_prev  # the same array: the gradient of c, until the last line that needs it turns it into that of c_prev
    )
    # h = o * tanh(c)
    output_backward(dh, o, c, s, do, dc_from_h)
    xp.add(dc, dc_from_h, out=dc_total)
    # c = f * c_prev + i * g
    xp.multiply(dc_total, g, out=di)
    xp.multiply(dc_total, c_prev, out=df)
    xp.multiply(dc_total, i, out=dg)
    xp.multiply(dc_total, f, out=dc_prev)
    # i, f, o = sigmoid(a): the slope is (1 - ifo) * ifo; g = tanh(a): the slope is 1 - g^2
    slope = scratch
    xp.subtract(1, gates[:3], out=slope[:3])
    slope[:3] *= gates[:3]
    xp.multiply(g, g, out=slope[3])
    xp.subtract(1, slope[3], out=slope[3])
    da *= slope
