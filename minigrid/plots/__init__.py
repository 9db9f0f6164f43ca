"""Plots, as matplotlib figures.

Every function takes plain arrays or a `Trace` and returns a figure. A notebook displays it, and
``figure.savefig("gates.png")`` saves it. Plots count layers from 1, as the equations do; arrays count them from 0.
"""

from minigrid.plots.block import grid_block
from minigrid.plots.coloured_text import coloured_text
from minigrid.plots.gates import gate_heatmap, gate_saturation, side_by_side
from minigrid.plots.gradients import gradients_by_lag, gradients_by_layer
from minigrid.plots.losses import loss_curves
from minigrid.plots.paths import depth_paths, time_paths
from minigrid.plots.style import COLOURS, Figure

__all__ = [
    "COLOURS",
    "Figure",
    "coloured_text",
    "depth_paths",
    "gate_heatmap",
    "gate_saturation",
    "gradients_by_lag",
    "gradients_by_layer",
    "grid_block",
    "loss_curves",
    "side_by_side",
    "time_paths",
]
