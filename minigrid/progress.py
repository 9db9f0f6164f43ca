"""Progress bars, for whoever watches."""

import sys
from typing import Any

from tqdm import tqdm


def progress_bar(items: Any = None, **how: Any) -> tqdm:
    """Make a tqdm bar that is drawn on a terminal only; not in a file, nor where stderr was closed from the start."""
    return tqdm(items, disable=None if sys.stderr else True, **how)
