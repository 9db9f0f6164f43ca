import numpy as np
import pytest
from corpora_fixtures import error, own_data_folder, sha256
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minigrid.data.corpora import cache, load, load_file, reading
from minigrid.data.vocabulary import Vocabulary


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    return own_data_folder(tmp_path, monkeypatch)


def cached_above(monkeypatch, size):
    monkeypatch.setattr(cache, "CACHED_ABOVE", size)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(min_size=1), piece=st.integers(1, 9), cached=st.booleans(), data=st.data())
def test_a_file_is_encoded_exactly(tmp_path, monkeypatch, text, piece, cached, data):
    tokens = data.draw(st.sampled_from(["chars", "bytes"]))
    monkeypatch.setattr(reading, "PIECE", piece)  # so that characters break between pieces
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


@pytest.mark.parametrize("size", [10, 10_000], ids=["cached", "small"])
@pytest.mark.parametrize("later", ["shorter", "longer than it was at first"])
def test_a_file_that_changes_while_it_is_read(tmp_path, folder, monkeypatch, size, later):
    cached_above(monkeypatch, size)
    path = tmp_path / "text.txt"
    path.write_text("a long enough text")
    survey_file = load.survey_file

    def survey_then_change(*arguments, **options):
        found = survey_file(*arguments, **options)
        path.write_text(later)
        return found

    monkeypatch.setattr(load, "survey_file", survey_then_change)
    assert "changed while it was being read: try again" in error(load_file, path)
    assert not list(folder.rglob("*.npy"))
