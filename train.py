"""Train a model; see ``python train.py --help``."""

import sys

from minigrid.cli.start import run

if __name__ == "__main__":
    sys.exit(run(program="train.py", command="train"))
