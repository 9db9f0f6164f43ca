import shutil
import subprocess

import pytest
from corpora_fixtures import own_data_folder

from minigrid.data.corpora import describe_oddities, load_file, oddities
from minigrid.data.corpora.encoding import encode_text

WINDOWS = "has the line ends of Windows (\\r\\n)"
MARKS = "has 1 x U+FEFF (a byte-order mark) inside it"
ZEROS = "has 2 x U+0000 (a zero byte)"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    return own_data_folder(tmp_path, monkeypatch)


@pytest.mark.parametrize("piece", [1, 2, 1000])
@pytest.mark.parametrize(
    ("text", "said", "mended"),
    [
        ("ab\ncd\n", [], ""),
        ("\ufeffab\n", [], ""),
        ("ab\r\ncd\r\n", [WINDOWS], "ab\ncd\n"),
        ("\r\n", [WINDOWS], "\n"),
        ("ab\rcd\r", ["has the line ends of old Macs (\\r alone)"], "ab\ncd\n"),
        ("ab\r\ncd\n", ["has mixed line ends (1 \\r\\n, 1 \\n alone)"], "ab\ncd\n"),
        ("a\n\rb\r\nc\r", ["has mixed line ends (1 \\r\\n, 2 \\r alone, 1 \\n alone)"], "a\n\nb\nc\n"),
        ("\ufeffab\n\ufeffcd\n", [MARKS], "ab\ncd\n"),
        ("one\0two\0three", [ZEROS], "onetwothree"),
        ("a\r\nb\r\n\ufeff\0and\0", [WINDOWS, MARKS, ZEROS], ""),
    ],
)
def test_odd_characters_are_described_and_can_be_mended(tmp_path, monkeypatch, text, said, mended, piece):
    monkeypatch.setattr(oddities, "_PIECE", piece)
    path = tmp_path / "my text.txt"
    path.write_bytes(text.encode())
    notes = describe_oddities(load_file(path))
    commands = []
    for note, what in zip(notes, said, strict=True):
        words, command, _ = note.split("`")
        assert words == f"{path} {what}, which the model will learn like any other character: mend the text with "
        commands.append(command)
    if len(commands) == 1 and shutil.which(commands[0].split()[0]):
        subprocess.run(commands[0], shell=True, check=True)
        corpus = load_file(tmp_path / "my text.mended.txt")
        assert corpus.vocabulary.decode(corpus.ids) == mended
        assert path.read_bytes() == text.encode()


def test_bytes_are_learnt_as_they_are(tmp_path):
    (tmp_path / "text.txt").write_bytes(b"\xef\xbb\xbfone\0two\r\n")
    assert describe_oddities(load_file(tmp_path / "text.txt", "bytes")) == []


def test_a_text_without_a_file_has_no_command():
    notes = describe_oddities(encode_text("text", "ab\r\n", "chars", "here"))
    assert notes == [f"here {WINDOWS}, which the model will learn like any other character"]
