"""Wiki-like text in a made-up language, labelled character by character."""

from minigrid.data.toywiki.generator import generate
from minigrid.data.toywiki.page import TRUTH

__all__ = ["TRUTH", "generate"]
