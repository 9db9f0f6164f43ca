import contextlib
import os

import pytest
from run_fixtures import contents

from minigrid import UserError
from minigrid.cli.outputs import output


def test_a_file_is_written_whole(tmp_path):
    file = tmp_path / "page.html"
    file.write_text("old")
    with output(file) as temporary:
        temporary.write_text("new")
        assert file.read_text() == "old"
    assert contents(tmp_path) == {"page.html": b"new"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model.npz", "--out .*model.npz would be taken for a checkpoint: choose another ending than .npz"),
        ("new.NPZ", "would be taken for a checkpoint"),
        ("renamed", "--out .*renamed would overwrite a checkpoint: choose another file"),
        ("run/config.json", "--out .*config.json would overwrite a file of a run: choose another file"),
        ("link", "--out .*link would overwrite a file of a run"),
        ("pipe", "cannot write .*pipe: it is a pipe or a device, not a plain file"),
        ("folder", "cannot write .*folder: Is a directory"),
        ("none/file", "cannot write .*file: there is no folder .*none"),
    ],
)
def test_files_that_are_not_replaced(tmp_path, name, words):
    for checkpoint in ("model.npz", "renamed"):
        (tmp_path / checkpoint).write_bytes(b"PK\x03\x04...")
    (tmp_path / "run").mkdir()
    for record in ("config.json", "metrics.jsonl", "last.npz"):
        (tmp_path / "run" / record).write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "run" / "metrics.jsonl")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(UserError, match=words), output(tmp_path / name):
        raise AssertionError("nothing may be written")
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "model.npz").read_bytes() == b"PK\x03\x04..."


def test_a_file_that_the_command_reads_is_not_replaced(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("mine")
    (tmp_path / "link").symlink_to("text.txt")
    for path in (text, tmp_path / "link"):
        with (
            pytest.raises(UserError, match="overwrite a file that the command reads"),
            output(path, inputs=[text]),
        ):
            raise AssertionError("nothing may be written")
    with output(tmp_path / "other", inputs=[text, tmp_path / "gone"]) as temporary:
        temporary.write_text("new")
    assert text.read_text() == "mine"


def test_the_picture_of_a_run_is_not_replaced(tmp_path):
    for name in ("last.npz", "loss.png"):
        (tmp_path / name).write_text("")
    with pytest.raises(UserError, match="would overwrite a file of a run"), output(tmp_path / "loss.png"):
        raise AssertionError("nothing may be written")


def test_a_link_to_itself_is_no_traceback(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with contextlib.suppress(UserError), output(tmp_path / "loop") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "loop").is_symlink() or (tmp_path / "loop").read_text() == "new"
