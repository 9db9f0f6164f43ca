import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import UserError

KINDS = ("chars", "bytes")


@given(st.text(), st.sampled_from(KINDS))
def test_text_survives_encoding_decoding_and_streaming(text, tokens):
    vocabulary = Vocabulary.from_text(text, tokens)
    ids = vocabulary.encode(text)
    decoder = vocabulary.decoder()
    assert ids.dtype == np.int32
    assert vocabulary.decode(ids) == text
    assert "".join(decoder.feed(symbol) for symbol in ids) == text


def test_ids_are_positions_in_ascending_order():
    vocabulary = Vocabulary.from_text("banana€", "chars")
    assert vocabulary.symbols == (ord("a"), ord("b"), ord("n"), 0x20AC)
    assert len(vocabulary) == 4
    assert vocabulary.encode("ban€").tolist() == [1, 0, 2, 3]


def test_bytes_are_the_utf8_encoding():
    vocabulary = Vocabulary.from_text("€", "bytes")
    assert vocabulary.symbols == (0x82, 0xAC, 0xE2)
    assert vocabulary.encode("€").tolist() == [2, 0, 1]


def test_a_character_of_several_bytes_comes_out_whole():
    vocabulary = Vocabulary.from_text("a€", "bytes")
    decoder = vocabulary.decoder()
    assert [decoder.feed(symbol) for symbol in vocabulary.encode("€a")] == ["", "", "€", "a"]


def test_bytes_that_are_not_utf8_are_replaced():
    vocabulary = Vocabulary("bytes", (0x41, 0xE2))
    assert vocabulary.decode([1, 0]) == "\ufffdA"
    decoder = vocabulary.decoder()
    assert decoder.feed(1) + decoder.feed(0) == "\ufffdA"


@pytest.mark.parametrize("tokens", KINDS)
def test_unknown_characters_are_named(tokens):
    vocabulary = Vocabulary.from_text("abc", tokens)
    assert vocabulary.unknown("aéb\né") == ["é", "\n"]
    with pytest.raises(UserError) as problem:
        vocabulary.encode("aéb\né")
    assert "2 characters" in str(problem.value)
    assert "'é' (U+00E9), '\\n' (U+000A)" in str(problem.value)


def test_unknown_characters_can_be_left_out():
    vocabulary = Vocabulary.from_text("abc")
    unknown = vocabulary.unknown("a-b-c")
    assert vocabulary.encode("".join(c for c in "a-b-c" if c not in unknown)).tolist() == [0, 1, 2]


@pytest.mark.parametrize("tokens", KINDS)
def test_a_lone_surrogate_is_unknown_not_a_crash(tokens):
    with pytest.raises(UserError, match=r"U\+DCE9"):
        Vocabulary.from_text("abc", tokens).encode("a\udce9")


def test_a_long_list_of_unknown_characters_is_cut_short():
    with pytest.raises(UserError, match="and 18 more"):
        Vocabulary.from_text("0").encode("abcdefghijklmnopqrstuvwxyz")


@pytest.mark.parametrize("tokens", KINDS)
def test_json_gives_the_same_vocabulary(tokens):
    vocabulary = Vocabulary.from_text("naïve €\n", tokens)
    saved = json.loads(json.dumps(vocabulary.to_json()))
    assert Vocabulary.from_json(saved) == vocabulary


@pytest.mark.parametrize(
    ("tokens", "symbols"),
    [
        ("words", (1,)),
        (["chars"], (1,)),
        ("chars", (2, 1)),
        ("chars", (1, 1)),
        ("bytes", (256,)),
        ("chars", (-1,)),
        ("chars", (0x110000,)),
        ("chars", (1, 0xD800)),
        ("chars", (0xDFFF, 0xE000)),
        ("chars", (0.0, 1)),
        ("chars", (True,)),
        ("bytes", (float("nan"),)),
        ("bytes", (1, 10**400)),
        ("bytes", (1, 1e400)),
        ("chars", ("a",)),
        ("chars", (None,)),
        ("chars", (np.int64(1),)),
        ("chars", [1]),
        ("chars", "a"),
        ("chars", 1),
        ("chars", None),
    ],
)
def test_invalid_vocabularies_are_refused(tokens, symbols):
    with pytest.raises(UserError, match=r"\.$"):
        Vocabulary(tokens, symbols)


def test_the_neighbours_of_the_surrogates_are_characters():
    vocabulary = Vocabulary("chars", (0xD7FF, 0xE000, 0x10FFFF))
    assert vocabulary.decode(range(3)) == "\ud7ff\ue000\U0010ffff"


@pytest.mark.parametrize("tokens", KINDS)
def test_a_text_with_a_lone_surrogate_has_no_vocabulary(tokens):
    with pytest.raises(UserError, match=r"has a lone surrogate, '\\udce9' \(U\+DCE9\), which is no character"):
        Vocabulary.from_text("a\udce9", tokens)


@pytest.mark.parametrize(
    "saved",
    [None, [], {}, {"tokens": "chars"}, {"tokens": "chars", "symbols": 1}, {"tokens": "chars", "symbols": "ab"},
     {"tokens": "chars", "symbols": [1], "more": 1}, {"tokens": None, "symbols": [1]},
     {"tokens": "chars", "symbols": [[]]}],
)  # fmt: skip
def test_json_that_is_no_vocabulary(saved):
    with pytest.raises(UserError, match=r"\.$"):
        Vocabulary.from_json(saved)


def test_missing_symbols_are_listed():
    one, two = Vocabulary.from_text("abc\n"), Vocabulary.from_text("abé")
    assert one.lacking(two) == "'é' (U+00E9)"
    assert two.lacking(one) == "'\\n' (U+000A), 'c' (U+0063)"
    assert one.lacking(one) == ""
    assert Vocabulary("bytes", (1,)).lacking(Vocabulary("bytes", (1, 0xE9))) == "0xE9"
