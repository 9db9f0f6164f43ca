"""Training runs: settings, checkpoints, the loop, and what you do with a trained model."""
