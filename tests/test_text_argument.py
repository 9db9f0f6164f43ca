import warnings

import pytest

from minigrid import UserError
from minigrid.cli.text_argument import argument_ids
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import Notice

HINT = r"`prime` contains \\n, a backslash and an n"


@pytest.mark.parametrize("known", ["abn", "abn\\"])
def test_there_is_no_hint_where_the_model_knows_no_line_break(known):
    vocabulary = Vocabulary.from_text(known)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if "\\" in known:
            assert len(argument_ids("a\\n", "prime", vocabulary)) == 3
        else:
            with pytest.raises(UserError, match=r"`prime`: '\\\\' \(U\+005C\); remove them"):
                argument_ids("a\\n", "prime", vocabulary)


def test_the_hint_is_an_error_where_the_model_knows_no_backslash_and_a_note_elsewhere():
    with pytest.raises(UserError, match=HINT):
        argument_ids("a\\nb", "prime", Vocabulary.from_text("abn\n"))
    with pytest.warns(Notice, match=HINT):
        assert len(argument_ids("a\\nb", "prime", Vocabulary.from_text("abn\n\\"))) == 4
    with pytest.warns(Notice) as notes:
        assert len(argument_ids("a\\nb", "prime", Vocabulary.from_text("abn\n"), skip_unknown=True)) == 3
    assert [str(note.message).split()[0] for note in notes] == ["`prime`", "skipped"]
