import bz2
import os
from dataclasses import replace

import numpy as np
import pytest
from corpora_fixtures import TEXT, error, own_data_folder, sha256, source
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minigrid.data.corpora import encoding, load_corpus, load_file
from minigrid.data.corpora.sources import SOURCES
from minigrid.data.vocabulary import Vocabulary


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    return own_data_folder(tmp_path, monkeypatch)


def cached_above(monkeypatch, size):
    monkeypatch.setattr(encoding, "CACHED_ABOVE", size)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(min_size=1), piece=st.integers(1, 9), cached=st.booleans(), data=st.data())
def test_a_file_is_encoded_exactly(tmp_path, monkeypatch, text, piece, cached, data):
    tokens = data.draw(st.sampled_from(["chars", "bytes"]))
    monkeypatch.setattr(encoding, "PIECE", piece)  # so that characters break between pieces
    cached_above(monkeypatch, 0 if cached else 10_000)
    path = tmp_path / f"{sha256(text.encode())}.txt"  # examples follow each other within one tick of the clock
    path.write_bytes(text.encode())
    for _ in range(2):
        corpus = load_file(path, tokens)
        assert corpus.vocabulary == Vocabulary.from_text(text, tokens)
        np.testing.assert_array_equal(corpus.ids, corpus.vocabulary.encode(text))
        assert corpus.sha256 == sha256(text.encode())


@pytest.mark.parametrize(
    ("symbols", "dtype"), [(256, np.uint8), (257, np.uint16), (65536, np.uint16), (65537, np.uint32)]
)
def test_ids_have_the_smallest_type(tmp_path, symbols, dtype):
    path = tmp_path / "many.txt"
    path.write_text("".join(map(chr, range(0x10000, 0x10000 + symbols))), encoding="utf-8")
    corpus = load_file(path)
    assert corpus.ids.dtype == dtype
    np.testing.assert_array_equal(corpus.ids, np.arange(symbols))


def test_a_bz2_corpus_is_unpacked(folder, monkeypatch):
    packed = bz2.compress(TEXT)
    source(monkeypatch, "wiki-excerpt", replace(SOURCES["wiki-excerpt"], sha256=sha256(packed)))
    folder.mkdir()
    (folder / "wiki-excerpt.xml.bz2").write_bytes(packed)
    corpus = load_corpus("wiki-excerpt")
    assert corpus.sha256 == sha256(TEXT)
    assert corpus.vocabulary.tokens == "bytes"


def test_a_large_file_is_mapped_and_read_once(tmp_path, folder, monkeypatch):
    cached_above(monkeypatch, 10)
    path = tmp_path / "war.and.peace.txt"
    path.write_text("a long enough text")
    first = load_file(path)
    assert isinstance(first.ids, np.memmap)
    assert {file.suffix for file in (folder / "encoded").iterdir()} == {".npy", ".json"}
    monkeypatch.setattr(encoding, "_survey", None)  # reading it again would fail
    second = load_file(path)
    np.testing.assert_array_equal(first.ids, second.ids)
    assert first[2:] == second[2:]
    with pytest.raises(TypeError):
        load_file(path, "bytes")


@pytest.mark.parametrize("size", [10, 10_000], ids=["cached", "small"])
@pytest.mark.parametrize("later", ["shorter", "longer than it was at first"])
def test_a_file_that_changes_while_it_is_read(tmp_path, folder, monkeypatch, size, later):
    cached_above(monkeypatch, size)
    path = tmp_path / "text.txt"
    path.write_text("a long enough text")
    survey = encoding._survey

    def survey_then_change(*arguments):
        found = survey(*arguments)
        path.write_text(later)
        return found

    monkeypatch.setattr(encoding, "_survey", survey_then_change)
    assert "has changed while it was read: try again" in error(load_file, path)
    assert not list(folder.rglob("*.npy"))


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
def test_a_damaged_cache_is_made_anew(tmp_path, folder, monkeypatch, suffix, left):
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
    monkeypatch.setattr(encoding.np.lib.format, "write_array_header_1_0", full)
    (tmp_path / "text.txt").write_text("a long enough text")
    assert len(load_file(tmp_path / "text.txt").ids) == 18
    assert list((folder / "encoded").iterdir()) == []


@pytest.mark.parametrize("piece", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("data", "offset"), [("aé€".encode() + b"\xffz", 6), ("aé€".encode()[:-1], 3), (b"\xe2\x82a", 0)]
)
def test_what_is_not_utf8_is_located(tmp_path, monkeypatch, piece, data, offset):
    monkeypatch.setattr(encoding, "PIECE", piece)
    (tmp_path / "latin.txt").write_bytes(data)
    message = error(load_file, tmp_path / "latin.txt")
    assert f"at byte {offset}:" in message
    assert "--tokens bytes" in message
    assert len(load_file(tmp_path / "latin.txt", "bytes").ids) == len(data)
