"""Tables, and places in Markdown pages."""

import pytest

from docs.markdown import fill, filled, table


def test_a_table():
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_the_text_around_a_place_stays_as_it_is(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- here -->\nold\n<!-- /here -->\nafter\n")
    for _ in range(2):
        fill(page, "here", "new \\1")
    assert page.read_text() == "before\n<!-- here -->\n\nnew \\1\n\n<!-- /here -->\nafter\n"


def test_a_page_must_have_a_place_once():
    place = "<!-- here -->\n<!-- /here -->\n"
    for page, count in (("", 0), (2 * place, 2)):
        with pytest.raises(ValueError, match=f"<!-- here --> ... <!-- /here --> once, not {count} times"):
            filled(page, "here", "new")
