"""The data folder, which holds the fetched corpora and the cache of encoded texts."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[3]  # of an installed package: the folder that holds all packages


def data_folder() -> Path:
    """Return the folder that minigrid writes to; it may not exist yet.

    The environment variable MINIGRID_DATA names it. If that is not set, or names a folder that is read-only, it is the
    folder of :func:`default_folder`.
    """
    chosen = _chosen_folder()
    return chosen if chosen and not _is_read_only(chosen) else default_folder()


def default_folder() -> Path:
    """Return ``data/`` of the checkout that minigrid runs from; for an installed package, the user's cache folder."""
    if _is_checkout(_CHECKOUT):
        return _CHECKOUT / "data"
    import platformdirs  # here, because neither a checkout nor MINIGRID_DATA needs it

    return platformdirs.user_cache_path("minigrid")


def find_file(names: Iterable[str]) -> Path | None:
    """Find a file by one of its names in $MINIGRID_DATA, then in the default folder; None if neither has it."""
    names = tuple(names)
    candidates = (folder / name for folder in _searched_folders() for name in names)
    return next((file for file in candidates if file.is_file()), None)


def _searched_folders() -> Iterator[Path]:
    if chosen := _chosen_folder():
        yield chosen
    yield default_folder()


def _chosen_folder() -> Path | None:
    chosen = os.environ.get("MINIGRID_DATA")
    return Path(chosen) if chosen else None


def _is_read_only(folder: Path) -> bool:
    return folder.exists() and not os.access(folder, os.W_OK)


def _is_checkout(folder: Path) -> bool:
    """Return whether this is a checkout of minigrid; a folder of packages may hold a stray pyproject.toml."""
    try:
        return 'name = "minigrid-lstm"' in (folder / "pyproject.toml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
