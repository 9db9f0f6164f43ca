"""What a training run tells the program that started it."""

import warnings

from minigrid.errors import Notice
from minigrid.runs.folder import Record
from minigrid.runs.run import Run


class Report:
    """Receives the news of a training run; override the methods that you need.

    As it is, it ignores everything but notes, which become warnings. If a method raises an OSError, for example because
    the reader of a pipe has gone, the run is saved and the error is passed on.
    """

    def started(self, run: Run) -> None:
        """Receive the run, which is about to train its first minibatch in this process."""

    def estimated(self, run: Run, seconds: float) -> None:
        """Receive the time that one minibatch takes, in seconds; called once, after a few minibatches."""

    def trained(self, run: Run) -> None:
        """Learn that one more minibatch is done; called after everything else that belongs to it."""

    def recorded(self, run: Run, record: Record) -> None:
        """Receive a training record."""

    def validating(self, done: int, total: int) -> None:
        """Learn how many minibatches of a validation are done, from 0 to `total`."""

    def validated(self, run: Run, record: Record, is_best: bool) -> None:
        """Receive the record of a validation, and whether its loss is the best so far; everything is saved."""

    def stopping(self) -> None:
        """Learn that the run stops after this minibatch. Called by a signal handler, so keep it short."""

    def note(self, message: str) -> None:
        """Receive a problem that does not stop the run."""
        warnings.warn(message, Notice, stacklevel=2)
