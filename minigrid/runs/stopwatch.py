"""The speed of a training run."""

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Times minibatches.

    Attributes
    ----------
    minibatches : int
        Minibatches counted so far, across restarts.
    """

    def __init__(self) -> None:
        self.minibatches = 0
        self.restart()

    def restart(self) -> None:
        """Start timing again from now."""
        self._timed, self._since = 0, time.monotonic()  # seconds

    def count(self) -> None:
        """Count one finished minibatch."""
        self.minibatches += 1
        self._timed += 1

    def pace(self) -> float | None:
        """Return the minibatches per second since the last restart, or None if none has been timed."""
        seconds = time.monotonic() - self._since
        return self._timed / seconds if self._timed and seconds else None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the time spent within this context out of the pace."""
        started = time.monotonic()
        yield
        self._since += time.monotonic() - started
