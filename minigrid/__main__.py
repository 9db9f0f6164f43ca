"""``python -m minigrid``: all commands."""

import sys

from minigrid.cli import main

sys.exit(main())
