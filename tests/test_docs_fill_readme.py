"""The README's tables and the committed results."""

import pytest

from docs import fill_readme

README = "before\n<!-- speed -->\nold\n<!-- /speed -->\n<!-- results -->\n<!-- /results -->\nafter\n"


@pytest.fixture
def readme(tmp_path, monkeypatch):
    file = tmp_path / "README.md"
    file.write_text(README)
    monkeypatch.setattr(fill_readme, "README", file)
    return file


def fill(monkeypatch, *options):
    monkeypatch.setattr("sys.argv", ["fill_readme", *options])
    fill_readme.main()


def test_the_readme_matches_the_committed_results():
    assert fill_readme.outdated(fill_readme.README.read_text(encoding="utf-8")) == []


def test_all_places_are_filled(readme, monkeypatch):
    fill(monkeypatch)
    text = readme.read_text()
    assert text.startswith("before\n<!-- speed -->\n\n")
    assert "old" not in text
    assert "| training step | minigrid | PyTorch |" in text
    assert "| grid-6x128 | 972,745 | 3 |" in text
    assert "(experiments/depth_wiki/val_curves.png)\n\n<!-- /results -->\nafter\n" in text
    fill(monkeypatch, "--check")


def test_a_check_names_the_places_that_are_out_of_date_and_writes_nothing(readme, monkeypatch):
    fill(monkeypatch)
    changed = readme.read_text().replace("| grid-6x128 | 972,745 |", "| grid-6x128 | 1 |")
    readme.write_text(changed)
    with pytest.raises(SystemExit, match=r"out of date in README\.md: results; run `python -m docs\.fill_readme`"):
        fill(monkeypatch, "--check")
    assert readme.read_text() == changed
