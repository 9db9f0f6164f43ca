"""Write text with a trained model; see ``python sample.py --help``."""

import sys

from minigrid.cli.main import main

if __name__ == "__main__":
    sys.exit(main(program="sample.py", command="sample"))
