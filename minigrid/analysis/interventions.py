"""Interventions: copies of a trained model in which a gate is clamped at a constant value."""

from collections.abc import Sequence

import numpy as np

from minigrid.errors import UserError
from minigrid.nn.model import CharModel

FAR = 1e3  # a pre-activation from which on sigmoid is 0 or 1 to the last digit


def untied(model: CharModel) -> CharModel:
    """Return a copy of a model that computes the same, but whose layers share no weights."""
    copy = CharModel.from_options(model.options, **({"tie": "none"} if model.options.tie else {}))
    for name in ("embedding.weight", "decoder.weight", "decoder.bias"):
        if name in copy.params:
            copy.params[name][...] = model.params[name]
    for new, old in zip(copy.weights_by_layer(), model.weights_by_layer(), strict=True):
        for name, array in new.items():
            array[...] = old[name]
    return copy


def clamp_gate(
    model: CharModel,
    gate: str,
    layer: int,
    value: float | np.ndarray,
    units: Sequence[int] | None = None,
) -> CharModel:
    """Return an untied copy of a model in which a gate of one layer no longer depends on what is read.

    Its weights are set to 0 and its bias to the pre-activation that gives `value`, so the forward and the backward pass
    need not know of it. Clamped at 0 or 1, a gate even stays there in training, since its slope is exactly 0.

    Parameters
    ----------
    model : CharModel
        A grid or a stacked LSTM; left as it is.
    gate : {"depth.f", "time.f", "lstm.f", ...}
        The gate as a trace names it; i, f or o.
    layer : int
        In which layer, from 0.
    value : float or array
        0 closes it and 1 opens it, exactly; anything in between too, also one value for each of `units`.
    units : sequence of int, optional
        Of which units; all by default.

    Raises
    ------
    UserError
        The model has no such gate or layer; a value outside 0 to 1.
    """
    value = np.asarray(value, float)
    if not ((value >= 0) & (value <= 1)).all():
        raise UserError(f"a gate is clamped at a value from 0 to 1, not at {value}")
    if not 0 <= layer < model.layers:
        raise UserError(f"there is no layer {layer} in a model of {model.layers} layers, which are counted from 0")
    copy = untied(model)
    kind, _, letter = gate.partition(".")
    if letter not in ("i", "f", "o") or f"{kind}.bias" not in copy.weights_by_layer()[0]:
        raise UserError(f"a model of kind {model.options.model} has no gate {gate!r} that could be clamped")
    columns = "ifog".index(letter) * model.hidden + np.arange(model.hidden)
    columns = columns if units is None else columns[list(units)]
    with np.errstate(divide="ignore"):
        a = np.clip(np.log(value) - np.log1p(-value), -FAR, FAR)
    for name, array in copy.weights_by_layer()[layer].items():
        if name.startswith(f"{kind}."):
            array[..., columns] = copy.xp.asarray(a) if name.endswith(".bias") else 0
    return copy
