"""What a training run reports to the program that started it."""

import warnings

from minigrid.errors import Notice
from minigrid.runs.records import Record
from minigrid.runs.run import Run


class Report:
    """Base class of reports: the training loop calls these methods. Override those that you need.

    This class ignores everything except notes, which it turns into warnings. If a method raises an OSError, for example
    because the program at the other end of a pipe has exited, the run is saved and the error is passed on.
    """

    def started(self, run: Run) -> None:
        """Called once, before the first minibatch of this process."""

    def estimated(self, run: Run, seconds: float) -> None:
        """Called once, after a few minibatches, with the time that one of them takes."""

    def trained(self, run: Run) -> None:
        """Called at the end of every minibatch, after the calls below that belong to it."""

    def recorded(self, run: Run, record: Record) -> None:
        """Called with every training record."""

    def validating(self, done: int, total: int) -> None:
        """Called during a validation with the number of minibatches done, from 0 to `total`."""

    def validated(self, run: Run, record: Record, is_best: bool) -> None:
        """Called after a validation with its record, when everything is saved."""

    def stopping(self) -> None:
        """Called from a signal handler when the run is asked to stop after the current minibatch."""

    def note(self, message: str) -> None:
        """Called with a problem that does not stop the run."""
        warnings.warn(message, Notice, stacklevel=2)
