"""The products that a training step cannot do without, and nothing else: what the BLAS leaves to be reached.

Shapes and library are minigrid's. The first layer's input is a table look-up, so it costs products with V rows only.
"""

from collections.abc import Callable

import numpy as np


def training_products(model: str, T: int, B: int, H: int, L: int, V: int) -> Callable[[], None]:
    """Return a function that does the products of one training step of a stacked LSTM or a grid."""
    products: list[tuple[np.ndarray, np.ndarray, np.ndarray, int]] = []

    def product(m: int, k: int, n: int, times: int = 1) -> None:
        a, b = (np.full(shape, 0.01, np.float32) for shape in ((m, k), (k, n)))
        products.append((a, b, np.empty((m, n), np.float32), times))

    def linear(rows: int, inputs: int, outputs: int) -> None:
        """x @ W, and both its gradients."""
        product(rows, inputs, outputs)
        product(rows, outputs, inputs)
        product(inputs, rows, outputs)

    for layer in range(L):
        below = T * B if layer else V
        # along time, feature-major: forward and backward step by step, the gradient of W_h at once
        product(4 * H, H, B, times=T)
        product(H, 4 * H, B, times=T)
        product(H, T * B, 4 * H)
        linear(below, H, 4 * H)
        if model == "grid":
            linear(T * B, H, 4 * H)
            linear(below, H, 4 * H)
    linear(T * B, H, V)

    def run() -> None:
        for a, b, out, times in products:
            for _ in range(times):
                np.matmul(a, b, out=out)

    return run
