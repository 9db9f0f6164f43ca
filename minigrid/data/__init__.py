"""Texts and generated tasks, cut into minibatches."""
