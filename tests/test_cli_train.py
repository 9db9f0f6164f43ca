import signal

import pytest
from run_checks import stopping
from run_fixtures import TEXT, call, done, refused, write_text

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


def test_a_run_that_is_over_has_nothing_left_to_do(data, capsys):
    done(capsys, "train", "--data", data, *SMALL, "--max-steps=5", "--run=run")
    out = done(capsys, "train", "--run=run", "--resume", "--max-steps=3")
    assert out.startswith("nothing left to do: the run in run has done 5 steps already\n")


def test_the_first_line_says_what_is_trained_and_where(data, capsys):
    out = done(capsys, "train", "--data", data, *SMALL, "--max-steps=1", "--run=run")
    assert out.startswith(f"training in run ({data})\n")
    assert "done: 1 step (limit" in out
    out = done(capsys, "train", "--run=run", "--resume", "--max-steps=2")
    assert out.startswith(f"continuing run ({data}) from step 1\n")
    assert done(capsys, "train", "--task=addition", *SMALL[:2], "--max-steps=1").startswith(
        "training in runs/addition-grid-2x8 (addition of 2 digits)\n"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--optimizer=adam --alpha=0.9", "--alpha does not apply to --optimizer adam: leave it out"),
        ("--device=1", "--device 1 has no effect with --backend numpy: add --backend cupy, or leave it out"),
        ("--run=pretrained:x", "names a model that comes with minigrid: choose another folder for the --run"),
        ("--config=", "--config is empty: give a value, or leave it out"),
        ("--data=https://example.com/a.txt", "--data must be a file, not an address: download it first"),
        ("--data=pretrained:x", "--data must be a text, but pretrained:x is a model: start from it with --init-from"),
    ],
)
def test_options_that_would_be_ignored_or_misread(data, capsys, options, words):
    own = [] if "--data" in options else ["--data", data]
    assert words in refused(capsys, "train", *own, *SMALL, *options.split())


@pytest.mark.parametrize("command", ["sample", "eval", "inspect"])
def test_the_number_of_a_gpu_without_one_is_refused(capsys, command):
    words = "--device 1 has no effect with --backend numpy"
    assert words in refused(capsys, command, "pretrained:toywiki-grid-1", "--device=1")


def test_a_text_that_has_moved_can_be_named(data, capsys):
    done(capsys, "train", "--data", data, *SMALL, "--max-steps=2", "--run=run")
    moved = data.rename(data.with_name("moved.txt"))
    again = ["train", "--run=run", "--resume", "--max-steps=3"]
    words = f"the text of run is no longer at {data}: if it has moved, name its new place with --data"
    assert words in refused(capsys, *again)
    done(capsys, *again, "--data", moved)
