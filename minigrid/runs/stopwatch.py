"""How fast a training run goes."""

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Times minibatches.

    Attributes
    ----------
    minibatches : int
        Counted so far.
    """

    def __init__(self) -> None:
        self.minibatches = 0
        self.restart()

    def restart(self) -> None:
        """Time what comes from now on, and forget what was timed before."""
        self._timed, self._since = 0, time.monotonic()  # seconds

    def count(self) -> None:
        """Count a minibatch that is done."""
        self.minibatches += 1
        self._timed += 1

    def pace(self) -> float | None:
        """Minibatches per second since the last restart; None where none has been timed."""
        seconds = time.monotonic() - self._since
        return self._timed / seconds if self._timed and seconds else None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what is done within this context."""
        started = time.monotonic()
        yield
        self._since += time.monotonic() - started
