"""minigrid: the 2D Grid LSTM as a character model, every forward and backward pass by hand."""

from minigrid.checkpoint import load
from minigrid.errors import UserError
from minigrid.model import CharModel
from minigrid.trace import trace, trace_text
from minigrid.train_step import TrainStep

__all__ = ["CharModel", "TrainStep", "UserError", "load", "trace", "trace_text"]
