"""Names and shapes of a model's parameters and states: a layer's ``time.W_depth`` is the model's ``time.0.W_depth``."""

from typing import NamedTuple

from minigrid.nn.cells import Cell
from minigrid.nn.options import ModelOptions

SHARED = {"depth": ("depth",), "layers": ("time", "depth"), "none": (), None: ()}
"""For each `tie`, the LSTMs of a grid block that all layers share."""


class LayerNames(NamedTuple):
    """Names of one layer's weights and states: the cell's own -> the model's."""

    weights: dict[str, str]
    states: dict[str, str]


def layer_names(cell: Cell, layer: int, tie: str | None) -> LayerNames:
    """Number the names of a layer, except those of the weights that all layers share."""
    weights = {}
    for name in cell.weight_shapes(cell.hidden):
        kind, weight = name.split(".")
        weights[name] = name if kind in SHARED[tie] else f"{kind}.{layer}.{weight}"
    return LayerNames(weights, {state: f"{cell.prefix}.{layer}.{state}" for state in cell.states})


def state_names(options: ModelOptions, cell: Cell) -> list[str]:
    """Return the names of a model's state arrays, as :meth:`CharModel.state_names` does; each array is (B, H)."""
    names = (layer_names(cell, layer, options.tie) for layer in range(options.layers))
    return [full for layer in names for full in layer.states.values()]


def parameter_shapes(options: ModelOptions, cell: Cell) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every parameter, in the order of the flat vector."""
    V, H, N = options.vocab_size, options.hidden, options.embedding
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (V, N)} if N else {}
    for layer in range(options.layers):
        names = layer_names(cell, layer, options.tie)
        inputs = H if layer else N or V
        shapes |= {names.weights[name]: shape for name, shape in cell.weight_shapes(inputs).items()}
    return shapes | {"decoder.weight": (H, V), "decoder.bias": (V,)}
