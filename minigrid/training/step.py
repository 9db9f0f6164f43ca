"""One training step: forward, backward, clip, update; the state carries over to the next."""

from functools import partial, reduce
from operator import add
from types import ModuleType
from typing import Any

import numpy as np

from minigrid.backend import Array, Workspace, array_module, chunks, on_gpu, to_host
from minigrid.backend.cuda.kernels import kernels_for
from minigrid.errors import UserError
from minigrid.nn.model import CharModel
from minigrid.nn.params import Params
from minigrid.training.optim import clip_elements, clip_norm, make_optimizer
from minigrid.training.shards import Shards


class TrainStep:
    """Trains a model one minibatch at a time; ``step(x, y)`` returns the mean loss in nats, a 0-d array.

    The state after a minibatch is where the next one begins (truncated backpropagation through time), until you call
    :meth:`reset`. Clipping and optimiser work on T x the gradient of the mean loss, see :mod:`minigrid.training.optim`.
    Arrays are reused from call to call, except for those that a call returns.

    Parameters
    ----------
    model : CharModel
        Its parameters are changed in place.
    optimizer : {"rmsprop", "adam"}
        Update rule.
    lr : float
        Learning rate; you may change it between steps.
    alpha : float
        RMSprop only: share of the mean square that is kept at each step.
    clip : float or None
        Limit for every element of T x grads.
    clip_norm : float or None
        Limit for the norm of T x grads, applied before `clip`.

    Attributes
    ----------
    lr : float
        Learning rate of the next step.
    number : int
        Steps done.
    norm : 0-d array
        Norm of T x grads in the last step, before clipping.
    shards : Shards
        The parts in which batches are computed; between two steps their arrays are free for other uses.
    finite : 0-d bool array
        Whether every loss and every gradient norm so far was finite (in float32 a norm above 1.8e19 is not). Reading it
        waits for a GPU, so do that only now and then.

    Raises
    ------
    UserError
        A rate or a limit that is not positive, or too large for the model's dtype; an unknown optimiser.
    """

    def __init__(
        self,
        model: CharModel,
        optimizer: str = "rmsprop",
        lr: float = 2e-3,
        alpha: float = 0.95,
        clip: float | None = 5.0,
        clip_norm: float | None = None,
    ):
        largest = float(np.finfo(model.dtype).max)
        for name, value in {"lr": lr, "clip": clip, "clip_norm": clip_norm}.items():
            if (value is None and name != "lr") or (value is not None and 0 < value <= largest):
                continue
            raise UserError(f"`{name}` must be a positive number, at most {largest:.2g}, not {value}")
        self.model = model
        self.lr = lr
        self.clip, self.clip_norm = clip, clip_norm
        self.number = 0
        self.norm = model.xp.zeros((), model.dtype)
        self.finite = model.xp.ones((), bool)
        self._params = self._own_part(model.params.flat)
        self._optimizer = make_optimizer(optimizer, self._params, alpha)
        self.shards = Shards(model)
        self._state: dict[str, Array] | None = None

    def __call__(self, x: Array, y: Array) -> Array:
        """Do one step on characters x and targets y, (T, B) each; y = -1 is not counted."""
        loss, grads, self._state = self.gradients(x, y)
        self.number += 1
        g = grads.flat
        squares = self.shards.map_ranges(partial(scale_and_square, g, len(x)), g.size)
        self.norm = self.model.xp.sqrt(reduce(add, squares))
        self.finite = self.finite & self.model.xp.isfinite(loss + self.norm)  # not finite if either is not
        self.shards.map_ranges(partial(self._clip_and_update, g), g.size)
        return loss

    def gradients(self, x: Array, y: Array) -> tuple[Array, Params, dict[str, Array]]:
        """Return what the next step on (x, y) would use: loss, gradients of the mean loss, and the state after it.

        The next call overwrites the gradients.
        """
        x = self.model.ids(x)
        y = self.model.targets(y, x.shape)
        return self._own_gradients(x, y)

    def _own_gradients(self, x: Array, y: Array) -> tuple[Array, Params, dict[str, Array]]:
        """Return what the columns of this process contribute to the means over the minibatch, and their state."""
        model, (T, B) = self.model, x.shape
        own = self._own_columns(B)
        width = own.stop - own.start
        state = self._carried(own)
        is_whole = width == B and len(self.shards.columns(B)) == 1
        counted = None if is_whole else (y >= 0).sum()  # a whole minibatch counts its own
        masks = model.draw_masks(T, B, self.number, own) if model.dropout else {}
        x, y = x[:, own], y[:, own]

        def of_columns(columns: slice, workspace: Workspace) -> tuple[Array, Params, dict[str, Array]]:
            return model.loss_and_grads(
                x[:, columns],
                y[:, columns],
                {name: s[columns] for name, s in state.items()},
                {name: mask[:, columns] for name, mask in masks.items()},
                counted=counted,
                workspace=workspace,
            )

        losses, grads, states = zip(*self.shards.map_columns(of_columns, width), strict=True)
        total, *others = (g.flat for g in grads)
        self.shards.map_ranges(partial(_add, total, others), total.size)
        return model.xp.asarray(reduce(add, losses)), grads[0], _joined(states, model.xp)

    def _own_columns(self, batch: int) -> slice:
        """Return the columns of a batch that this process computes."""
        return slice(0, batch)

    def _own_part(self, vector: Array) -> Array:
        """Return the part of a vector like the parameters that this process updates."""
        return vector

    def _clip_and_update(self, g: Array, part: slice) -> None:
        """Clip T x gradients and update the parameters, in one part of the vectors."""
        for chunk in chunks(g, part):
            if self.clip_norm is not None:
                clip_norm(g[chunk], self.clip_norm, self.norm)
            if self.clip is not None:
                clip_elements(g[chunk], self.clip)
        self._optimizer.update(self._params, g, self.lr, self.number, part)

    def state(self, batch: int) -> dict[str, Array]:
        """Return the state in which the next minibatch begins: zeros at first, and after :meth:`reset`.

        Raises
        ------
        UserError
            The last minibatch had another number of sequences than `batch`.
        """
        return self._carried(self._own_columns(batch))

    def _carried(self, own: slice) -> dict[str, Array]:
        """Return the columns of the state that this process computes."""
        width = own.stop - own.start
        if self._state is None:
            self._state = self.model.initial_state(width)
        for carried in self._state.values():
            if len(carried) != width:
                raise UserError(
                    f"the state carries over from {len(carried)} sequences, but this minibatch has {width}: "
                    "call reset() first"
                )
        return self._state

    def memory(self, steps: int, batch: int) -> int:
        """Return about how many bytes the arrays of a training step take, at their peak.

        ::

            numbers = P * (1 + arrays of the optimiser + 1.5 * S) + 3.5 * T * B * V + T * B * H * (k * L + g)

        There are P parameters; each of S shards of the batch has their gradients, and half as much again for products
        on the way there; then logits, probabilities and their gradient; k arrays that each layer keeps for its backward
        pass and g that pass gradients on (`Cell.kept` and `Cell.passing`). Dropout adds 2.5 arrays per layer, for masks
        and masked inputs.
        """
        own = self._own_columns(batch)
        model, T, B = self.model, steps, own.stop - own.start
        per_layer = model.cell.kept + (2.5 if model.dropout else 0)
        numbers = (
            model.params.flat.size * (1 + 1.5 * len(self.shards.columns(B)))
            + self._params.size * len(self._optimizer.state)
            + 3.5 * T * B * model.vocab_size
            + T * B * model.hidden * (per_layer * model.layers + model.cell.passing)
        )
        return round(numbers * model.dtype.itemsize)

    def reset(self) -> None:
        """Begin the next minibatch in a state of zeros."""
        self._state = None

    def state_dict(self) -> dict[str, Any]:
        """Return everything besides the parameters that a later process needs to continue as if never stopped.

        Host arrays, ``optimizer/...`` and ``state/...``, and plain numbers, ``number`` and ``lr``.
        """
        arrays = {f"optimizer/{name}": a for name, a in self._optimizer.state.items()}
        arrays |= {f"state/{name}": a for name, a in (self._state or {}).items()}
        return {name: to_host(a).copy() for name, a in arrays.items()} | {
            "number": self.number,
            "lr": self.lr,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned, here or where another number of ranks trained together.

        Raises
        ------
        UserError
            It comes from another optimiser or from a model of another size.
        """
        own, xp = self._optimizer.state, self.model.xp
        theirs = {name.removeprefix("optimizer/"): a for name, a in saved.items() if name.startswith("optimizer/")}
        if dict.fromkeys(own, self.model.params.flat.shape) != {n: a.shape for n, a in theirs.items()}:
            raise UserError(
                "the saved optimiser does not fit: it comes from another `optimizer`, or from a model of another size"
            )
        state = {name.removeprefix("state/"): a for name, a in saved.items() if name.startswith("state/")}
        for name, array in own.items():
            array[...] = xp.asarray(self._own_part(theirs[name]))
        self._state = {name: xp.array(a[self._own_columns(len(a))]) for name, a in state.items()} or None
        self.number, self.lr = int(saved["number"]), float(saved["lr"])
        self.finite = xp.ones((), bool)


def _add(total: Array, others: list[Array], part: slice) -> None:
    for other in others:
        total[part] += other[part]


def scale_and_square(g: Array, factor: int, part: slice) -> Array:
    """Multiply one part of g by `factor`, in place, and return the sum of its squares."""
    if on_gpu(g):
        return kernels_for(g).scale_and_square(g[part], factor)
    total = 0
    for chunk in chunks(g, part):
        g[chunk] *= factor
        total = total + array_module(g).dot(g[chunk], g[chunk])
    return total


def _joined(states: tuple[dict[str, Array], ...], xp: ModuleType) -> dict[str, Array]:
    """Join the states of the parts of a batch."""
    if len(states) == 1:
        return states[0]
    return {name: xp.concatenate([state[name] for state in states]) for name in states[0]}
