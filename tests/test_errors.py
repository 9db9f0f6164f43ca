import pytest

from minigrid.errors import UserError, closest, did_you_mean, named, shown

WORDS = ("grid", "lstm", "gru", "rnn", "top-k")


@pytest.mark.parametrize(
    ("word", "known"), [("gird", "grid"), ("LSTMs", None), ("lsmt", "lstm"), ("", None), ("stop", None)]
)
def test_the_closest_word(word, known):
    assert closest(word, WORDS) == known
    assert did_you_mean(word, WORDS) == (f" (did you mean {known}?)" if known else "")


def test_a_user_error_is_a_value_error():
    assert issubclass(UserError, ValueError)


def test_a_value_is_shown_in_a_readable_length():
    assert shown("a'b") == repr("a'b")
    assert shown("x" * 100) == "'" + "x" * 59 + "..."
    assert shown(10**10_000) == "a huge int"
    nested = []
    for _ in range(100_000):
        nested = [nested]
    assert shown(nested).startswith(("[[", "a huge list"))


def test_a_name_from_a_file_is_shown_on_one_line_in_a_readable_length():
    assert named("decoder.bias") == "decoder.bias"
    assert named("a\x1b[2J\nb\u202e") == r"a\x1b[2J\nb\u202e"
    assert named("é" * 100) == "é" * 60 + "..."
