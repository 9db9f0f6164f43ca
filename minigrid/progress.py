"""Progress bars on the terminal."""

import sys
from typing import Any

from tqdm import tqdm


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
    return tqdm(items, disable=None if sys.stderr else True, **options)
