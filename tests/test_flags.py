import pytest

from minigrid.cli.flags import flag, with_flags

FLAGS = {"top_k": "--top-k", "hidden": "--hidden", "vocab_size": "--vocabulary", "skip_unknown": "--oov skip"}


@pytest.mark.parametrize(
    ("name", "option"), [("lr", "--lr"), ("val_fraction", "--val-fraction"), ("lr_decay_after", "--lr-decay-after")]
)
def test_the_usual_option_for_a_parameter(name, option):
    assert flag(name) == option


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("`top_k` must be at least 1", "--top-k must be at least 1"),
        ("raise `top_k`, or lower `hidden`.", "raise --top-k, or lower --hidden."),
        ("`vocab_size` must be from 1", "--vocabulary must be from 1"),
        ("remove them, or use `skip_unknown`", "remove them, or use --oov skip"),
        ("broken.npz: `hidden` 3", "broken.npz: --hidden 3"),
    ],
)
def test_parameters_become_options(message, shown):
    assert with_flags(message, FLAGS) == shown


@pytest.mark.parametrize(
    "message",
    [
        "",
        "hidden, top_k and vocab_size",
        "`steps` must be at least 1",  # the command has no such option
        "run `pip uninstall minigrid`, or `nvidia-smi`",
        "`Hidden` and `top-k` and `hidden = 3`",
        "a ` alone, and two ``",
    ],
)
def test_everything_else_stays_as_it_is(message):
    assert with_flags(message, FLAGS) == message


def test_a_command_without_options_changes_nothing():
    assert with_flags("`hidden` must be at least 1", {}) == "`hidden` must be at least 1"
