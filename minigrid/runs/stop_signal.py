"""Ctrl-C and its like, heeded between two minibatches."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any


def _stops() -> list[int]:
    """Signals that ask a run to stop; a terminal that is closed is not one under nohup, nor on Windows.

    Python lets no other thread than the main one heed any.
    """
    if threading.current_thread() is not threading.main_thread():
        return []
    hangup = getattr(signal, "SIGHUP", None)
    closes = hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([hangup] if closes else [])]


@contextlib.contextmanager
def stop_signal() -> Iterator[list[int]]:
    """Collect signals to stop, which is done between two minibatches; the same one again stops at once."""
    received: list[int] = []

    def note(number: int, frame: Any) -> None:
        if number in received:
            raise KeyboardInterrupt
        received.append(number)
        if len(received) > 1:  # a session that ends sends several kinds
            return
        # whoever reads it may have been stopped by the same Ctrl-C; the progress bar may be at it just now
        with contextlib.suppress(OSError, RuntimeError):
            print("\nstopping after this minibatch, then saving; once more stops at once", file=sys.stderr)

    before = {number: signal.signal(number, note) for number in _stops()}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
