import csv
import io

import numpy as np
import pytest

from minigrid.cli.character_table import header, rows, visible
from minigrid.data.vocabulary import Vocabulary


@pytest.mark.parametrize(
    ("character", "expected"),
    [
        ("a", "a"), ("é", "é"), ("😀", "😀"), ("ע", "ע"), ("#", "#"), ("'", "'"),
        (" ", "U+0020"), ("\t", "U+0009"), ('"', "U+0022"), ("\x1b", "U+001B"), ("\xa0", "U+00A0"),
        ("\u0301", "U+0301"), ("\u202e", "U+202E"), ("\udce9", "U+DCE9"), ("\U0010ffff", "U+10FFFF"),
    ],
)  # fmt: skip
def test_characters_that_would_not_show_become_codes(character, expected):
    assert visible(ord(character), "chars") == expected


@pytest.mark.parametrize(("byte", "expected"), [(97, "a"), (10, "0x0A"), (0x20, "0x20"), (0xC3, "0xC3"), (34, "0x22")])
def test_bytes_that_would_not_show_become_codes(byte, expected):
    assert visible(byte, "bytes") == expected


def test_every_table_can_be_read_back():
    symbols = [*range(0x3000), 0x1F600]
    text = rows(np.arange(len(symbols)), np.full(len(symbols), 0.5), 7, Vocabulary("chars", tuple(symbols)))
    lines = list(csv.reader(io.StringIO(header("character") + text), delimiter="\t"))
    assert lines[0] == ["position", "character", "probability", "nats"]
    assert lines[1] == ["7", "U+0000", "0.606531", "0.500000"]
    assert all(len(line) == 4 for line in lines)
    assert [line[1] for line in lines[1:]] == [visible(symbol, "chars") for symbol in symbols]
    assert len({line[1] for line in lines[1:]}) == len(symbols)
