"""How much of a gradient is left after a number of steps back through time, or of layers down, by hand."""

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

    The model reads one character at a time and keeps the cache of each; the gradient of the loss at the last step then
    goes back through them one by one, and its norm is taken on the way. Without dropout.

    Parameters
    ----------
    model : CharModel
        On any backend.
    x : (T, B) int array
        Characters, T steps of B sequences side by side.
    target : (B,) int array
        The character to predict at the last step.
    state : mapping, optional
        State before the first step; zeros by default.

    Returns
    -------
    dict of str to numpy.ndarray
        ``time.h``, ``time.c`` and so on, the names of the cell's states -> (L, T, B) array; entry [l, k - 1, b] is
        the norm over units of d loss[t, b] / d state[l, t - k, b], t being the last step, in nats per unit of state.

    Raises
    ------
    UserError
        `x`, `target` or `state` do not fit the model.
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
        dlogits = model.xp.zeros_like(dlogits)  # earlier losses play no part
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
    """Measure the gradient of the last step's loss with respect to what each layer hands upward at that same step.

    All of it comes down through the layers: no other step lies between. What the top layer hands upward goes to the
    decoder.

    Parameters
    ----------
    model, x, target, state
        As in :func:`norms_by_lag`.
    masks : mapping, optional
        Dropout masks of the last step, (1, B, H) each, as ``model.draw_masks(1, B, draw)`` draws them. The gradient is
        that of what a layer hands upward *before* it is masked. None: no dropout.

    Returns
    -------
    dict of str to numpy.ndarray
        ``depth.h`` and ``depth.c`` (the memory cell that the layer above goes on with) for a grid, ``lstm.h``,
        ``gru.h`` or ``rnn.h`` for a stack -> (L, B) array; entry [l, b] is the norm over units, in nats per unit.
        Nobody goes on with the top layer's memory cell: there ``depth.c`` is 0.

    Raises
    ------
    UserError
        `x`, `target`, `state` or `masks` do not fit the model.
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
    """Norm over the units of each text: (B, H) -> (B,), on the host."""
    return np.linalg.norm(to_host(d).astype(np.float64), axis=1)  # the square of 1e-23 is 0 in single precision


def _checked(
    model: CharModel, x: Array, target: Array, state: Mapping[str, Array] | None
) -> tuple[Array, Array, Mapping[str, Array]]:
    """Return characters, targets (1, B) and state on the model's device."""
    x = model.ids(x)
    if len(target) != x.shape[1]:
        raise UserError(f"there are {len(target)} targets for {x.shape[1]} sequences: give one for each")
    target = model.targets(target[None], (1, x.shape[1]))
    return x, target, model.initial_state(x.shape[1]) if state is None else state


def _each_loss_backward(logits: Array, target: Array) -> Array:
    """Gradient of every text's own loss, not of their mean, with respect to its logits (1, B, V)."""
    _, loss_cache = cross_entropy_forward(logits, target)
    return cross_entropy_backward(loss_cache) * target.shape[1]
