"""minigrid: the 2D Grid LSTM as a character model, every forward and backward pass by hand."""
