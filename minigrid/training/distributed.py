"""One training step on several ranks, each of which computes some columns of the batch.

Let N be the number of ranks, and g_r the gradient that comes from the columns of rank r, times T. Vectors of P numbers
are cut into N slices, ``[0]`` to ``[N-1]``, and rank r updates slice r only. Each step, the ranks exchange three
things::

    1. the gradient        g[r] = g_0[r] + g_1[r] + ... + g_{N-1}[r]      rank r gets slice r of every rank's
    2. a few numbers       norm = sqrt(sum(g[0]^2) + ... + sum(g[N-1]^2))      every rank gets all of them
                           loss = loss_0 + ... + loss_{N-1}
    3. the parameters      p[r], m[r] = update(p[r], m[r], clip(g[r]))    every rank gets p[r] from rank r

Gradient and loss are means over the whole batch, so the shares of the ranks add up. All sums are computed in the order
of the ranks: the same N ranks always get the same digits, which MPI's Allreduce does not promise. Each rank keeps only
its slice of m, the optimiser's arrays, and does an N-th of the optimiser's work. The numbers of 2 also say what the
ranks ask of each other, such as to stop.

This is synchronous data parallelism with a sharded optimiser (ZeRO, stage 1; Rajbhandari et al. 2020).
"""

from functools import partial, reduce
from operator import add
from typing import Any

import numpy as np

from minigrid.backend import Array, cut, on_gpu, to_host
from minigrid.backend.ranks import ALONE, Ranks
from minigrid.nn.model import CharModel
from minigrid.nn.params import Params
from minigrid.training.step import TrainStep, scale_and_square


class DistributedStep(TrainStep):
    """A :class:`TrainStep` that several ranks do together.

    Every rank passes the same minibatch, (T, B) with all its columns, and gets the same loss. All of them have the same
    parameters before a step and after it. Each method that says so communicates: call it on every rank.

    Parameters
    ----------
    model : CharModel
        The same on every rank.
    ranks : Ranks
        The ranks.
    **options
        The other arguments of :class:`TrainStep`.
    """

    def __init__(self, model: CharModel, ranks: Ranks, **options: Any):
        self.ranks = ranks
        self._slices = cut(model.params.flat.size, ranks.count)
        self._own_slice = self._slices[ranks.number]
        self._sizes = [part.stop - part.start for part in self._slices]
        super().__init__(model, **options)
        xp = model.xp if ranks.gpu_aware else np
        self._received = xp.empty((ranks.count, self._sizes[ranks.number]), model.dtype)  # this slice of every rank's g

    def __call__(self, x: Array, y: Array) -> Array:
        """Do one step on characters x and targets y, (T, B) each; y = -1 is not counted. This communicates."""
        xp = self.model.xp
        x = self.model.ids(x)
        own_loss, grads, self._state = self._own_gradients(x, self.model.targets(y, x.shape))
        self.number += 1
        g = self._sum_slices(grads.flat)  # 1: this rank's slice g[r], from the whole batch
        own_squares = reduce(add, self.shards.map_ranges(partial(scale_and_square, g, len(x)), g.size))
        loss, squares = self._sum_numbers(own_loss, own_squares)  # 2
        self.norm = xp.asarray(squares**0.5, self.model.dtype)
        self.finite = self.finite & xp.isfinite(loss + self.norm)
        self.shards.map_ranges(partial(self._clip_and_update, g), g.size)
        self._gather_slices(self.model.params.flat)  # 3
        return loss

    def gradients(self, x: Array, y: Array) -> tuple[Array, Params, dict[str, Array]]:
        """Return the loss and the gradients of the whole minibatch, and this rank's columns of the state after it.

        This communicates.
        """
        x = self.model.ids(x)
        own_loss, grads, state = self._own_gradients(x, self.model.targets(y, x.shape))
        grads.flat[self._own_slice] = self._sum_slices(grads.flat)
        self._gather_slices(grads.flat)
        loss, _ = self._sum_numbers(own_loss, 0.0)
        return loss, grads, state

    # -- the three exchanges

    def _sum_slices(self, g: Array) -> Array:
        """Return this rank's slice of the sum of all ranks' vectors g (P,), until the next call."""
        received = self._received
        sizes = [len(received[0])] * self.ranks.count
        self.ranks.comm.Alltoallv([self._sendable(g), self._sizes], [received, sizes])
        total, *others = received
        for other in others:
            total += other
        return self.model.xp.asarray(total)

    def _sum_numbers(self, loss: Array, squares: Array) -> tuple[Array, float]:
        """Return the sums of all ranks' numbers; along with them goes what the ranks ask of each other."""
        of_all = self.ranks.rows(np.array([float(loss), float(squares), *self.ranks.requests()]))
        self.ranks.hear(of_all[:, 2:])
        total, squares = of_all[:, :2].sum(axis=0)
        return self.model.xp.asarray(total, self.model.dtype), float(squares)

    def _gather_slices(self, vector: Array) -> None:
        """Fill in the slices of the other ranks in a vector (P,).

        Each rank sends its slice to every other one. MPI's Allgatherv may pass slices on from rank to rank, in many
        small pieces, and each piece takes the latency of the network again.
        """
        whole, count = self._sendable(vector), self.ranks.count
        own = whole[self._own_slice].copy()  # MPI must not send from where it receives
        self.ranks.comm.Alltoallv([own, ([own.size] * count, [0] * count)], [whole, self._sizes])
        if whole is not vector:
            vector[...] = self.model.xp.asarray(whole)

    def _sendable(self, vector: Array) -> Array:
        """Return a vector as MPI can take it: itself, or a copy on the host."""
        if not on_gpu(vector):
            return vector
        if not self.ranks.gpu_aware:
            return to_host(vector)
        self.model.xp.cuda.get_current_stream().synchronize()  # MPI does not wait for kernels
        return vector

    # -- the part of this rank

    def _own_columns(self, batch: int) -> slice:
        return self.ranks.columns(batch)

    def _own_part(self, vector: Array) -> Array:
        return vector[self._own_slice]

    def memory(self, steps: int, batch: int) -> int:
        """Return about how many bytes the arrays of a training step take on this rank, at their peak.

        As for one process, but B is the number of this rank's columns, the optimiser has arrays for one slice only, and
        the slices that the rank receives take another P numbers.
        """
        return super().memory(steps, batch) + self._received.nbytes

    def state(self, batch: int) -> dict[str, Array]:
        """Return the state in which the next minibatch begins, with all its columns. This communicates."""
        own = self._carried(self._own_columns(batch))
        parts = {name: self.ranks.comm.allgather(to_host(array)) for name, array in own.items()}
        return {name: self.model.xp.asarray(np.concatenate(arrays)) for name, arrays in parts.items()}

    # -- saving

    def state_dict(self) -> dict[str, Any]:
        """Return the same as one process would, on the first rank; the others return nothing. This communicates."""
        saved = super().state_dict()
        for name, array in saved.items():
            if isinstance(array, np.ndarray):
                saved[name] = self._joined(array)
        return saved if self.ranks.is_first else {}

    def _joined(self, array: np.ndarray) -> np.ndarray | None:
        """Return the parts of the ranks one after the other, on the first rank."""
        lengths = self.ranks.comm.gather(array.size)
        whole = None if lengths is None else np.empty(sum(lengths), array.dtype)
        self.ranks.comm.Gatherv(array, None if whole is None else [whole, lengths])
        return None if whole is None else whole.reshape(-1, *array.shape[1:])


def make_step(model: CharModel, ranks: Ranks = ALONE, **options: Any) -> TrainStep:
    """Build the training step for a process that works alone, or for one of several ranks."""
    return TrainStep(model, **options) if ranks.count == 1 else DistributedStep(model, ranks, **options)
