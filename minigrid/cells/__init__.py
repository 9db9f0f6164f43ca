"""The cells a model can be made of, by name."""

from minigrid.cells.cell import Cell
from minigrid.cells.grid import Grid
from minigrid.cells.gru import GRU
from minigrid.cells.lstm import LSTM
from minigrid.cells.rnn import RNN

CELLS = {"grid": Grid, "lstm": LSTM, "gru": GRU, "rnn": RNN}

__all__ = ["CELLS", "GRU", "LSTM", "RNN", "Cell", "Grid"]
