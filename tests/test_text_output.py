import io
import sys
import warnings

import pytest

from minigrid import UserError
from minigrid.cli.text_output import RawOutput, TextOutput, escapes_noted, file_output, standard_output
from minigrid.errors import Notice


def stream(monkeypatch, encoding="utf-8", errors="strict"):
    made = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors, newline="")
    monkeypatch.setattr(sys, "stdout", made)
    return made


def test_raw_output_keeps_the_order_of_text_and_bytes(monkeypatch):
    made = stream(monkeypatch)
    output = standard_output()
    for piece in ("é", b"\xff", "b", b"\xc3"):
        output.write(piece)
    output.end()
    assert made.buffer.getvalue() == b"\xc3\xa9\xffb\xc3\n"


def test_text_output_shows_a_character_with_its_last_byte_and_a_broken_one_at_the_end():
    made = io.StringIO()
    output = TextOutput(made)
    seen = []
    for byte in "é😀".encode() + b"\xc3":
        output.write(bytes([byte]))
        seen.append(made.getvalue())
    assert seen == ["", "é", "é", "é", "é", "é😀", "é😀"]
    output.end()
    output.write(b"a")
    assert made.getvalue() == "é😀�\na"


def test_a_terminal_escapes_controls_and_another_stream_takes_text(monkeypatch):
    made = stream(monkeypatch)
    monkeypatch.setattr(made, "isatty", lambda: True)
    standard_output().write(b"a\x1b[1m\n")
    assert made.buffer.getvalue() == b"a\\x1b[1m\n"
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    standard_output().write(b"\xffa\x1b")
    assert sys.stdout.getvalue() == "�a\x1b"
    monkeypatch.setattr(sys, "stdout", None)
    standard_output().write("a")


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"

    def interrupted():
        with file_output(path) as output:
            output.write("a")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
    with file_output(path) as output:
        output.write("é\r\n")
        output.write(b"\xff")
    assert path.read_bytes() == b"\xc3\xa9\r\n\xff"
    with pytest.raises(UserError, match=r"cannot write .*: Is a directory"), file_output(tmp_path):
        pass


def test_lost_characters_are_noted_once(monkeypatch):
    made = stream(monkeypatch, "cp1252", "replace")

    def write():
        with escapes_noted():
            with escapes_noted():  # a command inside another one's care
                RawOutput(made).write("é☺")
            print("☺😀", end="", flush=True)

    with pytest.warns(Notice) as notes:
        write()
    assert made.buffer.getvalue() == b"\xe9\\u263a\\u263a\\U0001f600"
    assert made.errors == "replace"
    (note,) = [str(one.message) for one in notes]
    assert note == (
        "characters that cp1252, the encoding of the output, lacks were written as escapes such as \\u263a: "
        "'☺' (U+263A), '😀' (U+1F600); to write them as they are, set PYTHONIOENCODING=utf-8"
    )


@pytest.mark.parametrize("text", ["plain", "é☺"])
def test_nothing_is_noted_where_nothing_is_lost(monkeypatch, text):
    made = stream(monkeypatch)
    with warnings.catch_warnings(), escapes_noted():
        warnings.simplefilter("error")
        print(text, end="", flush=True)
    assert made.buffer.getvalue() == text.encode()
    monkeypatch.setattr(sys, "stdout", None)
    with escapes_noted():
        print(text)
