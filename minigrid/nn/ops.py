"""Forward and backward pairs for everything around the cells.

A backward function never changes what it is given except the weight gradients, to which it *adds*: a weight may be used
more than once.
"""

from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

from minigrid.backend import Array, array_module, blocks
from minigrid.backend.cuda.kernels import fused

FEW_SYMBOLS = 256
"""Up to as many a product with a one-hot matrix is as quick on a CPU as a sort."""


def rows(x: Array) -> Array:
    """View (..., N) as rows of N numbers."""
    return x.reshape(-1, x.shape[-1])


def column_sums(x: Array) -> Array:
    """Sum the rows of x (N, O): (O,). As a product, which is three to four times as fast as ``x.sum(axis=0)``."""
    return _ones(array_module(x), str(x.device), len(x), x.dtype) @ x


@lru_cache(maxsize=8)
def _ones(xp: ModuleType, device: str, size: int, dtype: Any) -> Array:
    """Return ones (size,) on the current device, which `device` names. Callers must not write to them."""
    return xp.ones(size, dtype)


def linear_forward(x: Array, W: Array, bias: Array, out: Array | None = None) -> Array:
    """``x @ W + bias`` for x (..., I), W (I, O) and bias (O,), into `out` (..., O) if it is given."""
    # one large product, where x @ W would be one for each time step
    out = array_module(x).matmul(rows(x), W, out=None if out is None else rows(out))
    out += bias
    return out.reshape(*x.shape[:-1], -1)


def linear_backward(dout: Array, x: Array, W: Array, dW: Array, dbias: Array) -> Array:
    """Backward of :func:`linear_forward`: adds to `dW` and `dbias`, returns the gradient of x."""
    dW += rows(x).T @ rows(dout)
    dbias += column_sums(rows(dout))
    return (rows(dout) @ W.T).reshape(x.shape)


def embedding_forward(ids: Array, table: Array, out: Array) -> None:
    """Look up one row of `table` (V, N) for each of `ids` (T, B), into `out` (T, B, N)."""
    for step in blocks(out, numbers=1):  # the rows of one step at a time stay in the cache
        table.take(ids[step], axis=0, out=out[step])


def embedding_backward(dout: Array, ids: Array, vocab_size: int) -> Array:
    """Sum the rows of `dout` (T, B, N) that belong to the same id: the gradient of the table, (V, N).

    Written as a product with a one-hot matrix: always in the same order, unlike a scatter on a GPU. For the 4H columns
    of an LSTM that costs four thirds of what the decoder does, forward and backward; on a CPU, where there are many
    symbols, the rows are sorted by their ids instead, and each run of equal ones is summed.
    """
    xp, ids = array_module(dout), ids.ravel()
    if vocab_size > FEW_SYMBOLS and not fused(dout):
        order = xp.argsort(ids, kind="stable")
        starts = xp.flatnonzero(xp.diff(ids[order], prepend=-1))
        table = xp.zeros((vocab_size, dout.shape[-1]), dout.dtype)
        table[ids[order[starts]]] = xp.add.reduceat(rows(dout)[order], starts, axis=0)
        return table
    one_hot = (xp.arange(vocab_size)[:, None] == ids).astype(dout.dtype)  # (V, T * B)
    return one_hot @ rows(dout)


class TokenInput(NamedTuple):
    """What the first layer reads: characters, seen through an embedding (or one-hot where there is none).

    A look-up and a linear map commute, so `project` multiplies the V rows of the embedding and looks the *results* up.

    Parameters
    ----------
    ids : (T, B) int array
        Characters.
    embedding : (V, N) array or None
        None stands for the identity: one-hot characters.
    """

    ids: Array
    embedding: Array | None

    def project(self, W: Array, bias: Array, out: Array) -> None:
        """Write ``x @ W + bias`` into `out` (T, B, O)."""
        if self.embedding is None:
            embedding_forward(self.ids, W, out)
            out += bias
        elif self.ids.size < len(self.embedding):  # fewer characters than rows: look up first after all
            linear_forward(self.embedding[self.ids], W, bias, out)
        else:
            embedding_forward(self.ids, linear_forward(self.embedding, W, bias), out)

    def project_backward(self, dout: Array, W: Array, dW: Array, dbias: Array) -> Array | None:
        """Add to `dW` and `dbias`, return the gradient of the embedding (None where there is none)."""
        vocab_size = len(W if self.embedding is None else self.embedding)
        dtable = embedding_backward(dout, self.ids, vocab_size)
        if self.embedding is None:
            dW += dtable
            dbias += column_sums(dtable)
            return None
        return linear_backward(dtable, self.embedding, W, dW, dbias)


class DenseInput(NamedTuple):
    """What a higher layer reads: the hidden states of the layer below, (T, B, N)."""

    x: Array

    def project(self, W: Array, bias: Array, out: Array) -> None:
        """Write ``x @ W + bias`` into `out` (T, B, O)."""
        linear_forward(self.x, W, bias, out)

    def project_backward(self, dout: Array, W: Array, dW: Array, dbias: Array) -> Array:
        """Add to `dW` and `dbias`, return the gradient of x."""
        return linear_backward(dout, self.x, W, dW, dbias)


LayerInput = TokenInput | DenseInput


def dropout_forward(x: Array, mask: Array | None) -> Array:
    """Inverted dropout: ``x * mask``, the mask holding 0 or 1 / (1 - p). None leaves x as it is."""
    return x if mask is None else x * mask


dropout_backward = dropout_forward
"""The gradient passes where the value passed, times the same factor."""


class LossCache(NamedTuple):
    """What the backward pass of the loss needs."""

    p: Array  # (T, B, V), softmax of the logits
    y: Array  # (T * B,), targets
    n: Array  # number of targets that the mean is taken over


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
        Number of targets that the mean is taken over; by default those that count.

    Returns
    -------
    loss : 0-d array
        In nats; 0 where no target is counted.
    cache : LossCache
        For :func:`cross_entropy_backward`.
    """
    xp, y = array_module(logits), y.ravel()
    if kernels := fused(logits):
        y = y.astype("int32", copy=False)
        loss, p, n = kernels.cross_entropy_forward(rows(logits), y, n)
        return loss, LossCache(p.reshape(logits.shape), y, n)
    counted = y >= 0
    n = xp.maximum(counted.sum() if n is None else n, 1)
    shifted = rows(logits) - rows(logits).max(axis=1, keepdims=True)  # (T * B, V)
    target_scores = shifted[xp.arange(y.size), y]
    p = xp.exp(shifted, out=shifted)
    total = p.sum(axis=1, keepdims=True)
    log_p = target_scores - xp.log(total[:, 0])
    p /= total
    # summed in float64 whatever the arrays hold: T * B terms of the same sign
    loss = -xp.where(counted, log_p, 0).sum(dtype="float64") / n
    return xp.asarray(loss, logits.dtype), LossCache(p.reshape(logits.shape), y, n)


def cross_entropy_backward(cache: LossCache) -> Array:
    """Gradient of the mean loss with respect to the logits: ``(p - one_hot(y)) / n``, 0 where y is not counted."""
    p, y, n = cache
    xp = array_module(p)
    if kernels := fused(p):
        return kernels.cross_entropy_backward(rows(p), y, n).reshape(p.shape)
    dlogits = p.copy()
    rows(dlogits)[xp.arange(y.size), y] -= 1
    rows(dlogits)[...] *= ((y >= 0) / n).astype(p.dtype)[:, None]
    return dlogits
