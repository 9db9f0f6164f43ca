"""Record every gate and every state of a model while it reads a text, as plain arrays."""

from collections.abc import Iterator, Mapping

import numpy as np

from minigrid.backend import Array, to_host
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import UserError
from minigrid.nn.model import CharModel


class Trace(Mapping[str, np.ndarray]):
    """Read-only mapping from names to host arrays of shape (layer, step, batch, unit), that is (L, T, B, H).

    ========  =========================================================================================
    model     names
    ========  =========================================================================================
    grid      ``time.`` and ``depth.`` followed by ``a_i a_f a_o a_g``, ``i f o g``, ``c h c_prev``; and
              ``time.h_prev``
    lstm      ``lstm.`` followed by ``a_i a_f a_o a_g``, ``i f o g``, ``c h c_prev h_prev``
    gru       ``gru.`` followed by ``a_z a_r a_n``, ``z r n``, ``h h_prev``
    rnn       ``rnn.a rnn.h rnn.h_prev``
    ========  =========================================================================================

    The prefix ``a_`` marks a pre-activation. The suffix ``_prev`` marks the state that an update starts from: the state
    of the previous step or, for ``depth.c_prev``, of the layer below. ``depth.c_prev`` is zero in the bottom layer,
    whose ``depth.f`` therefore has nothing to forget. ``c = f * c_prev + i * g`` holds for all entries at once. Layers
    and steps are counted from 0.

    Attributes
    ----------
    logits : (T, B, V) array
        Scores of the next character, before the softmax.
    state : dict
        State of the model after the last step, from which another trace can continue.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], logits: np.ndarray, state: Mapping[str, Array]):
        self._arrays = dict(arrays)
        self.logits = logits
        self.state = state
        for array in (logits, *self._arrays.values()):
            array.flags.writeable = False

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def trace(model: CharModel, x: Array, state: Mapping[str, Array] | None = None) -> Trace:
    """Run a model over characters, without dropout, and return everything that it computes.

    A trace takes two to five times as long as a forward pass (five for the simplest cell), because it repeats the
    matrix products to get the pre-activations, and copies the results. It holds ``k L T B H`` numbers, where k is 23
    for grid, 12 for lstm, 8 for gru and 3 for rnn. Trace a long text in pieces, each starting from the `state` of the
    trace before.

    Parameters
    ----------
    model : CharModel
        A model on any backend.
    x : (T, B) int array
        Characters of B sequences, each T steps long.
    state : mapping, optional
        State before the first step; zeros by default.

    Returns
    -------
    Trace
        Name -> (L, T, B, H) array.

    Raises
    ------
    UserError
        `x` or `state` does not fit the model.
    """
    x = model.ids(x)
    logits, state, cache = model.forward(x, model.initial_state(x.shape[1]) if state is None else state)
    layers = [
        {name: to_host(array) for name, array in model.cell.named_arrays(layer_cache).items()}
        for layer_cache in cache.layers
    ]
    arrays = {name: np.stack([layer[name] for layer in layers]) for name in layers[0]}
    return Trace(arrays, to_host(logits), state)


def trace_text(model: CharModel, vocabulary: Vocabulary, text: str, state: Mapping[str, Array] | None = None) -> Trace:
    """Run a model over a text and return everything that it computes: :func:`trace` with a batch of one.

    Step t is the one that reads character t of the text (or byte t, if the vocabulary consists of bytes).

    Parameters
    ----------
    model, vocabulary : CharModel, Vocabulary
        A model on any backend, and its vocabulary.
    text : str
        Text of at least one character.
    state : mapping, optional
        State before the first step; zeros by default.

    Returns
    -------
    Trace
        Name -> (L, T, 1, H) array.

    Raises
    ------
    UserError
        The text is empty, or contains characters that are not in the vocabulary.
    """
    if not text:
        raise UserError("there is no text to trace: `text` must have at least one character")
    return trace(model, vocabulary.encode(text)[:, None], state)


def kept_to_end(f: np.ndarray) -> np.ndarray:
    """Return the product of all later forget gates along the first axis: the share that is kept to the end.

    Applied along depth to ``f = trace["depth.f"]`` (L, T, B, H), it is the share of what layer l writes that arrives at
    the top. The memory cell of the top layer is then the sum of ``i * g * kept_to_end(f)`` over the layers.
    """
    later = np.concatenate([f[1:], np.ones_like(f[:1])])
    return np.cumprod(later[::-1], axis=0)[::-1]


def kept_between(f: np.ndarray) -> np.ndarray:
    """Return the share of a memory cell that is kept between every pair of steps.

    Parameters
    ----------
    f : (T,) array
        Forget gate of one unit.

    Returns
    -------
    (T, T) array
        Entry [s, t] is the product of f[s + 1] ... f[t]. It is 1 for s = t, and 0 for s > t: nothing is written yet.
    """
    T = len(f)
    after = np.arange(T)[:, None] < np.arange(T)
    return np.triu(np.cumprod(np.where(after, f, 1), axis=1))
