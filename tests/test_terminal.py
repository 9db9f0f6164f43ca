import unicodedata

from minigrid.cli.terminal import LONGEST, one_line, printable, shortened


def test_control_characters_are_escaped():
    assert one_line("a\x1b[2Jb\n\t\x07\u202e\x9b") == r"a\x1b[2Jb\n\t\x07\u202e\x9b"
    assert printable("a\x1b[2Jb\n\tc\r") == "a\\x1b[2Jb\n\tc\\r"


def test_every_control_character_of_unicode_is_covered_and_no_letter_is():
    for code in range(0x110000):
        char = chr(code)
        if unicodedata.category(char) == "Cc":
            assert one_line(char) != char
            assert (printable(char) == char) == (char in "\n\t")
    assert one_line("Été 😀 ‘x’ ע") == "Été 😀 ‘x’ ע"


def test_a_very_long_message_keeps_its_two_ends():
    assert shortened("x" * LONGEST) == "x" * LONGEST
    short = shortened(f"no such file: {'x' * 10_000}: check the path")
    assert short.startswith("no such file: xxx")
    assert short.endswith("xxx: check the path")
    assert len(short) <= LONGEST
