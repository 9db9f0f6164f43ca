"""The cells a model can be made of, by name."""

from collections.abc import Callable, Mapping

from minigrid.nn.cells.cell import Cell
from minigrid.nn.cells.grid import Grid
from minigrid.nn.cells.gru import GRU
from minigrid.nn.cells.lstm import LSTM
from minigrid.nn.cells.rnn import RNN
from minigrid.nn.options import ModelOptions

CELLS: Mapping[str, Callable[[ModelOptions], Cell]] = {"grid": Grid, "lstm": LSTM, "gru": GRU, "rnn": RNN}

__all__ = ["CELLS", "GRU", "LSTM", "RNN", "Cell", "Grid"]
