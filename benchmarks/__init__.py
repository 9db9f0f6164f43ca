"""Measurements of minigrid beside its peers; nothing here is part of the package."""
