"""Train as train.py does, but slowly, with a save after every step and no pictures: ``python often_run.py --data ...``.

Signals are handled from the start, as there.
"""

import sys
import time

from minigrid.cli import start

share_terminal = start.share_terminal


def share_terminal_and_prepare() -> None:
    """Do what :func:`minigrid.cli.start.run` does before its slow imports, where signals are handled already."""
    share_terminal()
    from minigrid.runs import loop
    from minigrid.training.distributed import DistributedStep

    step = DistributedStep.__call__

    def slow(self, x, y):
        time.sleep(0.01)
        return step(self, x, y)

    DistributedStep.__call__ = slow
    loop.SAVE_EVERY = 0.0
    loop._draw = lambda run, report: None


if __name__ == "__main__":
    start.share_terminal = share_terminal_and_prepare
    sys.exit(start.run("train.py", "train"))
