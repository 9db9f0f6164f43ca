"""The products that a training step cannot do without, and nothing else: what the BLAS leaves to be reached.

Shapes and library are minigrid's. The first layer's input is a table look-up, so it costs products with V rows only.
"""

from collections.abc import Callable

import numpy as np

Product = tuple[int, int, int, int]
"""m, k, n and how many times: (m, k) @ (k, n)."""


def products(model: str, T: int, B: int, H: int, L: int, V: int) -> list[Product]:
    """List the products of one training step of a stacked LSTM or a grid."""

    def linear(rows: int, inputs: int, outputs: int) -> list[Product]:
        """x @ W, and both its gradients."""
        return [(rows, inputs, outputs, 1), (rows, outputs, inputs, 1), (inputs, rows, outputs, 1)]

    found = []
    for layer in range(L):
        below = T * B if layer else V
        # along time, feature-major: forward and backward step by step, the gradient of W_h at once
        found += [(4 * H, H, B, T), (H, 4 * H, B, T), (H, T * B, 4 * H, 1)]
        found += linear(below, H, 4 * H)
        if model == "grid":
            found += linear(T * B, H, 4 * H) + linear(below, H, 4 * H)
    return found + linear(T * B, H, V)


def operations(model: str, **sizes: int) -> int:
    """Count the multiplications and additions in them."""
    return sum(2 * m * k * n * times for m, k, n, times in products(model, **sizes))


def training_products(model: str, T: int, B: int, H: int, L: int, V: int) -> Callable[[], None]:
    """Return a function that does the products of one training step."""
    prepared = [
        (np.full((m, k), 0.01, np.float32), np.full((k, n), 0.01, np.float32), np.empty((m, n), np.float32), times)
        for m, k, n, times in products(model, T, B, H, L, V)
    ]

    def run() -> None:
        for a, b, out, times in prepared:
            for _ in range(times):
                np.matmul(a, b, out=out)

    return run
