from types import SimpleNamespace

import pytest
from run_fixtures import contents, done, refused, write_text

from minigrid.cli.commands import inspect
from minigrid.page import build


def test_the_picture_shows_as_much_as_can_be_read(capsys, empty_folder, monkeypatch):
    shown, figure = [], SimpleNamespace(savefig=lambda *file, **options: None)
    monkeypatch.setattr(build, "picture", lambda vocabulary, ids, trace: shown.append(len(ids)) or figure)
    for text in ("ab " * 100, "ab"):
        done(capsys, "inspect", "pretrained:toywiki-grid-1", "--text", text)
    assert shown == [inspect.PICTURED, 2]


@pytest.mark.parametrize("out", ["gates", "text.txt", "gates.png"])
def test_the_page_has_the_ending_of_one(capsys, empty_folder, out):
    words = f"--out {out} names the page: end it with .html; the picture is saved next to it"
    assert words in refused(capsys, "inspect", "pretrained:toywiki-grid-1", "--text=The", f"--out={out}")
    assert list(empty_folder.iterdir()) == []


def test_the_text_of_a_run_is_not_replaced(capsys, empty_folder):
    text = write_text(empty_folder, name="text.html")
    done(capsys, "train", f"--data={text}", "--batch=4", "--steps=6", "--hidden=8", "--max-steps=2", "--run=run")
    before = contents(empty_folder)
    for command in (["inspect", "run", "--text=No", "--out=text.html"], ["sample", "run", "--out=text.html"]):
        assert "would overwrite a file that the command reads" in refused(capsys, *command)
    assert "would overwrite a file of a run" in refused(capsys, "inspect", "run", "--text=No", "--out=run/loss.html")
    assert contents(empty_folder) == before
