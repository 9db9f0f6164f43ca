"""Texts and tasks, and their way to minibatches."""
