"""minigrid: the 2D Grid LSTM as a character model, every forward and backward pass by hand."""

from minigrid.analysis.trace import trace, trace_text
from minigrid.errors import UserError
from minigrid.nn.model import CharModel
from minigrid.runs.checkpoint import load
from minigrid.training.step import TrainStep
from minigrid.version import __version__

__all__ = ["CharModel", "TrainStep", "UserError", "__version__", "load", "trace", "trace_text"]
