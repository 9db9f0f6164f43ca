"""CUDA kernels for arrays on an NVIDIA GPU, each with a twin for NumPy that computes the same.

- ``kernels.py`` launches the kernels for the LSTM update (``gates.cu``), the loss (``loss.cu``), the gradient norm and
  the optimisers (``optim.cu``), and the dropout masks (``masks.cu``). ``reduce.cu`` holds the sums that they share.
- ``recurrence.py`` launches one kernel for all time steps of an LSTM layer: ``recurrence.cu``, with a few instructions
  in PTX, the GPU's assembler (``ptx.cu``). It keeps the recurrent weights on the chip and first checks that they fit.
- ``lstm.py`` is what the LSTM cells call. If a layer fits on the chip, it uses ``recurrence.py``; otherwise it loops
  over the steps, with one product (cuBLAS) and one update kernel per step.

CuPy compiles the .cu files with NVRTC, NVIDIA's run-time compiler, when a kernel is first used, and caches the result
on disk. Installing the package compiles nothing.
"""
