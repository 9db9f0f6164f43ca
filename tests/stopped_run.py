"""Run the command line in a process that is stopped on purpose: ``python stopped_run.py PLAN NUMBER train ...``.

The tests of resumed runs start this program; it sends signals to itself only.
"""

import os
import signal
import sys
import time

import numpy as np
from run_fixtures import half_of

from minigrid.cli.main import main
from minigrid.runs import loop
from minigrid.training.step import TrainStep


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def at_step(wanted: int, number: int) -> None:
    """Send this process a signal while it does the training step `wanted`."""
    step = TrainStep.__call__

    def stopped(self, x, y):
        if self.number + 1 == wanted:
            send(number)
        return step(self, x, y)

    TrainStep.__call__ = stopped


def in_save(wanted: int) -> None:
    """Kill this process when the checkpoint that it writes as its `wanted`-th is half on the disk."""
    savez, written = np.savez, 0

    def counted(file, **arrays):
        nonlocal written
        written += 1
        (half_of(savez, lambda: send(signal.SIGKILL)) if written == wanted else savez)(file, **arrays)

    np.savez = counted


def slowly(milliseconds: int) -> None:
    """Give the starter time to stop this process, which saves after every step."""
    step = TrainStep.__call__

    def slow(self, x, y):
        time.sleep(milliseconds / 1000)
        return step(self, x, y)

    TrainStep.__call__ = slow
    loop.SAVE_EVERY = 0.0


PLANS = {
    "SIGINT": lambda step: at_step(step, signal.SIGINT),
    "SIGTERM": lambda step: at_step(step, signal.SIGTERM),
    "kill-in-save": in_save,
    "slowly": slowly,
}

if __name__ == "__main__":
    loop._draw = lambda run, report: None  # matplotlib takes long to import
    plan, argument, *arguments = sys.argv[1:]
    PLANS[plan](int(argument))
    sys.exit(main(arguments))
