"""One training step: gradients, clipping, the optimiser, several cores."""
