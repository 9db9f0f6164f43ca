"""The character model: embedding, layers of cells, decoder, loss and gradients."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from minigrid.backend import Array, Workspace, backend_module
from minigrid.errors import UserError
from minigrid.nn.cells import CELLS, Cell
from minigrid.nn.dropout import draw_masks, dropout_backward, dropout_forward
from minigrid.nn.inputs import check_array, check_arrays, check_characters, check_names
from minigrid.nn.naming import layer_names, parameter_shapes
from minigrid.nn.ops import (
    DenseInput,
    LayerInput,
    TokenInput,
    cross_entropy_backward,
    cross_entropy_forward,
    linear_backward,
    linear_forward,
)
from minigrid.nn.options import ModelOptions, check_sizes
from minigrid.nn.params import Params, initial_values

State = dict[str, Array]


class Cache(NamedTuple):
    """What :meth:`CharModel.forward` leaves for :meth:`CharModel.backward`."""

    layers: list[Any]  # one cache per layer, see minigrid.nn.cells
    masks: Mapping[str, Array]
    top: Array  # (T, B, H), input of the decoder


class CharModel:
    """A character-level language model of grid, LSTM, GRU or RNN layers.

    Parameters
    ----------
    model : {"grid", "lstm", "gru", "rnn"}
        The cell.
    vocab_size, hidden, layers : int
        V, H and L.
    tie : {"depth", "layers", "none"}, optional
        Grid only: which weights the layers share. "depth" (default): those of the LSTM along depth; "layers": all.
    priority : {"depth", "none"}, optional
        Grid only: whether the LSTM along depth reads the new state along time (default) or the old one.
    lstm_output : {"standard", "paper"}, optional
        Grid and lstm: ``h = o * tanh(c)`` (default) or ``h = tanh(o * c)``.
    dropout : float
        Rate p in [0, 1), on the inputs of layers 2 to L and of the decoder, in training only.
    embedding : int, optional
        Units of the embedding. None means H; 0 means one-hot characters. The grid needs H.
    dtype : {"float32", "float64"}
        Dtype of all arrays.
    backend : {"numpy", "cupy", "auto"}
        Where the arrays are.
    seed : int
        Seed of the initial parameters and of the dropout masks.

    Attributes
    ----------
    params : Params
        Name -> array; views into ``params.flat``.
    options : ModelOptions
        The arguments above with every default filled in; see :meth:`from_options`.
    draws : int
        How many times :meth:`loss_and_grads` has drawn dropout masks by itself.

    Raises
    ------
    UserError
        An unknown name, a size or a rate out of bounds, or an option that the model does not have.
    """

    def __init__(
        self,
        model: str = "grid",
        *,
        vocab_size: int,
        hidden: int = 128,
        layers: int = 2,
        tie: str | None = None,
        priority: str | None = None,
        lstm_output: str | None = None,
        dropout: float = 0.0,
        embedding: int | None = None,
        dtype: str = "float32",
        backend: str = "numpy",
        seed: int = 0,
    ):
        self.options = ModelOptions(
            model=model,
            vocab_size=vocab_size,
            hidden=hidden,
            layers=layers,
            tie=tie,
            priority=priority,
            lstm_output=lstm_output,
            dropout=dropout,
            embedding=embedding,
            dtype=dtype,
            backend=backend,
            seed=seed,
        )
        self.xp = backend_module(backend)
        self.dtype = np.dtype(dtype)
        self.vocab_size, self.hidden, self.layers = self.options.vocab_size, self.options.hidden, self.options.layers
        self.dropout = self.options.dropout
        self.draws = 0
        self.cell: Cell = CELLS[model](self.options)
        self._names = [layer_names(self.cell, layer, self.options.tie) for layer in range(self.layers)]
        shapes = parameter_shapes(self.options, self.cell)
        self.params = Params(shapes, self.xp.asarray(initial_values(shapes, self.options.seed).astype(dtype)))

    @classmethod
    def from_options(cls, options: ModelOptions, **changes: Any) -> "CharModel":
        """Build a model from the options of another one, ``CharModel.from_options(model.options, layers=3)``."""
        return cls(**dataclasses.asdict(options) | changes)

    def weights_by_layer(self, arrays: Params | None = None) -> list[dict[str, Array]]:
        """Return each layer's weights, or its part of other arrays with their names, from the bottom up.

        The names are those that the cell uses: ``time.W_depth`` and so on.
        """
        arrays = self.params if arrays is None else arrays
        return [{name: arrays[full] for name, full in names.weights.items()} for names in self._names]

    def state_names(self) -> list[str]:
        """Return the names of the state's arrays, ``time.0.h`` and so on, from the bottom layer up."""
        return [full for names in self._names for full in names.states.values()]

    def initial_state(self, batch: int) -> State:
        """Return zeros: name -> (B, H) array."""
        check_sizes(batch=batch)
        return {name: self.xp.zeros((batch, self.hidden), self.dtype) for name in self.state_names()}

    def workspace(self, reuse: bool = False) -> Workspace:
        """Return a workspace for arrays of the model's dtype on its device."""
        return Workspace(self.xp, self.dtype, reuse)

    # -- forward and backward

    def forward(
        self,
        x: Array,
        state: Mapping[str, Array],
        masks: Mapping[str, Array] | None = None,
        *,
        workspace: Workspace | None = None,
    ) -> tuple[Array, State, Cache]:
        """Read a minibatch.

        Parameters
        ----------
        x : (T, B) int array
            Characters, on the host or on the model's device.
        state : mapping
            State before the first step, from :meth:`initial_state` or an earlier call.
        masks : mapping, optional
            Dropout masks, see :meth:`draw_masks`. None: no dropout.
        workspace : Workspace, optional
            Provides the arrays of the cache; by default they are fresh.

        Returns
        -------
        logits : (T, B, V) array
            Scores of the next character, before the softmax.
        state : dict
            State after the last step.
        cache : Cache
            For :meth:`backward`. It refers to x, the masks and the parameters: do not change those before.
        """
        workspace = workspace or self.workspace()
        x = self.ids(x)
        masks = {} if masks is None else masks
        self._check_masks(masks, x.shape)
        self._check_state(state, batch=x.shape[1])
        out, new_state, caches = self._run_layers(x, state, masks, workspace, keep=True)
        top = dropout_forward(out, masks.get("top"))
        logits = linear_forward(top, self.params["decoder.weight"], self.params["decoder.bias"])
        return logits, new_state, Cache(caches, masks, top)

    def _run_layers(
        self, ids: Array, state: Mapping[str, Array], masks: Mapping[str, Array], workspace: Workspace, keep: bool
    ) -> tuple[Array, State, list[Any]]:
        """Go up the layers; return the top layer's output (T, B, H), the new state, and if `keep` the caches."""
        x: LayerInput = TokenInput(ids, self.params.get("embedding.weight"))
        c_depth, new_state, caches = None, State(), []
        for layer, (names, weights) in enumerate(zip(self._names, self.weights_by_layer(), strict=True)):
            out, c_depth, state_of_layer, cache = self.cell.forward(
                x,
                c_depth,
                {name: state[full] for name, full in names.states.items()},
                weights,
                # without a backward pass, only the layer below is still needed
                workspace.scope(f"layer.{layer if keep else layer % 2}", keep),
            )
            new_state |= {full: state_of_layer[name] for name, full in names.states.items()}
            if keep:
                caches.append(cache)
            x = DenseInput(dropout_forward(out, masks.get(f"layer.{layer + 1}")))
        return out, new_state, caches

    def backward(
        self,
        cache: Cache,
        dlogits: Array,
        dstate: Mapping[str, Array] | None = None,
        *,
        workspace: Workspace | None = None,
    ) -> tuple[Params, State]:
        """Backward of :meth:`forward`.

        Parameters
        ----------
        cache : Cache
            From the forward pass.
        dlogits : (T, B, V) array
            Gradient that arrives at the logits.
        dstate : mapping, optional
            Gradient that arrives at the final state; a missing name is zero.
        workspace : Workspace, optional
            Provides the arrays; by default they are fresh.

        Returns
        -------
        grads : Params
            Name -> gradient, views into ``grads.flat``.
        dstate0 : dict
            Gradient of the initial state.
        """
        workspace = workspace or self.workspace()
        T, B, _ = cache.top.shape
        dstate = {} if dstate is None else dstate
        check_array("dlogits", dlogits, (T, B, self.vocab_size), self.xp)
        self._check_state(dstate, batch=B, whole=False)
        grads = self.params.with_flat(workspace.empty("grads", self.params.flat.shape))
        grads.flat[...] = 0
        grads_by_layer = self.weights_by_layer(grads)
        dstate0 = State()

        dtop = linear_backward(
            dlogits, cache.top, self.params["decoder.weight"], grads["decoder.weight"], grads["decoder.bias"]
        )
        dout, dc_depth = dropout_backward(dtop, cache.masks.get("top")), None
        for layer in reversed(range(self.layers)):
            names = self._names[layer]
            dx, dc_depth, dstate_of_layer = self.cell.backward(
                dout,
                dc_depth,
                {name: dstate.get(full) for name, full in names.states.items()},
                cache.layers[layer],
                grads_by_layer[layer],
                workspace.scope(f"layer.{layer}"),
            )
            dstate0 |= {full: dstate_of_layer[name] for name, full in names.states.items()}
            if layer:
                dout = dropout_backward(dx, cache.masks.get(f"layer.{layer}"))
        if "embedding.weight" in grads:
            grads["embedding.weight"][...] += dx
        return grads, dstate0

    def loss_and_grads(
        self,
        x: Array,
        y: Array,
        state: Mapping[str, Array],
        masks: Mapping[str, Array] | None = None,
        *,
        counted: Array | None = None,
        workspace: Workspace | None = None,
    ) -> tuple[Array, Params, State]:
        """Return the mean loss of a minibatch in nats, its gradients, and the state after it.

        Parameters
        ----------
        x, y : (T, B) int arrays
            Characters to read and to predict; y = -1 is not counted.
        state : mapping
            State before the first step; no gradient flows into it (truncated backpropagation through time).
        masks : mapping, optional
            Dropout masks. None: drawn from (seed, number of draws so far) if ``dropout > 0``.
        counted : int, optional
            Number of targets in the mean; by default the number of counted ones in y. If x and y are part of a larger
            batch, give the number of the whole batch.
        workspace : Workspace, optional
            Provides the arrays; by default they are fresh.
        """
        workspace = workspace or self.workspace()
        x = self.ids(x)
        if masks is None and self.dropout > 0:
            T, B = x.shape
            masks = self.draw_masks(T, B, self.draws)
            self.draws += 1
        logits, state, cache = self.forward(x, state, masks, workspace=workspace)
        loss, loss_cache = cross_entropy_forward(logits, self.targets(y, logits.shape[:2]), counted)
        grads, _ = self.backward(cache, cross_entropy_backward(loss_cache), workspace=workspace)
        return loss, grads, state

    def loss(
        self, x: Array, y: Array, state: Mapping[str, Array], *, workspace: Workspace | None = None
    ) -> tuple[Array, State]:
        """Return the mean loss in nats and the state after: no dropout, no gradients, no cache."""
        logits, state = self.predict(x, state, workspace=workspace)
        return cross_entropy_forward(logits, self.targets(y, logits.shape[:2]))[0], state

    def predict(
        self, x: Array, state: Mapping[str, Array], *, workspace: Workspace | None = None
    ) -> tuple[Array, State]:
        """Return logits (T, B, V) and the state after, as :meth:`forward` does, but without a cache."""
        workspace = workspace or self.workspace()
        x = self.ids(x)
        self._check_state(state, batch=x.shape[1])
        out, new_state, _ = self._run_layers(x, state, {}, workspace, keep=False)
        return linear_forward(out, self.params["decoder.weight"], self.params["decoder.bias"]), new_state

    # -- dropout

    def mask_names(self) -> list[str]:
        """Return the names of the dropout masks: ``layer.1`` to ``layer.{L-1}``, counted from 0, and ``top``."""
        return [*(f"layer.{layer}" for layer in range(1, self.layers)), "top"]

    def draw_masks(self, steps: int, batch: int, draw: int, columns: slice = slice(None)) -> dict[str, Array]:
        """Draw the dropout masks of one minibatch, (T, B, H) each, see :meth:`mask_names`; or some of their columns.

        The generator is keyed by the model's seed and `draw`, so you can draw the masks of any step again, on any
        backend, without drawing those before it.
        """
        names = self.mask_names()
        shape = (len(names), steps, batch, self.hidden)
        masks = draw_masks(self.xp, self.dtype, shape, self.dropout, (self.options.seed, draw), columns)
        return dict(zip(names, masks, strict=True))

    # -- checks on what callers pass in

    def ids(self, x: Array) -> Array:
        """Return characters (T, B) on the model's device; those that are still on the host are checked.

        Raises
        ------
        UserError
            Not a (T, B) array of whole numbers from 0 to V - 1.
        """
        return self.xp.asarray(check_characters(x, self.vocab_size))

    def targets(self, y: Array, shape: tuple[int, int]) -> Array:
        """Return targets (T, B) on the model's device, checked like characters; -1 is allowed."""
        if np.shape(y) != shape:
            raise UserError(f"targets must have the shape of the characters, {shape}, not {np.shape(y)}")
        return self.xp.asarray(check_characters(y, self.vocab_size, lowest=-1))

    def _check_state(self, state: Mapping[str, Array], batch: int, whole: bool = True) -> None:
        check_names("state", state, self.state_names(), all_of_them=whole)
        check_arrays("state", state, (batch, self.hidden), self.xp)

    def _check_masks(self, masks: Mapping[str, Array], shape: tuple[int, int]) -> None:
        check_names("set of dropout masks", masks, self.mask_names(), all_of_them=False)
        check_arrays("mask", masks, (*shape, self.hidden), self.xp)
