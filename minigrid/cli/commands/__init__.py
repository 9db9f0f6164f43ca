"""The commands, one module each.

Each has HELP, ``add_options(parser)``, and ``run(options)``, which returns the exit code. Modules that are slow to
import are imported in ``run``, so that ``--help`` stays quick.
"""

from types import ModuleType

from minigrid.cli.commands import eval, gradcheck, inspect, list, plot, sample, train

COMMANDS: dict[str, ModuleType] = {
    "train": train,
    "sample": sample,
    "eval": eval,
    "inspect": inspect,
    "plot": plot,
    "list": list,
    "gradcheck": gradcheck,
}

SHARED = (train, eval, gradcheck)
"""The commands that several processes can run together."""
