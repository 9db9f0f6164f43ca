"""Forward and backward pairs for everything around the cells: linear maps, the embedding, the loss.

A backward function of this module never changes its arguments, except for gradients of weights, to which it *adds*: a
weight may be used more than once.
"""

from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

from minigrid.backend import Array, array_module, chunks, on_gpu
from minigrid.backend.cuda.kernels import kernels_for

FEW_SYMBOLS = 256
"""Up to this vocabulary size a one-hot product is as fast as sorting on a CPU."""


def rows(x: Array) -> Array:
    """Return (..., N) as a matrix with rows of N numbers; a view if x is contiguous."""
    return x.reshape(-1, x.shape[-1])


def column_sums(x: Array) -> Array:
    """Sum the rows of x (R, O) into (O,). A product with ones takes a third of the time of ``x.sum(axis=0)``."""
    return _ones(array_module(x), str(x.device), len(x), x.dtype) @ x


@lru_cache(maxsize=8)
def _ones(xp: ModuleType, device: str, size: int, dtype: Any) -> Array:
    """Return ones (size,) on the current device, which `device` names. Do not write to them."""
    return xp.ones(size, dtype)


def linear_forward(x: Array, W: Array, bias: Array, out: Array | None = None) -> Array:
    """Return ``x @ W + bias`` for x (..., I), W (I, O) and bias (O,), in `out` (..., O) if you provide it."""
    # one large product: x @ W would be one product for each time step
    out = array_module(x).matmul(rows(x), W, out=None if out is None else rows(out))
    out += bias
    return out.reshape(*x.shape[:-1], -1)


def linear_backward(dout: Array, x: Array, W: Array, dW: Array, dbias: Array) -> Array:
    """Backward of :func:`linear_forward`: adds to `dW` and `dbias`, returns the gradient of x."""
    dW += rows(x).T @ rows(dout)
    dbias += column_sums(rows(dout))
    return (rows(dout) @ W.T).reshape(x.shape)


def embedding_forward(ids: Array, table: Array, out: Array) -> None:
    """Look up one row of `table` (V, N) for each of `ids` (T, B), and write it into `out` (T, B, N)."""
    for step in chunks(out, numbers=1):  # one time step at a time, whose rows stay in the cache
        table.take(ids[step], axis=0, out=out[step])


def embedding_backward(dout: Array, ids: Array, vocab_size: int) -> Array:
    """Sum the rows of `dout` (T, B, N) that belong to the same id: the gradient of the table, (V, N).

    This is a product with a one-hot matrix, which adds in the same order every time, unlike a scatter on a GPU. For the
    4H columns of an LSTM it costs four thirds of what the decoder costs, forward and backward. With a large vocabulary
    on a CPU, the rows are sorted by id instead, and each run of equal ids is summed.
    """
    xp, ids = array_module(dout), ids.ravel()
    if vocab_size > FEW_SYMBOLS and not on_gpu(dout):
        order = xp.argsort(ids, kind="stable")
        starts = xp.flatnonzero(xp.diff(ids[order], prepend=-1))
        table = xp.zeros((vocab_size, dout.shape[-1]), dout.dtype)
        table[ids[order[starts]]] = xp.add.reduceat(rows(dout)[order], starts, axis=0)
        return table
    one_hot = (xp.arange(vocab_size)[:, None] == ids).astype(dout.dtype)  # (V, T * B)
    return one_hot @ rows(dout)


class TokenInput(NamedTuple):
    """The first layer's input x: characters, through an embedding or, without one, as one-hot vectors.

    A look-up and a linear map commute, so `project` multiplies the V rows of the embedding and looks up the *results*.
    """

    ids: Array  # (T, B), characters
    embedding: Array | None  # (V, N); None is the identity: one-hot characters

    @property
    def steps(self) -> int:
        """T."""
        return len(self.ids)

    def project(self, W: Array, bias: Array, out: Array) -> None:
        """Write ``x @ W + bias`` into `out` (T, B, O)."""
        if self.embedding is None:
            embedding_forward(self.ids, W, out)
            out += bias
        elif self.ids.size < len(self.embedding):  # fewer characters than rows: look up first
            linear_forward(self.embedding[self.ids], W, bias, out)
        else:
            embedding_forward(self.ids, linear_forward(self.embedding, W, bias), out)

    def project_backward(self, dout: Array, W: Array, dW: Array, dbias: Array) -> Array | None:
        """Add to `dW` and `dbias`; return the gradient of the embedding, (V, N), or None if there is none."""
        vocab_size = len(W if self.embedding is None else self.embedding)
        dtable = embedding_backward(dout, self.ids, vocab_size)
        if self.embedding is None:
            dW += dtable
            dbias += column_sums(dtable)
            return None
        return linear_backward(dtable, self.embedding, W, dW, dbias)


class DenseInput(NamedTuple):
    """The input x of a higher layer: the hidden states of the layer below."""

    x: Array  # (T, B, N)

    @property
    def steps(self) -> int:
        """T."""
        return len(self.x)

    def project(self, W: Array, bias: Array, out: Array) -> None:
        """Write ``x @ W + bias`` into `out` (T, B, O)."""
        linear_forward(self.x, W, bias, out)

    def project_backward(self, dout: Array, W: Array, dW: Array, dbias: Array) -> Array:
        """Add to `dW` and `dbias`; return the gradient of x, (T, B, N)."""
        return linear_backward(dout, self.x, W, dW, dbias)


LayerInput = TokenInput | DenseInput


class LossCache(NamedTuple):
    """What the backward pass of the loss needs."""

    p: Array  # (T, B, V), softmax of the logits
    y: Array  # (T * B,), targets
    n: Array  # number of targets in the mean


def cross_entropy_forward(logits: Array, y: Array, n: Array | None = None) -> tuple[Array, LossCache]:
    """Softmax cross-entropy, mean over the counted targets.

    ::

        p = softmax(logits)
        loss = sum(-log p[y]) / n

    Parameters
    ----------
    logits : (T, B, V) array
        Scores before the softmax.
    y : (T, B) int array
        Characters to predict; -1 is not counted.
    n : int, optional
        Number of targets in the mean; by default the number of counted ones.

    Returns
    -------
    loss : 0-d array
        In nats; 0 if no target is counted.
    cache : LossCache
        For :func:`cross_entropy_backward`.
    """
    if on_gpu(logits):
        y = y.ravel().astype("int32", copy=False)
        loss, p, n = kernels_for(logits).cross_entropy_forward(rows(logits), y, n)
        return loss, LossCache(p.reshape(logits.shape), y, n)
    xp, y = array_module(logits), y.ravel()
    counted = y >= 0
    n = xp.maximum(counted.sum() if n is None else n, 1)
    shifted = rows(logits) - rows(logits).max(axis=1, keepdims=True)  # (T * B, V)
    target_scores = shifted[xp.arange(y.size), y]
    p = xp.exp(shifted, out=shifted)
    total = p.sum(axis=1, keepdims=True)
    log_p = target_scores - xp.log(total[:, 0])
    p /= total
    # summed in float64, whatever the dtype: T * B terms of the same sign
    loss = -xp.where(counted, log_p, 0).sum(dtype="float64") / n
    return xp.asarray(loss, logits.dtype), LossCache(p.reshape(logits.shape), y, n)


def cross_entropy_backward(cache: LossCache) -> Array:
    """Return the gradient of the mean loss: ``(p - one_hot(y)) / n`` (T, B, V), 0 for targets that are not counted."""
    p, y, n = cache
    if on_gpu(p):
        return kernels_for(p).cross_entropy_backward(rows(p), y, n).reshape(p.shape)
    xp = array_module(p)
    dlogits = p.copy()
    rows(dlogits)[xp.arange(y.size), y] -= 1
    rows(dlogits)[...] *= ((y >= 0) / n).astype(p.dtype)[:, None]
    return dlogits
