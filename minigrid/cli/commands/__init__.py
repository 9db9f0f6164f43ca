"""The commands, one module each: HELP, ``add_options(parser)``, and ``run(options)``, which returns the exit code.

What is slow to import waits until a command runs: ``--help`` needs none of it.
"""

from types import ModuleType

from minigrid.cli.commands import eval, gradcheck, inspect, plot, sample, train

COMMANDS: dict[str, ModuleType] = {
    "train": train,
    "sample": sample,
    "eval": eval,
    "inspect": inspect,
    "plot": plot,
    "gradcheck": gradcheck,
}
