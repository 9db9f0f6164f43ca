"""Benchmarks of minigrid; not part of the package.

Every module here is a command, such as ``python -m benchmarks.cpu``; their common code is in ``helpers``:

- ``cpu``: speed and memory next to PyTorch, for cpu.md and the README
- ``versions``: the training step of this checkout next to that of another one
- ``profile``, ``tiles``, ``embedding``, ``lock``: parts of a training step
- ``gpu.sh``: tests, benchmarks and a training run on a GPU; gpu.md explains it, and ``gpu`` has its parts
"""
