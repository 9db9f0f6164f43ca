"""Fixtures and settings of all tests."""

import importlib.util
import os
import shutil
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import strict_cupy
from corpora_fixtures import own_data_folder
from hypothesis import settings
from run_fixtures import addition_config, text_config, trained, write_text

pytest_plugins = ["isolation", "strict_skips"]

# A shared machine may stall, so slowness is no failure. Without a database, no test depends on an earlier session.
settings.register_profile("minigrid", deadline=None, database=None, print_blob=True)
settings.load_profile("minigrid")


@pytest.fixture(scope="session", autouse=True)
def _kernels_on_the_host(tmp_path_factory) -> None:
    """Compile every kernel once per session, for all processes that take part in it; see host_kernels.py."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # which the workers share
    kernels = folder / "kernels"
    kernels.mkdir(exist_ok=True)
    os.environ.setdefault("MINIGRID_HOST_KERNELS", str(kernels))


@pytest.fixture
def fake_cupy(monkeypatch) -> ModuleType:
    """A module that passes for an imported cupy with one GPU, see :mod:`strict_cupy`."""
    cupy = strict_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    return cupy


@pytest.fixture
def no_cupy(monkeypatch) -> None:
    """Hide a cupy that is installed."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.fixture
def heeded_signals() -> Iterator[None]:
    """Make the signals that tests under nohup or behind a script's & ignore, as do all they start, act as usual."""
    usual = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}
    known = {getattr(signal, name): handler for name, handler in usual.items() if hasattr(signal, name)}
    before = {number: signal.signal(number, handler) for number, handler in known.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def empty_folder(tmp_path, monkeypatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_pictures(monkeypatch) -> None:
    """Draw no loss curves during training, which takes most of the time of a small run."""
    monkeypatch.setattr("minigrid.runs.loop._draw", lambda run, report: None)


@pytest.fixture
def data(tmp_path) -> Path:
    """A small text to train on."""
    return write_text(tmp_path)


@pytest.fixture(scope="session")
def made_runs(tmp_path_factory) -> Path:
    """A folder with a text and small runs on its characters, on its bytes and on addition; see `small_runs`."""
    folder = tmp_path_factory.mktemp("made")
    data = write_text(folder)
    small = {"max_steps": 30, "eval_every": 15}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minigrid.runs.loop._draw", lambda run, report: None)
        trained(folder / "chars", text_config(data, test_fraction=0.1, **small))
        trained(folder / "bytes", text_config(data, tokens="bytes", model="lstm", **small))
        trained(folder / "addition", addition_config(**small))
    return folder


@pytest.fixture
def small_runs(made_runs, tmp_path, monkeypatch, no_pictures) -> Path:
    """Work in a copy of the folder of `made_runs`, with a data folder of its own."""
    own_data_folder(tmp_path, monkeypatch)
    place = tmp_path / "here"
    shutil.copytree(made_runs, place)
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def here(tmp_path) -> Path:
    """A folder with a small text, for programs that are started in it."""
    write_text(tmp_path)
    return tmp_path


@pytest.fixture
def mark() -> str:
    """What marks the processes of one launch."""
    return uuid.uuid4().hex
