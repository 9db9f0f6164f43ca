import pytest

from minigrid.errors import UserError, closest, did_you_mean

WORDS = ("grid", "lstm", "gru", "rnn")


@pytest.mark.parametrize(("word", "known"), [("gird", "grid"), ("LSTMs", None), ("lsmt", "lstm"), ("", None)])
def test_the_closest_word(word, known):
    assert closest(word, WORDS) == known
    assert did_you_mean(word, WORDS) == (f" (did you mean {known}?)" if known else "")


def test_a_user_error_is_a_value_error():
    assert issubclass(UserError, ValueError)
