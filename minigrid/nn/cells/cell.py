"""What the model expects of a layer, whichever cell it is made of."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

from minigrid.backend import Array, Scope, Workspace
from minigrid.nn.ops import LayerInput

Arrays = Mapping[str, Array]
"""Arrays by name."""

State = dict[str, Array]
"""One layer's state by name, (B, H) each; or the gradient that arrives at its final state, in which None is zero."""

Memory = Array | None
"""The memory cell along depth, (T, B, H), or its gradient; None is zero. Only the grid has one."""


class Weights(NamedTuple):
    """Weights of a recurrent layer with G gates, or their gradients: ``a = x @ W_x + h_prev @ W_h + bias``."""

    W_x: Array  # (N, G H)
    W_h: Array  # (H, G H)
    bias: Array  # (G H,)


def weights_of(kind: str, arrays: Arrays) -> Weights:
    """Return the weights called ``{kind}.W_x``, ``{kind}.W_h`` and ``{kind}.bias``."""
    return Weights(W_x=arrays[f"{kind}.W_x"], W_h=arrays[f"{kind}.W_h"], bias=arrays[f"{kind}.bias"])


class Cell(ABC):
    """One kind of layer: a whole sequence forward, a whole sequence backward.

    A cell object holds sizes and options, but no weights: you pass those in by name, and their gradients likewise.

    Attributes
    ----------
    prefix : str
        First part of the names of the layer's states.
    states : tuple of str
        Names of its states.
    hidden : int
        H.
    kept, passing : int
        Memory that training takes, in arrays of T * B * H numbers: what each layer keeps from the forward to the
        backward pass, and what a backward pass needs besides, at its peak, once for all layers.
    """

    prefix: str
    states: tuple[str, ...]
    hidden: int
    kept: int
    passing: int

    @abstractmethod
    def weight_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights of a layer that reads `inputs` numbers per step."""

    @abstractmethod
    def forward(
        self, x: LayerInput, c_below: Memory, state: State, weights: Arrays, workspace: Workspace | Scope
    ) -> tuple[Array, Memory, State, Any]:
        """Run one layer over a sequence.

        Parameters
        ----------
        x : TokenInput or DenseInput
            The layer's input, T steps of B sequences.
        c_below : Memory
            Memory cell from the layer below; a cell without one passes it on unchanged.
        state : dict
            State before the first step.
        weights : mapping
            Weights, with the names and shapes of :meth:`weight_shapes`.
        workspace : Workspace or Scope
            Provides the arrays.

        Returns
        -------
        out : (T, B, H) array
            Input of the layer above.
        c_above : Memory
            Memory cell for the layer above.
        state : dict
            State after the last step.
        cache : NamedTuple
            For :meth:`backward`.
        """

    @abstractmethod
    def backward(
        self, dout: Array, dc_above: Memory, dstate: State, cache: Any, grads: Arrays, workspace: Workspace | Scope
    ) -> tuple[Array | None, Memory, State]:
        """Backward of :meth:`forward`.

        Parameters
        ----------
        dout, dc_above, dstate
            Gradients that arrive at what the forward pass returned.
        cache : NamedTuple
            From the forward pass.
        grads : mapping
            Gradients of the weights, by name. This layer's are added to them.
        workspace : Workspace or Scope
            Provides the arrays.

        Returns
        -------
        dx : array or None
            Gradient of what x looks up or holds, as its `project_backward` returns it.
        dc_below : Memory
            Gradient of `c_below`.
        dstate : dict
            Gradient of the initial state.
        """

    @abstractmethod
    def named_arrays(self, cache: Any) -> dict[str, Array]:
        """Name everything that :meth:`forward` computed, ``lstm.f`` and so on, (T, B, H) each.

        Gates and states are views into the cache. Pre-activations are recomputed from it.
        """
