"""Keep the commands away from the network and from the user's files."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from isolation import OFFLINE
from run_fixtures import CHILD


@contextlib.contextmanager
def isolated(place: Path) -> Iterator[None]:
    """Set environment variables for this process and its children; homes and data are in `place` meanwhile."""
    before = dict(os.environ)
    homes = {"HOME": place / "home", "MINIGRID_DATA": place / "data", "MPLCONFIGDIR": place / "matplotlib"}
    for folder in homes.values():
        folder.mkdir(exist_ok=True)
    os.environ.update(OFFLINE | CHILD | {name: str(folder) for name, folder in homes.items()})
    import matplotlib.font_manager  # noqa: F401  # makes the font cache, which no case shall wait for

    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
