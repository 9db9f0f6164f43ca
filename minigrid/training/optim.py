"""Clipping, RMSprop, Adam and the learning rate's decay, on flat vectors and in place.

**Scale.** All of this works on ``T x grads``: the gradient of the loss summed over the T steps of a minibatch and
averaged over its batch. The Torch programs do so, and their thresholds and rates are kept. The optimisers accumulate
the clipped ``T x grads``; the gradient norm that a run shows is that of ``T x grads`` before clipping.
"""

from abc import ABC, abstractmethod

from minigrid.backend import Array, array_module, chunks, on_gpu
from minigrid.backend.cuda.kernels import kernels_for
from minigrid.errors import UserError, did_you_mean, shown


def clip_elements(g: Array, limit: float) -> None:
    """Bring every element of `g` into [-limit, limit], in place."""
    array_module(g).clip(g, -limit, limit, out=g)


def global_norm(g: Array) -> Array:
    """Return the Euclidean norm of the flat vector `g`, a 0-d array."""
    xp = array_module(g)
    return xp.sqrt(xp.dot(g, g))


def clip_norm(g: Array, limit: float, norm: Array) -> None:
    """Scale `g` down to the norm `limit`, in place, if its `norm` is larger."""
    g *= limit / array_module(g).maximum(norm, limit)


def decayed_rate(lr: float, epoch: int, decay: float, after: int) -> float:
    """Return the learning rate of an epoch, counted from 1: `lr` times `decay` for each epoch beyond `after`."""
    return lr * decay ** max(0, epoch - after)


class Optimizer(ABC):
    """Updates one flat vector of parameters.

    Parameters
    ----------
    like : (P,) array
        Vector like the parameters.

    Attributes
    ----------
    moments : tuple of str
        Names of the arrays in `state`.
    state : dict
        Name -> (P,) array, zero at first; what :meth:`update` carries from call to call.
    """

    moments: tuple[str, ...]

    def __init__(self, like: Array):
        self.state: dict[str, Array] = {name: array_module(like).zeros_like(like) for name in self.moments}

    def update(self, p: Array, g: Array, lr: float, step: int, part: slice = slice(None)) -> None:
        """Change the parameters `p` in place.

        Parameters
        ----------
        p, g : (P,) arrays
            Parameters, and T x their gradient, clipped.
        lr : float
            Learning rate.
        step : int
            Number of this update, from 1.
        part : slice
            Which part of the vectors to update in this call; by default all of it.
        """
        if on_gpu(p):
            self._update_on_gpu(p[part], g[part], self._state_of(part), lr, step)
            return
        for chunk in chunks(p, part):
            self._update(p[chunk], g[chunk], self._state_of(chunk), lr, step)

    def _state_of(self, part: slice) -> dict[str, Array]:
        return {name: array[part] for name, array in self.state.items()}

    @abstractmethod
    def _update(self, p: Array, g: Array, state: dict[str, Array], lr: float, step: int) -> None:
        """Update p and the state by the formula of the class."""

    @abstractmethod
    def _update_on_gpu(self, p: Array, g: Array, state: dict[str, Array], lr: float, step: int) -> None:
        """Do the same in one launch."""


class RMSprop(Optimizer):
    """RMSprop as Torch's optim.rmsprop has it.

    ::

        m = alpha * m + (1 - alpha) * g^2
        p -= lr * g / (sqrt(m) + epsilon)
    """

    moments = ("mean_square",)

    def __init__(self, like: Array, alpha: float = 0.95, epsilon: float = 1e-8):
        super().__init__(like)
        self.alpha, self.epsilon = alpha, epsilon

    def _update(self, p: Array, g: Array, state: dict[str, Array], lr: float, step: int) -> None:
        xp, m = array_module(p), state["mean_square"]
        square = g * g
        square *= 1 - self.alpha
        m *= self.alpha
        m += square
        change = xp.sqrt(m)
        change += self.epsilon
        xp.divide(g, change, out=change)
        change *= lr
        p -= change

    def _update_on_gpu(self, p: Array, g: Array, state: dict[str, Array], lr: float, step: int) -> None:
        kernels_for(p).rmsprop(p, g, state["mean_square"], lr, self.alpha, self.epsilon)


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, algorithm 1), with its corrected moments.

    ::

        m = beta1 * m + (1 - beta1) * g        v = beta2 * v + (1 - beta2) * g^2
        p -= lr * (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + epsilon)
    """

    moments = ("mean", "mean_square")

    def __init__(self, like: Array, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8):
        super().__init__(like)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    def _update(self, p: Array, g: Array, state: dict[str, Array], lr: float, step: int) -> None:
        xp, m, v = array_module(p), state["mean"], state["mean_square"]
        m *= self.beta1
        m += (1 - self.beta1) * g
        v *= self.beta2
        v += (1 - self.beta2) * (g * g)
        corrected_root = xp.sqrt(v / (1 - self.beta2**step)) + self.epsilon
        p -= (lr / (1 - self.beta1**step)) * (m / corrected_root)

    def _update_on_gpu(self, p: Array, g: Array, state: dict[str, Array], lr: float, step: int) -> None:
        moments = (state["mean"], state["mean_square"])
        kernels_for(p).adam(p, g, *moments, lr, step, self.beta1, self.beta2, self.epsilon)


OPTIMIZERS: dict[str, type[RMSprop] | type[Adam]] = {"rmsprop": RMSprop, "adam": Adam}


def make_optimizer(name: str, like: Array, alpha: float) -> Optimizer:
    """Build an optimiser by name; `alpha` is RMSprop's, Adam ignores it.

    Raises
    ------
    UserError
        Unknown name, or `alpha` outside [0, 1).
    """
    if not 0 <= alpha < 1:
        raise UserError(f"`alpha` must be at least 0 and less than 1, not {alpha}")
    if name not in OPTIMIZERS:
        raise UserError(
            f"`optimizer` must be {' or '.join(OPTIMIZERS)}, not {shown(name)}{did_you_mean(name, OPTIMIZERS)}"
        )
    return RMSprop(like, alpha) if name == "rmsprop" else Adam(like)
