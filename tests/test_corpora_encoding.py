import numpy as np
import pytest
from corpora_fixtures import error, own_data_folder, sha256
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from minigrid.data.corpora import cache, load, load_file, reading
from minigrid.data.vocabulary import Vocabulary


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    return own_data_folder(tmp_path, monkeypatch)


def cached_above(monkeypatch, size):
    monkeypatch.setattr(cache, "CACHED_ABOVE", size)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
    lambda text: text != "\ufeff"
)


@pytest.mark.filterwarnings("ignore::minigrid.errors.Notice")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS, piece=st.integers(1, 9), cached=st.booleans(), tokens=st.sampled_from(["chars", "bytes"]))
@example(text="\ufeffa\ufeffb", piece=1, cached=True, tokens="chars")
@example(text="\ufeffa\ufeffb", piece=5, cached=False, tokens="chars")
@example(text="\ufeffa\ufeffb", piece=2, cached=True, tokens="bytes")
def test_a_file_is_encoded_exactly(tmp_path, monkeypatch, text, piece, cached, tokens):
    monkeypatch.setattr(reading, "PIECE", piece)  # so that characters break between pieces
    cached_above(monkeypatch, 0 if cached else 10_000)
    path = tmp_path / f"{sha256(text.encode())}.txt"  # examples follow each other within one tick of the clock
    path.write_bytes(text.encode())
    read = text.removeprefix("\ufeff") if tokens == "chars" else text  # one byte-order mark is no part of the text
    for _ in range(2):
        corpus = load_file(path, tokens)
        assert corpus.vocabulary == Vocabulary.from_text(read, tokens)
        np.testing.assert_array_equal(corpus.ids, corpus.vocabulary.encode(read))
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


def changes_after_survey(monkeypatch, change):
    survey_file = load.survey_file

    def survey_then_change(*arguments, **options):
        found = survey_file(*arguments, **options)
        change()
        return found

    monkeypatch.setattr(load, "survey_file", survey_then_change)


@pytest.mark.parametrize("replaced", [False, True], ids=["in place", "by another file"])
@pytest.mark.parametrize("size", [10, 10_000], ids=["cached", "small"])
@pytest.mark.parametrize("tokens", ["chars", "bytes"])
@pytest.mark.parametrize(
    "later",
    [
        b"shorter",
        b"longer than it was at first",
        b"a long enough te\xc3\xa9",
        b"a lomg emough text",
        b"text enough long a",
    ],
    ids=["shorter", "longer", "shorter in characters", "new characters", "the same characters"],
)
def test_a_file_that_changes_while_it_is_read(tmp_path, folder, monkeypatch, later, tokens, size, replaced):
    cached_above(monkeypatch, size)
    path, other = tmp_path / "text.txt", tmp_path / "other.txt"
    path.write_text("a long enough text")
    other.write_bytes(later)
    change = (lambda: other.rename(path)) if replaced else (lambda: path.write_bytes(later))
    # the time stamps of a file system are coarse: let this change leave none
    entry = cache.entry_of(path, tokens, None)
    monkeypatch.setattr(cache, "entry_of", lambda *arguments: entry)
    changes_after_survey(monkeypatch, change)
    assert "changed while it was being read: try again" in error(load_file, path, tokens)
    assert not list(folder.rglob("*.npy"))


@pytest.mark.parametrize("size", [10, 10_000], ids=["cached", "small"])
def test_a_file_that_is_no_utf8_any_more_has_changed(tmp_path, monkeypatch, size):
    cached_above(monkeypatch, size)
    path = tmp_path / "text.txt"
    path.write_text("a long enough text")
    changes_after_survey(monkeypatch, lambda: path.write_bytes(b"a long enough te\xff"))
    assert "changed while it was being read: try again" in error(load_file, path)


def test_a_file_that_changes_before_it_is_read_is_not_kept_under_its_old_name(tmp_path, folder, monkeypatch):
    cached_above(monkeypatch, 10)
    path = tmp_path / "text.txt"
    path.write_text("a long enough text")
    survey_file = load.survey_file

    def change_then_survey(*arguments, **options):
        path.write_text("another long text")
        return survey_file(*arguments, **options)

    monkeypatch.setattr(load, "survey_file", change_then_survey)
    corpus = load_file(path)
    assert corpus.vocabulary.decode(corpus.ids) == "another long text"
    assert not folder.exists()
