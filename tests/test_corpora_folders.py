import sys
from types import SimpleNamespace

import pytest

from minigrid.data.corpora import data_folder, folders
from minigrid.data.corpora.folders import find_file


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Stand in another folder, with $MINIGRID_DATA unset, so that neither is mistaken for the data folder."""
    monkeypatch.delenv("MINIGRID_DATA", raising=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder in which minigrid seems to be installed, and a cache folder for the user."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(folders, "_CHECKOUT", folder)
    platformdirs = SimpleNamespace(user_cache_path=lambda name: tmp_path / "cache" / name)
    monkeypatch.setitem(sys.modules, "platformdirs", platformdirs)
    return folder


def write_project(folder, name):
    (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')


def test_this_checkout_is_recognised():
    assert data_folder() == folders._CHECKOUT / "data"
    assert (folders._CHECKOUT / "minigrid" / "data" / "corpora" / "folders.py").is_file()


def test_a_checkout_keeps_its_data(packages, monkeypatch):
    monkeypatch.setitem(sys.modules, "platformdirs", None)  # an import would fail
    write_project(packages, "minigrid-lstm")
    assert data_folder() == packages / "data"


def test_an_installed_package_uses_the_users_cache_folder(packages, tmp_path):
    assert data_folder() == tmp_path / "cache" / "minigrid"
    write_project(packages, "stray")  # another package has installed its own by mistake
    assert data_folder() == tmp_path / "cache" / "minigrid"
    (packages / "pyproject.toml").write_bytes(b"\xff")
    assert data_folder() == tmp_path / "cache" / "minigrid"


def test_platformdirs_has_the_function(monkeypatch, tmp_path):
    monkeypatch.setattr(folders, "_CHECKOUT", tmp_path)
    assert data_folder().is_absolute()
    assert "minigrid" in data_folder().parts


@pytest.mark.parametrize("name", ["minigrid-lstm", "stray"])
def test_minigrid_data_comes_first(packages, tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    write_project(packages, name)
    monkeypatch.setenv("MINIGRID_DATA", str(tmp_path / "mine"))
    assert data_folder() == tmp_path / "mine"


def test_a_read_only_folder_is_only_searched(packages, tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "a").touch()
    monkeypatch.setenv("MINIGRID_DATA", str(mine))
    monkeypatch.setattr(folders.os, "access", lambda path, mode: path != mine)  # root may write to any folder
    assert data_folder() == tmp_path / "cache" / "minigrid"
    assert find_file(["a"]) == mine / "a"


def test_an_empty_minigrid_data_counts_as_none(packages, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRID_DATA", "")
    assert data_folder() == tmp_path / "cache" / "minigrid"


def test_a_file_is_looked_for_in_both_folders(packages, tmp_path, monkeypatch):
    mine, cache = tmp_path / "mine", tmp_path / "cache" / "minigrid"
    monkeypatch.setenv("MINIGRID_DATA", str(mine))
    for folder in (mine, cache):
        folder.mkdir(parents=True)
    assert find_file(["a", "b"]) is None
    (cache / "a").touch()
    assert find_file(["a", "b"]) == cache / "a"
    (mine / "b").touch()
    assert find_file(["a", "b"]) == mine / "b"
    (mine / "a").mkdir()  # not a file
    assert find_file(["a", "b"]) == mine / "b"
