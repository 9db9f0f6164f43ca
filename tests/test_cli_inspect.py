from types import SimpleNamespace

from run_fixtures import done

from minigrid.cli.commands import inspect
from minigrid.page import build


def test_the_picture_shows_as_much_as_can_be_read(capsys, empty_folder, monkeypatch):
    shown, figure = [], SimpleNamespace(savefig=lambda *file, **options: None)
    monkeypatch.setattr(build, "picture", lambda vocabulary, ids, trace: shown.append(len(ids)) or figure)
    for text in ("ab " * 100, "ab"):
        done(capsys, "inspect", "pretrained:toywiki-grid-1", "--text", text)
    assert shown == [inspect.PICTURED, 2]
