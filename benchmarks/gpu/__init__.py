"""Benchmarks on an NVIDIA GPU, explained in ``benchmarks/gpu.md``.

Every module here is a command that ``benchmarks/gpu.sh`` calls; their common code is in ``helpers``.
"""
