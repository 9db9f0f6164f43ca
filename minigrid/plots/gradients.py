"""Norms of gradients, by the number of steps or layers that they have come through."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from minigrid.plots.style import COLOURS, WIDTH, Figure


def gradients_by_lag(norms: Mapping[str, Sequence[float] | np.ndarray]) -> Figure:
    """Draw gradient norms over the number of characters that the gradient has gone back in time.

    Parameters
    ----------
    norms : mapping
        Name of a curve -> (K,) norms for lags 1 to K, for example one layer of what
        :func:`minigrid.analysis.gradient_flow.norms_by_lag` returns, averaged over the batch.
    """
    return _curves(norms, "characters back", "gradient norm", marker="")


def gradients_by_layer(norms: Mapping[str, Sequence[float] | np.ndarray]) -> Figure:
    """Draw gradient norms over layers, from the bottom layer (1) to the top layer (L).

    Parameters
    ----------
    norms : mapping
        Name of a curve -> (L,) norms.
    """
    return _curves(norms, "layer", "gradient norm", marker="o")


def _curves(norms: Mapping[str, Sequence[float] | np.ndarray], across: str, up: str, marker: str) -> Figure:
    figure = Figure(figsize=(WIDTH, 4.5), layout="constrained")
    axes = figure.add_subplot(yscale="log")
    for k, (name, curve) in enumerate(norms.items()):
        dashes = ("-", "--", ":")[k // len(COLOURS) % 3]
        axes.plot(range(1, len(curve) + 1), curve, dashes, color=COLOURS[k % len(COLOURS)], marker=marker, label=name)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    return figure
