"""What a training run reports to the program that started it."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from minigrid.backend.ranks import Ranks
from minigrid.errors import Notice
from minigrid.runs.records import Record
from minigrid.runs.run import Run


class Report:
    """Base class of reports: the training loop calls these methods. Override those that you need.

    This class ignores everything except notes, which it turns into warnings. If a method raises an OSError, for example
    because the program at the other end of a pipe has exited, the run is saved and the error is passed on.
    """

    is_lost = False
    """Whether nobody receives the report any more, so that the run should stop."""

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


class RankReport(Report):
    """The report of a run of several ranks: the first one tells what happens, the others tell nothing.

    An OSError does not end one rank, for which the others would wait. It sets `is_lost`, and all of them stop.

    Parameters
    ----------
    report : Report
        Is told what happens.
    ranks : Ranks
        The ranks.

    Attributes
    ----------
    error : OSError or None
        What `report` has raised.
    """

    def __init__(self, report: Report, ranks: Ranks):
        self.error: OSError | None = None
        for name, method in vars(Report).items():
            if callable(method) and not name.startswith("_"):
                setattr(self, name, partial(self._tell, getattr(report, name)) if ranks.is_first else _nothing)

    def close(self) -> None:
        """Raise what `report` has raised."""
        if self.error is not None:
            raise self.error

    @property
    def is_lost(self) -> bool:  # type: ignore[override]
        """Whether `report` has raised an error."""
        return self.error is not None

    def _tell(self, method: Callable[..., None], *what: Any, **more: Any) -> None:
        if self.error is None:
            try:
                method(*what, **more)
            except OSError as error:
                self.error = error


def _nothing(*what: Any, **more: Any) -> None:
    """Take the place of a method of the report."""
