"""The models: every forward pass with its backward pass, and nothing else."""
