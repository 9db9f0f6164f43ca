import shutil

import pytest
from run_fixtures import contents, done, refused

from minigrid.data.corpora import CORPORA
from minigrid.runs.find import PRETRAINED_FOLDER


@pytest.fixture(autouse=True)
def here(small_runs):
    return small_runs


def lines_of(text, name):
    return [line for line in text.splitlines() if line.split()[:1] == [name]]


def test_it_lists_models_corpora_and_runs(capsys, here):
    before = contents(here)
    text = done(capsys, "list", "--runs=.")
    for file in PRETRAINED_FOLDER.glob("*.npz"):
        assert len(lines_of(text, f"pretrained:{file.stem}")) == 1
    for name in CORPORA:
        assert len(lines_of(text, name)) == 1
    (line,) = lines_of(text, "chars")
    assert line.split()[1:7] == ["grid", "2", "x", "8", "text.txt", "30"]
    assert lines_of(text, "addition")[0].split()[5] == "addition"
    assert contents(here) == before


def test_without_runs_it_says_how_to_make_one(capsys, here):
    assert done(capsys, "list").endswith("\nRuns in runs (losses in nats):\n  none; `minigrid train` makes one\n")
    (here / "runs").mkdir()
    shutil.move("chars", "runs/chars")
    assert len(lines_of(done(capsys, "list"), "runs/chars")) == 1


def test_runs_that_cannot_be_read_get_a_line_with_the_reason(capsys, here):
    (here / "chars" / "last.npz").write_bytes(b"PK\x03\x04 and rubbish")
    (here / "new\x1b[31m").mkdir()
    (here / "new\x1b[31m" / "config.json").write_text("{}")
    text = done(capsys, "list", "--runs=.")
    assert "chars/last.npz is cut off or damaged: delete it to use best.npz in the same folder" in text
    assert "  new\\x1b[31m  has saved no checkpoint yet\n" in text
    assert len(lines_of(text, "bytes")) == 1


def test_a_folder_that_is_not_there(capsys):
    assert "--runs missing is not a folder: give one that holds runs" in refused(capsys, "list", "--runs=missing")
    assert "--runs text.txt is not a folder" in refused(capsys, "list", "--runs=text.txt")
