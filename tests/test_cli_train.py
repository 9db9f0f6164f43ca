import signal

import pytest
from run_checks import stopping
from run_fixtures import TEXT, call, done, write_text

pytestmark = pytest.mark.usefixtures("empty_folder", "no_pictures")

SMALL = ["--hidden=8", "--batch=4", "--steps=6", "--backend=numpy"]


def test_commands_to_copy_are_quoted(tmp_path, capsys):
    text = write_text(tmp_path, TEXT, "my text.txt")
    with stopping(7, signal.SIGINT):
        found = call(capsys, "train", "--data", text, *SMALL, "--run", "my run")
    assert found.code == 130
    assert found.err.endswith("to continue: python -m minigrid train --run 'my run' --resume\n")
    assert f"--data '{text}'" in done(capsys, "train", "--init-from", "my run", "--run=new", "--max-steps=1")
    out = done(capsys, "train", "--run", "my run", "--resume", "--max-steps=8")
    assert out.endswith("to write with it: python -m minigrid sample 'my run'\n")


def test_a_run_that_ends_with_its_last_epoch_was_not_limited(data, capsys):
    out = done(capsys, "train", "--data", data, *SMALL, "--epochs=1", "--max-steps=500")
    assert "done: 82 steps; best validation loss" in out
