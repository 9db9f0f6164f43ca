import os

import numpy as np
import pytest
from run_fixtures import contents, done, no_space, write_text

import minigrid
from minigrid import CharModel, TrainStep, UserError, Vocabulary, load, save

TEXT = "hello world, this is a text of a few symbols\n" * 40


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_text(tmp_path, TEXT)
    vocabulary = Vocabulary.from_text(TEXT)
    model = CharModel("lstm", vocab_size=len(vocabulary), hidden=8, layers=1)
    ids = vocabulary.encode(TEXT)
    TrainStep(model)(ids[:40].reshape(20, 2), ids[1:41].reshape(20, 2))
    return model


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_save_and_load(model, tmp_path, kind):
    vocabulary = Vocabulary.from_text(TEXT)
    save(kind(tmp_path / "model.npz"), model, vocabulary)
    loaded, its_vocabulary = load("model.npz")
    assert loaded.options == model.options
    assert loaded.params.flat.tobytes() == model.params.flat.tobytes()
    assert its_vocabulary == vocabulary


def test_every_command_takes_it(model, capsys):
    save("model.npz", model, Vocabulary.from_text(TEXT))
    assert len(done(capsys, "sample", "model.npz", "--length=30")) == 31
    assert "bits per character" in done(capsys, "eval", "model.npz", "--data=text.txt")
    done(capsys, "inspect", "model.npz", "--text=hello")
    started = ["train", "--init-from=model.npz", "--data=text.txt", "--batch=4", "--steps=6", "--max-steps=2"]
    done(capsys, *started, "--run=new", "--backend=numpy")
    assert load("new")[0].hidden == 8


def test_a_model_that_cannot_be_saved(model, tmp_path):
    before = contents(tmp_path)
    with pytest.raises(UserError, match=r"^`vocabulary` must be a Vocabulary, not str: make one with minigrid\.Vocab"):
        save("model.npz", model, TEXT)
    with pytest.raises(UserError, match="the model is made for 19 symbols, but the vocabulary has 2"):
        save("model.npz", model, Vocabulary.from_text("ab"))
    model.params["decoder.bias"][0] = np.nan
    with pytest.raises(UserError, match=r"cannot be saved, because decoder\.bias has values that are not finite"):
        save("model.npz", model, Vocabulary.from_text(TEXT))
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("path", "reason"), [("none/model.npz", "No such file"), (".", "Is a directory")])
def test_a_path_that_cannot_be_written(model, path, reason):
    with pytest.raises(UserError, match=f"{reason}.*; nothing has been saved: check the path and its permissions"):
        save(path, model, Vocabulary.from_text(TEXT))


def test_a_full_disk_leaves_the_old_file(model, tmp_path, monkeypatch):
    save("model.npz", model, Vocabulary.from_text(TEXT))
    before = contents(tmp_path)
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(UserError, match="free some space"):
        save("model.npz", model, Vocabulary.from_text(TEXT))
    assert contents(tmp_path) == before


def test_the_public_names():
    assert sorted(dir(minigrid)) == sorted(minigrid.__all__)
    assert all(getattr(minigrid, name) is not None for name in minigrid.__all__)
    assert minigrid.plots.loss_curves
    with pytest.raises(AttributeError, match="module 'minigrid' has no attribute 'nothing'"):
        _ = minigrid.nothing
