import bz2
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from corpora_fixtures import TEXT, error, own_data_folder, sha256, source

from minigrid.data.corpora import load, load_corpus, load_file, reading
from minigrid.data.corpora.reading import SymbolDecoder, read_pieces
from minigrid.data.corpora.sources import SOURCES


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    return own_data_folder(tmp_path, monkeypatch)


def test_a_bz2_corpus_is_unpacked(folder, monkeypatch):
    packed = bz2.compress(TEXT)
    source(monkeypatch, "wiki-excerpt", replace(SOURCES["wiki-excerpt"], sha256=sha256(packed)))
    folder.mkdir()
    (folder / "wiki-excerpt.xml.bz2").write_bytes(packed)
    corpus = load_corpus("wiki-excerpt")
    assert corpus.sha256 == sha256(TEXT)
    assert corpus.vocabulary.tokens == "bytes"


@pytest.mark.parametrize("piece", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("data", "offset"), [("aé€".encode() + b"\xffz", 6), ("aé€".encode()[:-1], 3), (b"\xe2\x82a", 0)]
)
def test_what_is_not_utf8_is_located(tmp_path, monkeypatch, piece, data, offset):
    monkeypatch.setattr(reading, "PIECE", piece)
    (tmp_path / "latin.txt").write_bytes(data)
    message = error(load_file, tmp_path / "latin.txt")
    assert f"at byte {offset} (line 1)" in message
    assert "(`tokens` bytes)" in message
    assert len(load_file(tmp_path / "latin.txt", "bytes").ids) == len(data)


@pytest.mark.parametrize("piece", [1, 5, 1000])
@pytest.mark.parametrize(("tokens", "dtype"), [("chars", np.uint32), ("bytes", np.uint8)])
def test_symbols_arrive_in_order(tmp_path, monkeypatch, piece, tokens, dtype):
    monkeypatch.setattr(reading, "PIECE", piece)
    with zipfile.ZipFile(tmp_path / "text.zip", "w") as archive:
        archive.writestr("text", TEXT)
    path = tmp_path / "text.zip"
    decoder = SymbolDecoder(tokens, path)
    arrays = [decoder.decode(piece) for piece in read_pieces(path, packed=True)]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    values = np.concatenate(arrays).tolist()
    assert values == (list(TEXT) if tokens == "bytes" else list(map(ord, TEXT.decode())))


def test_a_packed_corpus_that_changes_is_no_crash(folder, monkeypatch):
    packed = bz2.compress(TEXT)
    source(monkeypatch, "wiki-excerpt", replace(SOURCES["wiki-excerpt"], sha256=sha256(packed)))
    folder.mkdir()
    path = folder / "wiki-excerpt.xml.bz2"
    path.write_bytes(packed)
    monkeypatch.setattr(load, "check_digest", lambda *arguments, **options: path.write_bytes(packed[:-9]))
    assert "wiki-excerpt.xml.bz2 changed while it was being read" in error(load_corpus, "wiki-excerpt")


def test_a_zip_of_the_users_own_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "text.zip", "w") as archive:
        archive.writestr("text", TEXT)
    packed = (tmp_path / "text.zip").read_bytes()
    assert load_file(tmp_path / "text.zip", "bytes").sha256 == sha256(packed)
