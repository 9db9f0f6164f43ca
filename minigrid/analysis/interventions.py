"""Intervene in a trained model: copy it with one of its gates clamped to a constant value."""

from collections.abc import Sequence

import numpy as np

from minigrid.errors import UserError
from minigrid.nn.model import CharModel

FAR = 1e3  # sigmoid(FAR) is exactly 1, and sigmoid(-FAR) exactly 0
LSTMS = {"grid": ("depth", "time"), "lstm": ("lstm",)}
"""Kind of model -> names of its LSTMs, whose gates can be clamped."""


def untied(model: CharModel) -> CharModel:
    """Return a copy of a model that computes the same function, but whose layers share no weights."""
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
    """Return an untied copy of a model in which one gate of one layer is constant, whatever the model reads.

    The weights of the gate are set to 0, and its bias to the pre-activation whose sigmoid is `value`, so the forward
    and backward passes need no special case. A gate clamped to 0 or 1 stays there even in training, because its slope
    is exactly 0.

    Parameters
    ----------
    model : CharModel
        A grid or a stacked LSTM. It is not changed.
    gate : {"depth.f", "time.f", "lstm.f", ...}
        Name of the gate in a trace: an input (i), forget (f) or output (o) gate.
    layer : int
        Layer of the gate, counted from 0.
    value : float or array
        Value from 0 (closed) to 1 (open), or one such value for each of `units`. 0 and 1 are reached exactly.
    units : sequence of int, optional
        Units whose gates are clamped; all by default.

    Raises
    ------
    UserError
        The model has no such gate or layer, or a value is not from 0 to 1.
    """
    value = np.asarray(value, float)
    if not ((value >= 0) & (value <= 1)).all():
        raise UserError(f"`value` must be from 0 (closed) to 1 (open), not {value}")
    if not 0 <= layer < model.layers:
        raise UserError(f"`layer` must be from 0 to {model.layers - 1}, counted from 0, not {layer}")
    gates = [f"{lstm}.{letter}" for lstm in LSTMS.get(model.options.model, ()) for letter in "ifo"]
    if not gates:
        raise UserError(
            f"a model of kind {model.options.model!r} has no gates that can be clamped: use 'grid' or 'lstm'"
        )
    if gate not in gates:
        raise UserError(f"`gate` must be one of {', '.join(gates)} for this model, not {gate!r}")
    lstm, letter = gate.split(".")
    columns = "ifog".index(letter) * model.hidden + np.arange(model.hidden)
    columns = columns if units is None else columns[list(units)]
    with np.errstate(divide="ignore"):  # log(0) is -inf, which is clipped
        a = np.clip(np.log(value) - np.log1p(-value), -FAR, FAR)
    copy = untied(model)
    for name, array in copy.weights_by_layer()[layer].items():
        if name.startswith(f"{lstm}."):
            array[..., columns] = copy.xp.asarray(a) if name.endswith(".bias") else 0
    return copy
