import os

import numpy as np
import pytest
from corpora_fixtures import own_data_folder, sha256

from minigrid.data.corpora import cache, load, load_file


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    return own_data_folder(tmp_path, monkeypatch)


def cached_above(monkeypatch, size):
    monkeypatch.setattr(cache, "CACHED_ABOVE", size)


def test_a_large_file_is_mapped_and_read_once(tmp_path, folder, monkeypatch):
    cached_above(monkeypatch, 10)
    path = tmp_path / "war.and.peace.txt"
    path.write_text("a long enough text")
    first = load_file(path)
    assert isinstance(first.ids, np.memmap)
    assert {file.suffix for file in (folder / "encoded").iterdir()} == {".npy", ".json"}
    monkeypatch.setattr(load, "survey_file", None)  # reading it again would fail
    second = load_file(path)
    np.testing.assert_array_equal(first.ids, second.ids)
    assert first[2:] == second[2:]
    with pytest.raises(TypeError):
        load_file(path, "bytes")


def test_a_changed_file_is_read_again(tmp_path, monkeypatch):
    cached_above(monkeypatch, 10)
    path = tmp_path / "text.txt"
    path.write_text("a long enough text")
    load_file(path)
    path.write_text("A LONG ENOUGH TEXT")
    os.utime(path, ns=(1, 1))
    assert load_file(path).sha256 == sha256(b"A LONG ENOUGH TEXT")


@pytest.mark.parametrize("left", [-3, 0])
@pytest.mark.parametrize("suffix", [".npy", ".json"])
def test_a_damaged_cache_is_encoded_again(tmp_path, folder, monkeypatch, suffix, left):
    cached_above(monkeypatch, 10)
    path = tmp_path / "text.txt"
    path.write_text("a long enough text")
    load_file(path)
    file = next((folder / "encoded").glob("*" + suffix))
    file.write_bytes(file.read_bytes()[:left])
    corpus = load_file(path)
    assert corpus.vocabulary.decode(corpus.ids) == "a long enough text"


def test_a_small_file_leaves_nothing_behind(tmp_path, folder):
    (tmp_path / "text.txt").write_text("short")
    load_file(tmp_path / "text.txt")
    assert not folder.exists()


def test_without_a_place_for_the_cache_a_file_still_loads(tmp_path, folder, monkeypatch):
    cached_above(monkeypatch, 10)
    folder.write_text("a file where the folder should be")
    (tmp_path / "text.txt").write_text("a long enough text")
    corpus = load_file(tmp_path / "text.txt")
    assert corpus.vocabulary.decode(corpus.ids) == "a long enough text"


def test_a_full_disk_leaves_no_half_cache(tmp_path, folder, monkeypatch):
    def full(*args):
        raise OSError("No space left on device")

    cached_above(monkeypatch, 10)
    monkeypatch.setattr(cache.np.lib.format, "write_array_header_1_0", full)
    (tmp_path / "text.txt").write_text("a long enough text")
    assert len(load_file(tmp_path / "text.txt").ids) == 18
    assert list((folder / "encoded").iterdir()) == []


def test_the_cache_is_in_the_folder_that_minigrid_data_names(tmp_path, folder, monkeypatch):
    cached_above(monkeypatch, 10)
    monkeypatch.setenv("MINIGRID_DATA", str(tmp_path / "mine"))
    (tmp_path / "text.txt").write_text("a long enough text")
    assert isinstance(load_file(tmp_path / "text.txt").ids, np.memmap)
    assert len(list((tmp_path / "mine" / "encoded").iterdir())) == 2
    assert not folder.exists()
