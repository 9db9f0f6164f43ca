"""Progress bars on the terminal."""

import sys
import threading
from typing import Any

from tqdm import tqdm


class _Bar(tqdm):
    """A bar with a lock of its own. tqdm's takes a semaphore of the system, which a killed process may leave behind."""


_Bar.set_lock(threading.RLock())


def progress_bar(items: Any = None, **options: Any) -> tqdm:
    """Make a tqdm bar that is drawn only if stderr is a terminal.

    Parameters
    ----------
    items : iterable, optional
        What to iterate over.
    **options
        Further arguments of tqdm.
    """
    # None lets tqdm check for a terminal; it cannot do that if stderr was closed when Python started, and is None
    return _Bar(items, disable=None if sys.stderr else True, **options)
