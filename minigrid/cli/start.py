"""Start the command line in a process of its own."""

import os


def run(program: str = "minigrid", command: str | None = None) -> int:
    """Run the command that the arguments of this process name; return its exit code.

    See :func:`minigrid.cli.main.main`, which this function imports where a Ctrl-C is handled already.
    """
    # Pictures go to files. A notebook's kernel passes on its own backend, which may not be installed here.
    os.environ["MPLBACKEND"] = "agg"
    try:
        from minigrid.cli.main import main

        return main(program=program, command=command)
    except KeyboardInterrupt:
        return 130
