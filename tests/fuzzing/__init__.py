"""Altered inputs, and how minigrid must answer them. `tests/test_fuzz.py` tries a few, `tests/fuzz.py` any number.

Everything is drawn from a `random.Random`: the same seed makes the same input.
"""
