"""One training step: forward, backward, clip, update, the state carried on."""

from functools import reduce
from operator import add
from types import ModuleType
from typing import Any

import numpy as np

from minigrid.backend import Array, Workspace, array_module, blocks, to_host
from minigrid.backend.cuda.kernels import fused
from minigrid.errors import UserError
from minigrid.nn.model import CharModel
from minigrid.nn.params import Params
from minigrid.training.optim import clip_elements, clip_norm, make_optimizer
from minigrid.training.shards import Shards


class TrainStep:
    """Trains a model one minibatch at a time; ``step(x, y)`` returns the mean loss in nats, a 0-d array.

    The state after a minibatch is where the next one begins (truncated backpropagation through time), until
    :meth:`reset`. Clipping and optimiser see T x the gradient of the mean loss, see :mod:`minigrid.training.optim`.
    Arrays are re-used from call to call, but none that a call returns.

    Parameters
    ----------
    model : CharModel
        Its parameters are changed in place.
    optimizer : {"rmsprop", "adam"}
        Update rule.
    lr : float
        Learning rate; may be set between steps.
    alpha : float
        Of RMSprop.
    clip : float or None
        Limit of every element of T x grads.
    clip_norm : float or None
        Limit of the norm of T x grads, applied before `clip`.

    Attributes
    ----------
    lr : float
        Learning rate of the next step.
    number : int
        Steps done.
    norm : 0-d array
        Norm of T x grads of the last step, before clipping.
    shards : Shards
        The parts that batches are computed in; between two steps nothing in their arrays is needed.
    finite : 0-d bool array
        Whether every loss and every gradient norm so far was finite (in float32 a norm above 1.8e19 is not). Reading it
        waits for a GPU, so it is left to the caller when.

    Raises
    ------
    UserError
        A rate or a limit that is not positive, or more than the model's dtype holds; an unknown optimiser.
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
        limits = {name: limit for name, limit in {"clip": clip, "clip_norm": clip_norm}.items() if limit is not None}
        largest = float(np.finfo(model.dtype).max)
        for name, value in ({"lr": lr} | limits).items():
            if value is None or not 0 < value <= largest:
                raise UserError(f"{name} must be a positive number, at most {largest:.2g}, not {value}")
        self.model = model
        self.lr = lr
        self.clip, self.clip_norm = clip, clip_norm
        self.number = 0
        self.norm = model.xp.zeros((), model.dtype)
        self.finite = model.xp.ones((), bool)
        self._optimizer = make_optimizer(optimizer, model.params.flat, alpha)
        self.shards = Shards(model)
        self._state: dict[str, Array] | None = None

    def __call__(self, x: Array, y: Array) -> Array:
        """Do one step on characters x and targets y, (T, B) each; y = -1 is not counted."""
        loss, grads, self._state = self.gradients(x, y)
        self.number += 1
        ranges = self.shards.ranges(grads.flat.size)
        squares = self.shards.map(lambda part, _: _scale(grads.flat, len(x), part), ranges)
        self.norm = self.model.xp.sqrt(reduce(add, squares))
        self.finite = self.finite & self.model.xp.isfinite(loss + self.norm)  # not finite where either is not
        self.shards.map(lambda part, _: self._update(grads.flat, part), ranges)
        return loss

    def gradients(self, x: Array, y: Array) -> tuple[Array, Params, dict[str, Array]]:
        """Return what the next step on (x, y) would use: loss, gradients of the mean loss, and the state after it.

        The gradients lie in an array that the next call overwrites.
        """
        model = self.model
        x = model.ids(x)
        y = model.targets(y, x.shape)
        state, parts = self.state(x.shape[1]), self.shards.columns(x.shape[1])
        counted = (y >= 0).sum() if len(parts) > 1 else None  # a single part counts its own
        masks = model.draw_masks(*x.shape, self.number) if model.dropout else {}

        def of_columns(columns: slice, workspace: Workspace) -> tuple[Array, Params, dict[str, Array]]:
            return model.loss_and_grads(
                x[:, columns],
                y[:, columns],
                {name: s[columns] for name, s in state.items()},
                {name: mask[:, columns] for name, mask in masks.items()},
                counted=counted,
                workspace=workspace,
            )

        losses, grads, states = zip(*self.shards.map(of_columns, parts), strict=True)
        total, *others = (g.flat for g in grads)
        self.shards.map(lambda part, _: _add(total, others, part), self.shards.ranges(total.size))
        return model.xp.asarray(reduce(add, losses)), grads[0], _joined(states, model.xp)

    def _update(self, g: Array, part: slice) -> None:
        """Clip T x gradients, and change the parameters by them, in one part of the vectors."""
        for block in blocks(g, part):
            if self.clip_norm is not None:
                clip_norm(g[block], self.clip_norm, self.norm)
            if self.clip is not None:
                clip_elements(g[block], self.clip)
        self._optimizer.update(self.model.params.flat, g, self.lr, self.number, part)

    def state(self, batch: int) -> dict[str, Array]:
        """Return the state in which the next minibatch begins: zeros at first and after :meth:`reset`.

        Raises
        ------
        UserError
            The state carried on is of another number of sequences than `batch`.
        """
        if self._state is None:
            self._state = self.model.initial_state(batch)
        for name, carried in self._state.items():
            if len(carried) != batch:
                raise UserError(
                    f"the state {name} carried on is of {len(carried)} sequences, not of {batch}: call reset()"
                )
        return self._state

    def memory(self, steps: int, batch: int) -> int:
        """Return about how many bytes the arrays of a training step take, at their peak.

        ::

            numbers = P * (1 + arrays of the optimiser + 1.5 * S) + 3.5 * T * B * V + T * B * H * (k * L + g)

        P parameters; for each of S shards of the batch, their gradients and half as much for products on their way
        there; logits, probabilities and their gradient; k arrays that each layer keeps for its backward pass and g that
        pass gradients on (`Cell.kept` and `Cell.passing`), with dropout 2.5 more per layer for masks
        and masked inputs.
        """
        model, T, B = self.model, steps, batch
        per_layer = model.cell.kept + (2.5 if model.dropout else 0)
        numbers = (
            model.params.flat.size * (1 + len(self._optimizer.state) + 1.5 * len(self.shards.columns(B)))
            + 3.5 * T * B * model.vocab_size
            + T * B * model.hidden * (per_layer * model.layers + model.cell.passing)
        )
        return round(numbers * model.dtype.itemsize)

    def reset(self) -> None:
        """Begin the next minibatch from zeros."""
        self._state = None

    def state_dict(self) -> dict[str, Any]:
        """Return what a later process needs to go on as if never stopped, apart from the parameters.

        Host arrays, ``optimizer/...`` and ``state/...``, and plain numbers, ``number`` and ``lr``.
        """
        arrays = {f"optimizer/{name}": a for name, a in self._optimizer.state.items()}
        arrays |= {f"state/{name}": a for name, a in (self._state or {}).items()}
        return {name: to_host(a).copy() for name, a in arrays.items()} | {
            "number": self.number,
            "lr": self.lr,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned.

        Raises
        ------
        UserError
            It is that of another optimiser or of a model of another size.
        """
        own, xp = self._optimizer.state, self.model.xp
        theirs = {name.removeprefix("optimizer/"): a for name, a in saved.items() if name.startswith("optimizer/")}
        if {n: a.shape for n, a in own.items()} != {n: a.shape for n, a in theirs.items()}:
            raise UserError("the saved optimiser does not fit: it belongs to another optimizer or another model size")
        state = {name.removeprefix("state/"): a for name, a in saved.items() if name.startswith("state/")}
        for name, array in own.items():
            array[...] = xp.asarray(theirs[name])
        self._state = {name: xp.array(a) for name, a in state.items()} or None
        self.number, self.lr = int(saved["number"]), float(saved["lr"])
        self.finite = xp.ones((), bool)


def _add(total: Array, others: list[Array], part: slice) -> None:
    for other in others:
        total[part] += other[part]


def _scale(g: Array, factor: int, part: slice) -> Array:
    """Multiply one part of g by `factor`, in place; return the sum of its squares."""
    if kernels := fused(g):
        return kernels.scale_and_square(g[part], factor)
    total = 0
    for block in blocks(g, part):
        g[block] *= factor
        total = total + array_module(g).dot(g[block], g[block])
    return total


def _joined(states: tuple[dict[str, Array], ...], xp: ModuleType) -> dict[str, Array]:
    """Put the states of the parts of a batch together again."""
    if len(states) == 1:
        return states[0]
    return {name: xp.concatenate([state[name] for state in states]) for name in states[0]}
