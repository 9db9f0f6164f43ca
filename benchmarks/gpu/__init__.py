"""Measurements on an NVIDIA GPU: ``benchmarks/gpu.sh`` runs them, ``benchmarks/gpu.md`` explains them."""
