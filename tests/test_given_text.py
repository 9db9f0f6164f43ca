import os

import numpy as np
import pytest

from minigrid import UserError
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import Notice
from minigrid.runs import given_text
from minigrid.runs.given_text import from_argument, ids_of, read_text, text_of

CHARS = Vocabulary.from_text("abé😀\n")
BYTES = Vocabulary("bytes", (10, 97, 98, 0xA9, 0xC3, 0xFF))


@pytest.mark.parametrize(
    ("text", "vocabulary"), [("aé😀b\n", CHARS), ("", CHARS), (b"a\xc3\xa9\xff\xc3\n", BYTES), (b"", BYTES)]
)
def test_a_text_survives_the_way_there_and_back(text, vocabulary):
    ids = ids_of(text, vocabulary, "prime")
    assert (ids.dtype, len(ids)) == (np.int32, len(text))
    assert text_of(ids, vocabulary) == text


@pytest.mark.parametrize(
    ("text", "vocabulary", "words", "rest"),
    [
        ("xaé", CHARS, "'x' (U+0078)", "aé"),
        ("b\udce9", CHARS, "the byte 0xE9", "b"),
        ("0123456789a", CHARS, "'7' (U+0037) and 2 more", "a"),
        ("aèb".encode(), BYTES, "'è' (U+00E8)", b"ab"),  # the whole character goes
        (b"a\xfe\xff", BYTES, "the byte 0xFE", b"a\xff"),
    ],
)
def test_unknown_characters_are_named_or_skipped(text, vocabulary, words, rest):
    with pytest.raises(UserError) as error:
        ids_of(text, vocabulary, "prime")
    assert "does not know some characters of `prime`: " in str(error.value)
    assert f"{words}; remove them, or skip them (`skip_unknown`)" in str(error.value)
    with pytest.warns(Notice) as notes:
        ids = ids_of(text, vocabulary, "prime", skip_unknown=True)
    assert text_of(ids, vocabulary) == rest
    assert str(notes[0].message).endswith(words)


def test_an_argument_keeps_its_bytes():
    assert from_argument(os.fsdecode(b"a\xe9\xc3\xa9"), "bytes") == b"a\xe9\xc3\xa9"
    assert from_argument("aé", "chars") == "aé"


def test_a_file_is_read_in_the_model_s_way(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbf\xef\xbb\xbf\xc3\xa9\r\n")
    assert read_text(path, "prime_file", "chars") == "\ufeffé\r\n"
    assert read_text(path, "prime_file", "bytes") == path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbfab\xe9")
    with pytest.raises(UserError, match=r"a\.txt is not UTF-8 at byte 5 \(line 1\)"):
        read_text(path, "prime_file", "chars")


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=r"cannot read `prime_file` .*: it is a pipe or a device"):
        read_text(tmp_path / "pipe", "prime_file", "chars")
    (tmp_path / "large").write_bytes(b"abc")
    monkeypatch.setattr(given_text, "MOST", 2)
    with pytest.raises(UserError, match=r"cannot read `prime_file` .*: it is larger than"):
        read_text(tmp_path / "large", "prime_file", "chars")
