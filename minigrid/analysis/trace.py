"""What every gate and every state of a model did while it read a text, as plain arrays."""

from collections.abc import Iterator, Mapping

import numpy as np

from minigrid.backend import Array, to_host
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import UserError
from minigrid.nn.model import CharModel


class Trace(Mapping[str, np.ndarray]):
    """A read-only mapping from names to host arrays of shape (layer, step, batch, unit), that is (L, T, B, H).

    ========  =========================================================================================
    model     names
    ========  =========================================================================================
    grid      ``time.`` and ``depth.`` followed by ``a_i a_f a_o a_g``, ``i f o g``, ``c h c_prev``; and
              ``time.h_prev``
    lstm      ``lstm.`` followed by ``a_i a_f a_o a_g``, ``i f o g``, ``c h c_prev h_prev``
    gru       ``gru.`` followed by ``a_z a_r a_n``, ``z r n``, ``h h_prev``
    rnn       ``rnn.a rnn.h rnn.h_prev``
    ========  =========================================================================================

    ``a_`` marks a pre-activation, ``_prev`` the state that an update starts from: that of the step before, and for
    ``depth.c_prev`` that of the layer below, which is zero for the bottom layer (whose ``depth.f`` has nothing to
    forget). So ``c = f * c_prev + i * g`` holds for all entries at once. Layers and steps count from 0.

    Attributes
    ----------
    logits : (T, B, V) array
        The model's scores of the next character, before the softmax.
    state : dict
        The model's state after the last step, to go on from.
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
    """Let a model read characters, without dropout, and return all that happened inside it.

    It costs a forward pass, its matrix products once more for the pre-activations, and the copies: in time, two to five
    times a forward pass, the more the simpler the cell. The trace holds ``k L T B H`` numbers, k being 23 for the grid,
    12 for lstm, 8 for gru and 3 for rnn. A long text is better read in pieces, each going on from the `state` of the
    trace before.

    Parameters
    ----------
    model : CharModel
        On any backend.
    x : (T, B) int array
        Characters.
    state : mapping, optional
        State before the first step; zeros by default.

    Returns
    -------
    Trace
        Name -> (L, T, B, H) array.

    Raises
    ------
    UserError
        `x` or `state` do not fit the model.
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
    """Let a model read a text, and return all that happened inside it: :func:`trace` with a batch of one.

    Step t is what happened when the model read character t (byte t, where the vocabulary is of bytes).

    Raises
    ------
    UserError
        The text is empty, or has characters that the model does not know.
    """
    if not text:
        raise UserError("there is no text to trace: give at least one character")
    return trace(model, vocabulary.encode(text)[:, None], state)


def kept_to_end(f: np.ndarray) -> np.ndarray:
    """Return the product of all later forget gates along the first axis: the share that is kept to the end.

    Along depth, for f = ``trace["depth.f"]`` (L, T, B, H): the share of what layer l writes that arrives at the top,
    and the memory at the top is the sum over the layers of ``i * g * kept_to_end(f)``, exactly.
    """
    later = np.concatenate([f[1:], np.ones_like(f[:1])])
    return np.cumprod(later[::-1], axis=0)[::-1]


def kept_between(f: np.ndarray) -> np.ndarray:
    """Return for every pair of steps the share that is kept from the one to the other, of a cell's forget gates (T,).

    Returns
    -------
    (T, T) array
        Entry [s, t] is the product of f[s + 1] ... f[t]: 1 for s = t, and 0 for s > t, before anything was written.
    """
    T = len(f)
    after = np.arange(T)[:, None] < np.arange(T)
    return np.triu(np.cumprod(np.where(after, f, 1), axis=1))
