"""The matrix products of a training step and nothing else: a lower bound of its time.

Shapes and BLAS library are minigrid's. The input of the first layer is a table look-up, so its products have V rows.
"""

from collections.abc import Callable

import numpy as np

Product = tuple[int, int, int, int]
"""m, k, n and the number of times that (m, k) @ (k, n) is computed."""


def products(model: str, T: int, B: int, H: int, L: int, V: int) -> list[Product]:
    """Return the products of one training step of a stacked LSTM or a grid."""

    def linear(rows: int, inputs: int, outputs: int) -> list[Product]:
        """Return x @ W and the products of both its gradients."""
        return [(rows, inputs, outputs, 1), (rows, outputs, inputs, 1), (inputs, rows, outputs, 1)]

    found = []
    for layer in range(L):
        below = T * B if layer else V
        # along time, feature-major: forward and backward step by step, the gradient of W_h for all steps
        found += [(4 * H, H, B, T), (H, 4 * H, B, T), (H, T * B, 4 * H, 1)]
        found += linear(below, H, 4 * H)
        if model == "grid":
            found += linear(T * B, H, 4 * H) + linear(below, H, 4 * H)
    return found + linear(T * B, H, V)


def operations(model: str, **sizes: int) -> int:
    """Return the number of multiplications and additions in the products of one training step."""
    return sum(2 * m * k * n * times for m, k, n, times in products(model, **sizes))


def training_products(model: str, T: int, B: int, H: int, L: int, V: int) -> Callable[[], None]:
    """Return a function that computes the products of one training step."""
    prepared = [
        (np.full((m, k), 0.01, np.float32), np.full((k, n), 0.01, np.float32), np.empty((m, n), np.float32), times)
        for m, k, n, times in products(model, T, B, H, L, V)
    ]

    def run() -> None:
        for a, b, out, times in prepared:
            for _ in range(times):
                np.matmul(a, b, out=out)

    return run
