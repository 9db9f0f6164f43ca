"""Run a command: ``python -m minigrid``."""

import sys

from minigrid.cli.main import main

sys.exit(main())
