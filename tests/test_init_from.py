"""Starting a run with the parameters of another one."""

import numpy as np
import pytest
from run_checks import (
    params_of,
)
from run_fixtures import (
    TEXT,
    call,
    done,
    refused,
    same_bits,
    text_config,
    trained,
    write_text,
)

from minigrid import CharModel, UserError
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import Notice
from minigrid.runs import checkpoint
from minigrid.runs.checkpoint_format import Meta
from minigrid.runs.config import Config
from minigrid.runs.init_from import inherited
from minigrid.runs.loop import train
from minigrid.runs.start import resume_run, start_run

pytestmark = pytest.mark.usefixtures("empty_folder", "no_pictures")


def test_init_from_starts_with_the_same_parameters(tmp_path, data):
    old = trained(tmp_path / "old", text_config(data, max_steps=50, lr=0.05))
    run = start_run(text_config(data, seed=7, lr=0.1), tmp_path / "new", init_from=str(tmp_path / "old" / "last.npz"))
    assert run.model.params.flat.tobytes() == old.model.params.flat.tobytes()
    assert not np.isclose(run.model.params["depth.bias"][8:16], 1, atol=0.09).all()  # trained, not set to 1 anew
    assert run.step.number == 0
    assert all((array == 0).all() for name, array in run.step.state_dict().items() if name.startswith("optimizer/"))


def test_inherited_parameters_are_measured_first_and_kept_if_nothing_is_better(tmp_path, data):
    old = trained(tmp_path / "old", text_config(data, max_steps=300, eval_every=50))
    run = start_run(text_config(data, max_steps=9, lr=1.0), tmp_path / "run", init_from=str(tmp_path / "old"))
    train(run)
    first, *others = (record for record in run.state.metrics if record["split"] == "val")
    assert (first["step"], first["loss"]) == (0, pytest.approx(old.state.best, rel=1e-6))
    assert all(record["loss"] > first["loss"] for record in others)
    assert same_bits(params_of(tmp_path / "run" / "best.npz"), params_of(tmp_path / "old" / "best.npz"))


@pytest.mark.filterwarnings("error")
def test_init_from_holds_out_what_was_held_out(tmp_path, data):
    held_out = {"split": "stripes", "val_fraction": 0.2, "test_fraction": 0.1, "batch": 7}
    trained(tmp_path / "old", text_config(data, **held_out, max_steps=2))
    old = checkpoint.read_checkpoint(tmp_path / "old")
    again = start_run(Config(**inherited(old, {}), backend="numpy"), tmp_path / "again", str(tmp_path / "old"))
    for part in ("train", "val"):
        assert_same_targets(getattr(again.task, part), getattr(resume_run(tmp_path / "old").task, part))
    assert not held_out.keys() & inherited(old, {"data": "another.txt"}).keys()


@pytest.mark.parametrize("other", [{"steps": 4}, {"batch": 3}, {"val_fraction": 0.3}, {"split": "tail"}])
def test_init_from_warns_if_another_part_is_held_out(tmp_path, data, other):
    held_out = {"split": "stripes", "val_fraction": 0.2}
    trained(tmp_path / "old", text_config(data, **held_out, max_steps=2))
    words = "was trained on the same text, split by `split` stripes, `val_fraction` 0.2, `test_fraction` 0.0, `batch` 4"
    with pytest.warns(Notice, match=words):
        start_run(text_config(data, **held_out | other), tmp_path / "new", str(tmp_path / "old"))


def assert_same_targets(one, other):
    assert len(one) == len(other)
    for index in range(len(one)):
        assert np.array_equal(one.minibatch(0, index)[1], other.minibatch(0, index)[1])


def test_init_from_refuses_another_vocabulary(tmp_path, data):
    trained(tmp_path / "old", text_config(data, max_steps=3))
    other = write_text(tmp_path, TEXT.replace("é", "ê"), "other.txt")
    with pytest.raises(UserError, match=r"only in the model's: 'é' \(U\+00E9\); only in the text's: 'ê'"):
        start_run(text_config(other), tmp_path / "new", init_from=str(tmp_path / "old"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "other", [{"hidden": 9}, {"layers": 1}, {"layers": 3}, {"tie": "none"}, {"model": "lstm"}, {"model": "gru"}]
)
def test_init_from_refuses_another_model(tmp_path, data, other):
    trained(tmp_path / "old", text_config(data, max_steps=3))
    with pytest.raises(UserError, match="does not fit the model: "):
        start_run(text_config(data, **other), tmp_path / "new", init_from=str(tmp_path / "old"))
    assert not (tmp_path / "new").exists()


def test_a_model_of_another_kind_takes_over_its_size_only(tmp_path, data):
    old = checkpoint.read_checkpoint(trained(tmp_path / "old", text_config(data, tie="none", max_steps=2)).folder)
    cell = {"tie", "priority", "lstm_output", "embedding"}
    assert inherited(old, {})["tie"] == "none"
    assert inherited(old, {"model": "grid"}).keys() >= cell
    assert not inherited(old, {"model": "lstm"}).keys() & cell
    assert inherited(old, {"model": "lstm"})["hidden"] == 8


def test_the_embedding_is_taken_over_if_it_has_a_size_of_its_own(tmp_path, data):
    for embedding in (None, 0, 3):
        run = trained(tmp_path / f"old{embedding}", text_config(data, model="lstm", embedding=embedding, max_steps=2))
        assert inherited(checkpoint.read_checkpoint(run.folder), {})["embedding"] == embedding


def test_a_run_begins_with_a_model_that_no_run_wrote(tmp_path, data, capsys):
    model = CharModel("lstm", vocab_size=len(set(TEXT)), hidden=5, layers=1, lstm_output="paper", seed=9)
    meta = Meta(model=model.options, vocabulary=Vocabulary.from_text(TEXT))
    file = tmp_path / "model.npz"
    checkpoint.write_checkpoint(file, checkpoint.model_arrays(model), meta)
    sizes = ["--batch=4", "--steps=6", "--max-steps=1", "--run=r"]
    out = done(capsys, "train", "--init-from", file, "--data", data, *sizes)
    assert f"settings from {file}: --model lstm --hidden 5 --layers 1 --lstm-output paper" in out
    taken = resume_run(tmp_path / "r").model.options
    assert (taken.hidden, taken.lstm_output, taken.embedding) == (5, "paper", 5)
    assert "holds a model only and does not say what it was trained on: name a text with --data" in refused(
        capsys, "eval", file
    )
    assert "bits per character" in done(capsys, "eval", file, "--data", data)
    assert len(done(capsys, "sample", file, "--length=10")) == 11


def test_the_note_on_another_split_is_one_line(tmp_path, data, capsys):
    trained(tmp_path / "old", text_config(data, max_steps=2))
    arguments = ["--init-from=old", "--data", data, "--batch=4", "--steps=6", "--val-fraction=0.2", "--max-steps=1"]
    outcome = call(capsys, "train", *arguments, "--backend=numpy", "--run=new")
    assert outcome.code == 0
    assert outcome.err == (
        f"note: {tmp_path / 'old' / 'best.npz'} was trained on the same text, split by --split tail, --val-fraction "
        "0.05, --test-fraction 0.0: use the same settings, or the validation text will contain text that the model was "
        "trained on\n"
    ).replace(f"{tmp_path}/", "")
