"""Measure how much of a gradient is left after it has gone back through time, or down through the layers."""

from collections.abc import Mapping

import numpy as np

from minigrid.backend import Array, to_host
from minigrid.errors import UserError
from minigrid.nn.dropout import dropout_backward
from minigrid.nn.model import CharModel
from minigrid.nn.ops import cross_entropy_backward, cross_entropy_forward


def norms_by_lag(
    model: CharModel, x: Array, target: Array, state: Mapping[str, Array] | None = None
) -> dict[str, np.ndarray]:
    """Measure the gradient of the last step's loss with respect to every earlier state.

    The model reads one character at a time, without dropout, and the cache of every step is kept. The gradient of the
    loss at the last step is then propagated back step by step, and its norm is recorded at each.

    Parameters
    ----------
    model : CharModel
        A model on any backend.
    x : (T, B) int array
        Characters of B sequences, each T steps long.
    target : (B,) int array
        The character that follows each sequence, to predict at the last step.
    state : mapping, optional
        State before the first step; zeros by default.

    Returns
    -------
    dict of str to numpy.ndarray
        Name of each state of the cell (``time.h``, ``time.c`` and so on) -> (L, T, B) array. Entry [l, k - 1, b] is
        the norm over units of d loss[t, b] / d state[l, t - k, b], where t is the last step, in nats per unit of state.

    Raises
    ------
    UserError
        `x`, `target` or `state` does not fit the model.
    """
    x, target, state = _checked(model, x, target, state)
    caches = []
    for t in range(len(x)):
        logits, state, cache = model.forward(x[t : t + 1], state)
        caches.append(cache)
    dlogits = _each_loss_backward(logits, target)
    norms, dstate = [], None
    for cache in reversed(caches):
        _, dstate = model.backward(cache, dlogits, dstate)
        norms.append({name: _norms(d) for name, d in dstate.items()})
        dlogits = model.xp.zeros_like(dlogits)  # only the last step has a loss
    prefix = model.cell.prefix
    return {
        f"{prefix}.{name}": np.stack(
            [[norm[f"{prefix}.{layer}.{name}"] for norm in norms] for layer in range(model.layers)]
        )
        for name in model.cell.states
    }


def norms_by_layer(
    model: CharModel,
    x: Array,
    target: Array,
    state: Mapping[str, Array] | None = None,
    masks: Mapping[str, Array] | None = None,
) -> dict[str, np.ndarray]:
    """Measure the gradient of the last step's loss with respect to what each layer passes upward at that same step.

    This gradient comes down through the layers only, not back through time. The top layer passes its hidden state to
    the decoder.

    Parameters
    ----------
    model, x, target, state
        As in :func:`norms_by_lag`.
    masks : mapping, optional
        Dropout masks of the last step, (1, B, H) each, as drawn by ``model.draw_masks(1, B, draw)``; no dropout by
        default. The gradient is taken with respect to a layer's output *before* the mask.

    Returns
    -------
    dict of str to numpy.ndarray
        ``depth.h`` and ``depth.c`` (the memory cell that the layer above continues from) for a grid, ``lstm.h``,
        ``gru.h`` or ``rnn.h`` for a stacked model -> (L, B) array. Entry [l, b] is the norm over units, in nats per
        unit of state. Nothing reads the memory cell of the top layer, so ``depth.c`` is 0 there.

    Raises
    ------
    UserError
        `x`, `target`, `state` or `masks` does not fit the model.
    """
    x, target, state = _checked(model, x, target, state)
    masks = masks or {}
    if len(x) > 1:
        _, state = model.predict(x[:-1], state)
    logits, _, cache = model.forward(x[-1:], state, masks)
    dh = dropout_backward(_each_loss_backward(logits, target) @ model.params["decoder.weight"].T, masks.get("top"))
    h, c = [_norms(dh[0])], [np.zeros(x.shape[1])]
    dc, nothing = None, dict.fromkeys(model.cell.states, model.xp.zeros_like(dh[0]))  # from later steps
    weights = model.weights_by_layer()
    for layer in reversed(range(1, model.layers)):
        unused = {name: model.xp.zeros_like(W) for name, W in weights[layer].items()}
        dh, dc, _ = model.cell.backward(dh, dc, nothing, cache.layers[layer], unused, model.workspace())
        dh = dropout_backward(dh, masks.get(f"layer.{layer}"))
        h.append(_norms(dh[0]))
        if dc is not None:
            c.append(_norms(dc[0]))
    if dc is None:
        return {f"{model.cell.prefix}.h": np.array(h[::-1])}
    return {"depth.h": np.array(h[::-1]), "depth.c": np.array(c[::-1])}


def _norms(d: Array) -> np.ndarray:
    """Return the norm over units for each sequence: (B, H) -> (B,), on the host."""
    return np.linalg.norm(to_host(d).astype(np.float64), axis=1)  # in float32, the square of 1e-23 is 0


def _checked(
    model: CharModel, x: Array, target: Array, state: Mapping[str, Array] | None
) -> tuple[Array, Array, Mapping[str, Array]]:
    """Return the characters, the targets as a (1, B) array, and the state, all on the model's device."""
    x = model.ids(x)
    B = x.shape[1]
    if target.shape != (B,):
        raise UserError(f"`target` must have one character per sequence, shape ({B},), not {target.shape}")
    target = model.targets(target[None], (1, B))
    return x, target, model.initial_state(x.shape[1]) if state is None else state


def _each_loss_backward(logits: Array, target: Array) -> Array:
    """Return the gradient of each sequence's own loss, not of their mean, with respect to the logits (1, B, V)."""
    _, loss_cache = cross_entropy_forward(logits, target)
    return cross_entropy_backward(loss_cache) * target.shape[1]
