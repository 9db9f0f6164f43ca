"""The entropy of single symbols, which a model that heeds nothing it reads can reach."""

import numpy as np


def unigram_entropy(targets: np.ndarray) -> float:
    """Return the loss, in nats, of the best answer that pays no heed to what it reads: how often each byte occurs."""
    shares = np.bincount(targets.ravel()) / targets.size
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())
