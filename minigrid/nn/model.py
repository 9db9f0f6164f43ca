"""The character model: embedding, layers of cells, decoder, loss and gradients."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from minigrid.backend import Array, Workspace, array_module, backend_module
from minigrid.backend.cuda.kernels import fused
from minigrid.errors import UserError
from minigrid.nn.cells import CELLS, Cell
from minigrid.nn.ops import (
    DenseInput,
    TokenInput,
    cross_entropy_backward,
    cross_entropy_forward,
    dropout_backward,
    dropout_forward,
    linear_backward,
    linear_forward,
)
from minigrid.nn.options import ModelOptions, check_sizes
from minigrid.nn.params import Params, initial_values

State = dict[str, Array]

SHARED_KINDS = {"depth": ("depth",), "layers": ("time", "depth"), "none": ()}
"""For each `tie`, the LSTMs of a grid block that all layers share."""


class Cache(NamedTuple):
    """What :meth:`CharModel.forward` leaves for :meth:`CharModel.backward`."""

    layers: list[Any]  # one cache per layer, see minigrid.nn.cells
    masks: Mapping[str, Array]
    top: Array  # (T, B, H), what the decoder read


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
        Rate p in [0, 1), on what enters layers 2..L and the decoder, in training only.
    embedding : int, optional
        Units of the embedding; None is H, 0 is none (one-hot characters). The grid needs H.
    dtype : {"float32", "float64"}
        Of all numbers.
    backend : {"numpy", "cupy", "auto"}
        Where the arrays live.
    seed : int
        Of the initial parameters and of the dropout masks.

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
        An unknown name, a size or a rate out of range, or an option that the model does not have.
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
        self._layer_names = [self._names_of_layer(layer) for layer in range(layers)]
        self._layer_states = [
            {name: f"{self.cell.prefix}.{layer}.{name}" for name in self.cell.states} for layer in range(layers)
        ]
        # a dict, for a set has no order
        self._state_names = dict.fromkeys(full for names in self._layer_states for full in names.values())
        shapes = self._parameter_shapes()
        self.params = Params(shapes, self.xp.asarray(initial_values(shapes, seed).astype(dtype)))
        self._weights = [self._weights_of_layer(layer, self.params) for layer in range(layers)]

    @classmethod
    def from_options(cls, options: ModelOptions, **changes: Any) -> "CharModel":
        """Build a model from the options of another one, ``CharModel.from_options(model.options, layers=3)``."""
        return cls(**dataclasses.asdict(options) | changes)

    # -- parameters and state

    def _names_of_layer(self, layer: int) -> dict[str, str]:
        """Map a cell's weight names (``time.W_depth``) to the model's (``time.0.W_depth``; unchanged where shared)."""
        shared = SHARED_KINDS[self.options.tie or "none"]
        kinds_and_names = [name.split(".") for name in self.cell.weight_shapes(self.hidden)]
        return {
            f"{kind}.{name}": f"{kind}.{name}" if kind in shared else f"{kind}.{layer}.{name}"
            for kind, name in kinds_and_names
        }

    def _parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        V, H, N = self.vocab_size, self.hidden, self.options.embedding
        shapes = {"embedding.weight": (V, N)} if N else {}
        for layer, names in enumerate(self._layer_names):
            inputs = H if layer else N or V
            for name, shape in self.cell.weight_shapes(inputs).items():
                shapes[names[name]] = shape
        return shapes | {"decoder.weight": (H, V), "decoder.bias": (V,)}

    def _weights_of_layer(self, layer: int, arrays: Params) -> dict[str, Array]:
        return {name: arrays[full] for name, full in self._layer_names[layer].items()}

    def weights_by_layer(self) -> list[dict[str, Array]]:
        """Return the weights of each layer as its cell names them, ``time.W_depth`` and so on, from the bottom up."""
        return self._weights

    def state_names(self) -> list[str]:
        """Names of the state's arrays, ``time.0.h`` and so on, from the bottom layer up."""
        return list(self._state_names)

    def initial_state(self, batch: int) -> State:
        """Return zeros: name -> (B, H) array."""
        check_sizes(batch=batch)
        return {name: self.xp.zeros((batch, self.hidden), self.dtype) for name in self.state_names()}

    def _state_of_layer(self, layer: int, state: Mapping[str, Array]) -> State:
        return {name: state[full] for name, full in self._layer_states[layer].items()}

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
            State before the first step, as :meth:`initial_state` or an earlier call gave it.
        masks : mapping, optional
            Dropout masks, see :meth:`draw_masks`. None: no dropout.
        workspace : Workspace, optional
            Gives the arrays of the cache; by default they are fresh.

        Returns
        -------
        logits : (T, B, V) array
            Scores of the next character, before the softmax.
        state : dict
            State after the last step.
        cache : Cache
            For :meth:`backward`. It refers to x and masks, which must not change before that.
        """
        workspace = workspace or self.workspace()
        x = self.ids(x)
        masks = {} if masks is None else self._checked_masks(masks, x.shape)
        state = self._checked_state(state, x.shape)
        out, new_state, caches = self._run_layers(x, state, masks, workspace, keep=True)
        top = dropout_forward(out, masks.get("top"))
        logits = linear_forward(top, self.params["decoder.weight"], self.params["decoder.bias"])
        return logits, new_state, Cache(caches, masks, top)

    def _run_layers(
        self, ids: Array, state: State, masks: Mapping[str, Array], workspace: Workspace, keep: bool
    ) -> tuple[Array, State, list[Any]]:
        """Go up the layers; return the top one's output (T, B, H), the new state, and the caches if they are kept."""
        source = TokenInput(ids, self.params.get("embedding.weight"))
        c_depth, new_state, caches = None, {}, []
        for layer in range(self.layers):
            out, c_depth, state_of_layer, cache = self.cell.forward(
                source,
                c_depth,
                self._state_of_layer(layer, state),
                self._weights[layer],
                len(ids),
                # without a backward pass, only the layer below is still needed
                workspace.scope(f"layer.{layer if keep else layer % 2}"),
            )
            new_state |= {self._layer_states[layer][name]: s for name, s in state_of_layer.items()}
            if keep:
                caches.append(cache)
            source = DenseInput(dropout_forward(out, masks.get(f"layer.{layer + 1}")))
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
            Of the forward pass.
        dlogits : (T, B, V) array
            Gradient that arrives at the logits.
        dstate : mapping, optional
            Gradient that arrives at the final state; a missing name is zero.
        workspace : Workspace, optional
            Gives the arrays; by default they are fresh.

        Returns
        -------
        grads : Params
            Name -> gradient, views into ``grads.flat``.
        dstate0 : dict
            Gradient of the initial state.
        """
        workspace = workspace or self.workspace()
        self._check_array("dlogits", dlogits, (*cache.top.shape[:2], self.vocab_size))
        grads = self.params.with_flat(workspace.empty("grads", self.params.flat.shape))
        grads.flat[...] = 0
        dstate = {} if dstate is None else self._checked_state(dstate, dlogits.shape[:2], whole=False)
        dstate0 = {}

        dtop = linear_backward(
            dlogits, cache.top, self.params["decoder.weight"], grads["decoder.weight"], grads["decoder.bias"]
        )
        dout = dropout_backward(dtop, cache.masks.get("top"))
        dc_depth = None
        for layer in reversed(range(self.layers)):
            dsource, dc_depth, dstate_l = self.cell.backward(
                dout,
                dc_depth,
                {name: dstate.get(full) for name, full in self._layer_states[layer].items()},
                cache.layers[layer],
                self._weights[layer],
                self._weights_of_layer(layer, grads),
                workspace.scope(f"layer.{layer}"),
            )
            dstate0 |= {self._layer_states[layer][name]: d for name, d in dstate_l.items()}
            if layer:
                dout = dropout_backward(dsource, cache.masks.get(f"layer.{layer}"))
        if "embedding.weight" in grads:
            grads["embedding.weight"][...] += dsource
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
            Characters read and to predict; y = -1 is not counted.
        state : mapping
            State before the first step; no gradient flows into it (truncated backpropagation through time).
        masks : mapping, optional
            Dropout masks. None: drawn from (seed, number of draws so far) where ``dropout > 0``.
        counted : int, optional
            Number of targets that the mean is taken over: those of a whole batch, where x and y are a part of it. By
            default those of y that count.
        workspace : Workspace, optional
            Gives the arrays; by default they are fresh.
        """
        workspace = workspace or self.workspace()
        x = self.ids(x)
        if masks is None and self.dropout > 0:
            masks = self.draw_masks(*x.shape, self.draws)
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
        """Return logits (T, B, V) and the state after, as :meth:`forward` does, without a cache."""
        workspace = workspace or self.workspace()
        x = self.ids(x)
        out, new_state, _ = self._run_layers(x, self._checked_state(state, x.shape), {}, workspace, keep=False)
        return linear_forward(out, self.params["decoder.weight"], self.params["decoder.bias"]), new_state

    def workspace(self, reuse: bool = False) -> Workspace:
        """Return a giver of arrays on the model's device and of its dtype."""
        return Workspace(self.xp, self.dtype, reuse)

    # -- dropout

    def draw_masks(self, steps: int, batch: int, draw: int) -> dict[str, Array]:
        """Draw the dropout masks of one minibatch: ``layer.1`` to ``layer.{L-1}`` and ``top``, (T, B, H) each.

        A mask holds 0 with probability p and 1 / (1 - p) otherwise. The generator is counter-based (Philox, keyed by
        seed and `draw`), so that the masks of any step can be drawn again without those before it.
        A GPU draws the same.
        """
        names = [f"layer.{layer}" for layer in range(1, self.layers)] + ["top"]
        masks = self.xp.empty((len(names), steps, batch, self.hidden), self.dtype)
        key = (self.options.seed, draw)
        if kernels := fused(masks):
            kernels.dropout_masks(masks, key, self.dropout)
        else:
            generator = np.random.Generator(np.random.Philox(key=np.array(key, dtype=np.uint64)))
            scale = self.dtype.type(1 / (1 - self.dropout))
            for mask in masks:
                np.multiply(generator.random(mask.shape, dtype=np.float32) >= self.dropout, scale, out=mask)
        return dict(zip(names, masks, strict=True))

    # -- what callers hand in

    def ids(self, x: Array, lowest: int = 0) -> Array:
        """Check characters that are still on the host, and bring them to the model's device.

        Raises
        ------
        UserError
            Not a minibatch (T, B) of whole numbers from `lowest` to V - 1.
        """
        if array_module(x) is np:  # what is on a GPU was checked before it went there
            x = np.asarray(x)
            if x.ndim != 2 or x.dtype.kind not in "iu" or x.size == 0:
                raise UserError(f"characters are integers of shape (T, B), not {x.dtype} of shape {x.shape}")
            if x.min() < lowest or x.max() >= self.vocab_size:
                raise UserError(
                    f"characters go from {lowest} to {self.vocab_size - 1}, not from {x.min()} to {x.max()}"
                )
        return self.xp.asarray(x)

    def targets(self, y: Array, shape: tuple[int, int]) -> Array:
        """Return targets (T, B) on the model's device, checked as by :meth:`ids`; -1 is allowed."""
        if np.shape(y) != shape:
            raise UserError(f"targets have shape {np.shape(y)}, characters {shape}: they must be alike")
        return self.ids(y, lowest=-1)

    def _checked_state(self, state: Mapping[str, Array], shape: tuple, whole: bool = True) -> dict[str, Array]:
        names = self._state_names.keys()
        if wrong := (state.keys() ^ names if whole else state.keys() - names):
            raise UserError(f"the state's names must be {', '.join(names)}; look at {sorted(wrong)}")
        for name, s in state.items():
            self._check_array(f"state {name}", s, (shape[1], self.hidden))
        return dict(state)

    def _checked_masks(self, masks: Mapping[str, Array], shape: tuple) -> Mapping[str, Array]:
        names = {"top"} | {f"layer.{layer}" for layer in range(1, self.layers)}
        if unknown := set(masks) - names:
            raise UserError(f"no dropout mask is called {sorted(unknown)[0]!r}: the names are {sorted(names)}")
        for name, mask in masks.items():
            self._check_array(f"mask {name}", mask, (*shape, self.hidden))
        return masks

    def _check_array(self, what: str, array: Array, shape: tuple[int, ...]) -> None:
        if not isinstance(array, self.xp.ndarray):
            kind = f"{type(array).__module__}.{type(array).__name__}"
            raise TypeError(f"{what} is a {kind}, the model computes on {self.xp.__name__}.ndarray")
        if array.shape != shape:
            raise UserError(f"{what} has shape {array.shape}, the model needs {shape}")
