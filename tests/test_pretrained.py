"""The models that come with the package."""

from pathlib import Path

import pytest
from run_fixtures import PROJECT, done, refused, write_text

from experiments.pretrained.run import EXPERIMENT, LARGEST_CHANGE
from minigrid import UserError, load
from minigrid.runs.checkpoint import read_checkpoint
from minigrid.runs.find import PRETRAINED_FOLDER
from minigrid.runs.start import resume_run

NAMES = sorted(file.stem for file in PRETRAINED_FOLDER.glob("*.npz"))
NAME = "toywiki-lstm-1"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_every_one_holds_parameters_and_how_they_were_made(name):
    checkpoint = read_checkpoint(f"pretrained:{name}")
    assert {key.split("/")[0] for key in checkpoint.arrays} == {"params"}
    assert checkpoint.path.stat().st_size < 400_000
    made = checkpoint.meta.made
    assert made["parameters"] == checkpoint.model().params.flat.size
    assert made["command"] in (PROJECT / "experiments/pretrained/README.md").read_text()
    assert abs(made["validation_loss"] - made["validation_loss_before_rounding"]) < LARGEST_CHANGE
    assert made["minutes"] > 0
    assert made["machine"]


def test_every_one_has_a_run_that_makes_it():
    assert set(NAMES) <= set(EXPERIMENT.runs)


def test_grid_and_lstm_have_the_same_size_within_a_hundredth():
    sizes = {name: load(f"pretrained:{name}")[0].params.flat.size for name in NAMES}
    for name, size in sizes.items():
        assert size == pytest.approx(sizes.get(name.replace("grid", "lstm"), size), rel=0.015)


def test_a_name_works_wherever_a_checkpoint_does(capsys):
    model, vocabulary = load(f"pretrained:{NAME}")
    assert model.params.flat.dtype == "float32"
    assert len(vocabulary) == model.vocab_size
    text = done(capsys, "sample", f"pretrained:{NAME}", "--length", "50", "--prime", "The [[")
    assert text.startswith("The [[")
    assert len(text) == len("The [[") + 50 + len("\n")


def test_its_loss_on_another_text_is_measured(capsys, tmp_path):
    data = write_text(tmp_path, "The [[sikom]] radek the dirvons.\n" * 20)
    assert "nats" in done(capsys, "eval", f"pretrained:{NAME}", "--data", data)


def test_the_message_on_an_unknown_name_lists_the_known_ones(capsys):
    message = refused(capsys, "sample", "pretrained:toywiki-lstm-9")
    assert "no pretrained model is called 'toywiki-lstm-9' (did you mean toywiki-lstm-" in message
    assert ", ".join(NAMES) in message


def test_it_cannot_be_resumed():
    words = f"pretrained:{NAME} is not the folder of a run .* start a new run with `init_from`"
    with pytest.raises(UserError, match=words):
        resume_run(Path(f"pretrained:{NAME}"))
