"""What the model asks of a layer, whichever cell it is made of."""

from abc import ABC, abstractmethod
from typing import Any

from minigrid.backend import Array, Workspace
from minigrid.nn.ops import LayerInput

Arrays = dict[str, Array]
"""Arrays by name."""

State = Arrays
"""One layer's state by name, (B, H) each; or the gradient that arrives at its final state, where None is zero."""

Memory = Array | None
"""The memory cell along depth, (T, B, H), or its gradient; None is zero. Only the grid has one."""


class Cell(ABC):
    """One kind of layer: a whole sequence forward, a whole sequence backward.

    A cell object holds sizes and options, no weights: those are handed in by name, in the order of
    :meth:`weight_shapes`, their gradients likewise.

    Attributes
    ----------
    prefix : str
        What the names of the layer's states begin with.
    states : tuple of str
        Names of its states.
    hidden : int
        H.
    kept, passing : int
        Memory of training, in arrays of T * B * H numbers: what each layer keeps from the forward to the backward pass,
        and what a backward pass uses besides, at its peak, once for all layers.
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
        self, source: LayerInput, c_below: Memory, state: State, weights: Arrays, steps: int, workspace: Workspace
    ) -> tuple[Array, Memory, State, Any]:
        """Run one layer over a sequence.

        Parameters
        ----------
        source : TokenInput or DenseInput
            What the layer reads at each step.
        c_below : Memory
            What arrives from the layer below; cells without one hand on what they were given.
        state, weights, steps, workspace
            State before the first step; weights; T; giver of arrays.

        Returns
        -------
        out : (T, B, H) array
            What the layer above reads.
        c_above : Memory
            What leaves for the layer above.
        state : dict
            State after the last step.
        cache : NamedTuple
            For :meth:`backward`.
        """

    @abstractmethod
    def backward(
        self, dout: Array, dc: Memory, dstate: State, cache: Any, weights: Arrays, grads: Arrays, workspace: Workspace
    ) -> tuple[Array | None, Memory, State]:
        """Backward of :meth:`forward`: one gradient for each thing that it returned, one for each that it was given.

        `dout` is the gradient of out, `dc` that of c_above. Gradients of the weights are added to `grads`; those of the
        source, of c_below and of the initial state are returned.
        """

    @abstractmethod
    def named_arrays(self, cache: Any, weights: Arrays) -> Arrays:
        """Name what a layer did in :meth:`forward`, for a trace: ``lstm.f`` and so on, (T, B, H) each.

        Gates and states are views into the cache; pre-activations are computed again from what it holds.
        """

    @staticmethod
    def gradient_of_h(dread: Array, dh_last: Array | None, workspace: Workspace, read: slice = slice(1, None)) -> Array:
        """Lay out the gradients that arrive at h[0] ... h[T] from outside the recurrence: (T + 1, B, H).

        `dread` (T, B, H) arrives at the steps `read`, the new states by default, and `dh_last` (B, H) at the last one;
        None is zero.
        """
        T, B, H = dread.shape
        dh = workspace.scratch("dh_outside", (T + 1, B, H))
        dh[...] = 0
        dh[read] = dread
        if dh_last is not None:
            dh[T] += dh_last
        return dh
