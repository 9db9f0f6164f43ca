"""``python -m minigrid``: all commands."""

import sys

from minigrid.cli.main import main

sys.exit(main())
