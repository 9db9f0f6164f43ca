"""Starting a run with the parameters of another one."""

import numpy as np
import pytest
from run_checks import (
    params_of,
)
from run_fixtures import (
    TEXT,
    same_bits,
    text_config,
    trained,
    write_text,
)

from minigrid import UserError
from minigrid.errors import Notice
from minigrid.runs import checkpoint, loop
from minigrid.runs.config import Config
from minigrid.runs.init_from import inherited
from minigrid.runs.loop import train
from minigrid.runs.start import resume_run, start_run


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder of one's own, and no pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loop, "_draw", lambda run, report: None)


@pytest.fixture
def data(tmp_path):
    return write_text(tmp_path)


def test_init_from_begins_with_the_very_parameters(tmp_path, data):
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
