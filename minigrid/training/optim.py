"""Clipping, RMSprop, Adam and the learning rate's decay, on flat vectors and in place.

**Scale.** All of this sees ``T x grads``: the gradient of the loss summed over the T steps of a minibatch and averaged
over its batch, as in the Torch programs, whose thresholds and rates are kept. The clipped ``T x grads`` is what the
optimisers accumulate, and its norm before clipping is the gradient norm that a run shows.
"""

from abc import ABC, abstractmethod
from typing import Any

from minigrid.backend import Array, array_module, blocks
from minigrid.backend.cuda.kernels import Kernels, fused
from minigrid.errors import UserError, did_you_mean


def clip_elements(g: Array, limit: float) -> None:
    """Bring every element of `g` into [-limit, limit], in place."""
    array_module(g).clip(g, -limit, limit, out=g)


def global_norm(g: Array) -> Array:
    """Euclidean norm of the flat vector `g`, a 0-d array."""
    xp = array_module(g)
    return xp.sqrt(xp.dot(g, g))


def clip_norm(g: Array, limit: float, norm: Array) -> None:
    """Scale `g` down, in place, to the norm `limit` where its `norm` is above."""
    g *= limit / array_module(g).maximum(norm, limit)


def decayed_rate(lr: float, epoch: int, decay: float, after: int) -> float:
    """Learning rate of an epoch (counted from 1): times `decay` for each epoch beyond `after`."""
    return lr * decay ** max(0, epoch - after)


class Optimizer(ABC):
    """Updates one flat vector of parameters.

    Attributes
    ----------
    state : dict
        Name -> array; what :meth:`update` carries from call to call.
    """

    state: dict[str, Array]

    def __init__(self, like: Array, names: tuple[str, ...]):
        xp = array_module(like)
        self.state = {name: xp.zeros_like(like) for name in names}

    def update(self, p: Array, g: Array, lr: float, step: int, part: slice = slice(None)) -> None:
        """Change the parameters `p` in place.

        Parameters
        ----------
        p, g : (P,) arrays
            Parameters, and T x their gradient, clipped; `g` is used up.
        lr : float
            Learning rate.
        step : int
            Number of this update, from 1.
        part : slice
            Of the vectors, all by default: what to update in this call.
        """
        if kernels := fused(p):
            state = [array[part] for array in self.state.values()]
            return self._update_on_gpu(kernels, p[part], g[part], *state, lr, step)
        scratch = array_module(p).empty_like(p[next(blocks(p, part))])
        for block in blocks(p, part):
            state = [array[block] for array in self.state.values()]
            self._update_block(p[block], g[block], *state, scratch[: p[block].size], lr, step)

    @abstractmethod
    def _update_block(self, p: Array, g: Array, *state_scratch_lr_step: Any) -> None:
        """Update one block of the parameters; after p and g come the state's blocks, a scratch array, lr and step."""

    @abstractmethod
    def _update_on_gpu(self, kernels: Kernels, p: Array, g: Array, *state_lr_step: Any) -> None:
        """Do the same in one launch; after p and g come the state's arrays, lr and step."""


class RMSprop(Optimizer):
    """``m = alpha * m + (1 - alpha) * g^2;  p -= lr * g / (sqrt(m) + epsilon)``, as optim.rmsprop of Torch has it."""

    def __init__(self, like: Array, alpha: float = 0.95, epsilon: float = 1e-8):
        super().__init__(like, ("mean_square",))
        self.alpha, self.epsilon = alpha, epsilon

    def _update_block(self, p: Array, g: Array, m: Array, scratch: Array, lr: float, step: int) -> None:
        xp = array_module(p)
        xp.multiply(g, g, out=scratch)
        scratch *= 1 - self.alpha
        m *= self.alpha
        m += scratch
        xp.sqrt(m, out=scratch)
        scratch += self.epsilon
        g /= scratch
        g *= lr
        p -= g

    def _update_on_gpu(self, kernels: Kernels, p: Array, g: Array, m: Array, lr: float, step: int) -> None:
        kernels.rmsprop(p, g, m, lr, self.alpha, self.epsilon)


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, algorithm 1), with its corrected moments.

    ::

        m = beta1 * m + (1 - beta1) * g        v = beta2 * v + (1 - beta2) * g^2
        p -= lr * (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + epsilon)
    """

    def __init__(self, like: Array, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8):
        super().__init__(like, ("mean", "mean_square"))
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    def _update_block(self, p: Array, g: Array, m: Array, v: Array, scratch: Array, lr: float, step: int) -> None:
        xp = array_module(p)
        xp.multiply(g, g, out=scratch)
        scratch *= 1 - self.beta2
        v *= self.beta2
        v += scratch
        g *= 1 - self.beta1
        m *= self.beta1
        m += g
        xp.divide(v, 1 - self.beta2**step, out=scratch)
        xp.sqrt(scratch, out=scratch)
        scratch += self.epsilon
        xp.divide(m, scratch, out=scratch)
        scratch *= lr / (1 - self.beta1**step)
        p -= scratch

    def _update_on_gpu(self, kernels: Kernels, p: Array, g: Array, m: Array, v: Array, lr: float, step: int) -> None:
        kernels.adam(p, g, m, v, lr, step, self.beta1, self.beta2, self.epsilon)


OPTIMIZERS = {"rmsprop": RMSprop, "adam": Adam}


def check_alpha(alpha: float) -> None:
    """Raise a UserError where `alpha` is outside [0, 1)."""
    if not 0 <= alpha < 1:
        raise UserError(f"alpha {alpha} is not a decay rate: give a number from 0 up to, not including, 1")


def make_optimizer(name: str, like: Array, alpha: float) -> Optimizer:
    """Build an optimiser by name; `alpha` is RMSprop's and means nothing to Adam.

    Raises
    ------
    UserError
        Unknown name, or `alpha` outside [0, 1).
    """
    check_alpha(alpha)
    if name not in OPTIMIZERS:
        raise UserError(
            f"unknown optimizer {name!r}{did_you_mean(name, OPTIMIZERS)}: choose one of {', '.join(OPTIMIZERS)}"
        )
    return RMSprop(like, alpha) if name == "rmsprop" else Adam(like)
