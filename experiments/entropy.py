"""The entropy of single symbols: the loss of a model that ignores its input."""

import numpy as np


def unigram_entropy(targets: np.ndarray) -> float:
    """Return the entropy of the symbol frequencies, in nats: the lowest loss of a model that ignores its input."""
    shares = np.bincount(targets.ravel()) / targets.size
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())
