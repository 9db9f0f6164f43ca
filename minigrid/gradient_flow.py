"""How much of a gradient is left after a number of steps back through time, by hand."""

from collections.abc import Mapping

import numpy as np

from minigrid.backend import Array, to_host
from minigrid.errors import UserError
from minigrid.model import CharModel
from minigrid.ops import cross_entropy_backward, cross_entropy_forward


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
        Characters, T steps of B texts side by side.
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
    x, target = model.ids(x), model.ids(target[None], lowest=-1)
    if target.shape[1] != x.shape[1]:
        raise UserError(f"there are {target.shape[1]} targets for {x.shape[1]} texts: give one for each")
    state = model.initial_state(x.shape[1]) if state is None else state
    caches = []
    for t in range(len(x)):
        logits, state, cache = model.forward(x[t : t + 1], state)
        caches.append(cache)
    _, loss_cache = cross_entropy_forward(logits, target)
    dlogits = cross_entropy_backward(loss_cache) * x.shape[1]  # one loss for each text, not their mean
    norms, dstate = [], None
    for cache in reversed(caches):
        _, dstate = model.backward(cache, dlogits, dstate)
        norms.append({name: np.linalg.norm(to_host(d), axis=1) for name, d in dstate.items()})
        dlogits = model.xp.zeros_like(dlogits)  # earlier losses play no part
    kind = model.cell.kind
    return {
        f"{kind}.{name}": np.stack(
            [[norm[f"{kind}.{layer}.{name}"] for norm in norms] for layer in range(model.layers)]
        )
        for name in model.cell.states
    }
