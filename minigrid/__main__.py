"""Run a command: ``python -m minigrid``."""

import sys

from minigrid.cli.start import run

if __name__ == "__main__":
    sys.exit(run())
