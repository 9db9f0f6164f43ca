"""How much of the gradient reaches the lowest layer of grids and stacks of 2 to 24 layers?"""
