"""Write text with a trained model; see ``python sample.py --help``."""

import sys

from minigrid.cli.start import run

if __name__ == "__main__":
    sys.exit(run(program="sample.py", command="sample"))
