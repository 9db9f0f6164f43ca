"""Training on several processes: how much faster it is on this machine, and would be on others.

``python -m benchmarks.scaling`` measures and writes the page ``benchmarks/scaling.md``.
"""
