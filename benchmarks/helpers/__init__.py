"""Code shared by the commands of :mod:`benchmarks`, and the modules that they run in processes of their own."""
