"""What the model asks of a layer, whichever cell it is made of."""

from abc import ABC, abstractmethod
from typing import Any

from minigrid.backend import Array, Workspace
from minigrid.ops import LayerInput

State = dict[str, Array]
"""One layer's state by name, (B, H) each."""


class Cell(ABC):
    """One kind of layer: a whole sequence forward, a whole sequence backward.

    A cell object holds sizes and options, no weights: those are handed in as a mapping from ``kind.name`` to arrays, in
    the order of :meth:`weight_shapes`, their gradients likewise.

    Attributes
    ----------
    kind : str
        Prefix of the layer's state names.
    states : tuple of str
        Names of its states.
    hidden : int
        H.
    kept, passing : int
        Memory of training, in arrays of T * B * H numbers: what each layer keeps from the forward to the backward pass,
        and what a backward pass uses besides, at its peak, once for all layers.
    """

    kind: str
    states: tuple[str, ...]
    hidden: int
    kept: int
    passing: int

    @abstractmethod
    def weight_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights of a layer that reads `inputs` numbers per step."""

    @abstractmethod
    def forward(
        self,
        source: LayerInput,
        memory: Array | None,
        state: State,
        weights: dict[str, Array],
        steps: int,
        workspace: Workspace,
    ) -> tuple[Array, Array | None, State, Any]:
        """Run one layer over a sequence.

        Parameters
        ----------
        source : TokenInput or DenseInput
            What the layer reads at each step.
        memory : (T, B, H) array or None
            The memory cell along depth that arrives from the layer below; None is zero. Only the grid has one, the
            stacked cells hand on what they were given.
        state, weights, steps, workspace
            State before the first step; weights; T; giver of arrays.

        Returns
        -------
        out : (T, B, H) array
            What the layer above reads.
        memory : (T, B, H) array or None
            The memory cell along depth that leaves for the layer above.
        state : dict
            State after the last step.
        cache : NamedTuple
            For :meth:`backward`.
        """

    @abstractmethod
    def backward(
        self,
        dout: Array,
        dmemory: Array | None,
        dstate: State,
        cache: Any,
        weights: dict[str, Array],
        grads: dict[str, Array],
        workspace: Workspace,
    ) -> tuple[Array | None, Array | None, State]:
        """Backward of :meth:`forward`: one gradient for each thing that it returned, one for each that it was given.

        Gradients of the weights are added to `grads`; those of the source, the memory and the initial state are
        returned.
        """

    @abstractmethod
    def named_arrays(self, cache: Any, weights: dict[str, Array]) -> dict[str, Array]:
        """Name what a layer did in :meth:`forward`, for :mod:`minigrid.trace`: ``kind.name`` -> (T, B, H) array.

        Gates and states are views into the cache; pre-activations are computed again from what it holds.
        """

    def gradient_of_h(self, dread: Array, dh_last: Array, workspace: Workspace, read: slice = slice(1, None)) -> Array:
        """Lay out the gradients that arrive at h[0] ... h[T] from outside the recurrence: (T + 1, B, H).

        `dread` (T, B, H) arrives at the steps `read`, the new states by default, and `dh_last` (B, H) at the last one.
        """
        T, B, H = dread.shape
        dh = workspace.scratch("dh_outside", (T + 1, B, H))
        dh[...] = 0
        dh[read] = dread
        dh[T] += dh_last
        return dh
