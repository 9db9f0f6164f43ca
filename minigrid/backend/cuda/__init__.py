"""CUDA kernels, for arrays on an NVIDIA GPU."""
