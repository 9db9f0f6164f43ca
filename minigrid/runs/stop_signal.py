"""Stopping a run between two minibatches, on Ctrl-C and similar signals."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


class StopRequest:
    """Whether a signal has asked the run to stop.

    Parameters
    ----------
    announce : callable, optional
        Called once, when the first signal arrives.
    """

    def __init__(self, announce: Callable[[], None] | None = None):
        self._announce = announce
        self._received: set[int] = set()

    @property
    def requested(self) -> bool:
        """Whether any signal has arrived."""
        return bool(self._received)

    def receive(self, number: int, frame: Any = None) -> None:
        """Handle a signal; a second one of the same kind raises a KeyboardInterrupt at once."""
        if number in self._received:
            raise KeyboardInterrupt
        first = not self._received  # a session that ends sends several kinds
        self._received.add(number)
        if first and self._announce is not None:
            # the same Ctrl-C may have stopped the reader of the message, or come while a progress bar is being printed
            with contextlib.suppress(OSError, RuntimeError):
                self._announce()


@contextlib.contextmanager
def stop_signal(announce: Callable[[], None] | None = None) -> Iterator[StopRequest]:
    """Turn signals into a :class:`StopRequest` within this context; the previous handlers come back after it."""
    stop = StopRequest(announce)
    before = {number: signal.signal(number, stop.receive) for number in _stops()}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stops() -> list[int]:
    """List the signals that stop a run: Ctrl-C, a request to terminate, and a terminal that closes.

    The last one does not exist on Windows and is ignored under nohup. Outside the main thread Python handles no
    signals at all.
    """
    if threading.current_thread() is not threading.main_thread():
        return []
    stops: list[int] = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        stops.append(hangup)
    return stops
