"""Train a model; see ``python train.py --help``."""

import sys

from minigrid.cli.main import main

if __name__ == "__main__":
    sys.exit(main(program="train.py", command="train"))
