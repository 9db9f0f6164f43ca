"""Code shared by the commands of :mod:`benchmarks.gpu`, and the module that they run in a process of its own."""
