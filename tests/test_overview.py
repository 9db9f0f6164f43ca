import os

import pytest
from run_fixtures import TEXT, save_model

from minigrid.data.corpora import CORPORA
from minigrid.data.vocabulary import Vocabulary
from minigrid.runs import overview
from minigrid.runs.checkpoint_format import RunMeta
from minigrid.runs.overview import Model, Unreadable, corpora, pretrained_models, runs_in

AB = Vocabulary.from_text("ab")


def test_a_run_is_described_by_its_last_checkpoint(small_runs):
    (run,) = runs_in(small_runs / "chars")
    assert (run.model, run.vocabulary) == ("grid 2 x 8", f"{len(set(TEXT))} chars")
    assert (run.step, run.text) == (30, "text.txt")
    assert 1 < run.loss < 5


def test_the_latest_run_comes_first_and_damaged_ones_last(small_runs):
    for age, name in enumerate(("bytes", "chars", "addition")):
        os.utime(small_runs / name / "last.npz", (10**9 - age, 10**9 - age))
    (small_runs / "a").mkdir()
    (small_runs / "a" / "last.npz").write_text("rubbish")
    names = [os.path.basename(run.name) for run in runs_in(small_runs)]
    assert names == ["bytes", "chars", "addition", "a"]


def test_a_model_without_a_run(tmp_path):
    save_model(tmp_path / "a" / "best.npz", AB)
    (run,) = runs_in(tmp_path)
    assert run[:-1] == (str(tmp_path / "a"), "grid 2 x 4", "2 chars", "-", None, None)


@pytest.mark.parametrize(
    ("config", "text"),
    [({"data": 3}, "3"), ({"task": ["x"]}, "['x']"), ({"corpus": None}, "-"), ({"corpus": "text8"}, "text8")],
)
def test_settings_that_nobody_has_checked(tmp_path, config, text):
    save_model(tmp_path / "a" / "last.npz", AB, run=RunMeta(config=config), made={"validation_loss": "low"})
    (run,) = runs_in(tmp_path)
    assert (run.text, run.loss) == (text, None)


def test_an_absurd_loss_is_a_reason(tmp_path):
    save_model(tmp_path / "a" / "last.npz", AB, made={"validation_loss": 10**400})
    assert [type(run) for run in runs_in(tmp_path)] == [Unreadable]


def test_folders_that_are_no_runs_are_left_out(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "started").mkdir()
    (tmp_path / "started" / "metrics.jsonl").write_text("")
    assert runs_in(tmp_path) == [Unreadable(str(tmp_path / "started"), "has saved no checkpoint yet")]


def test_pretrained_models_are_all_readable():
    assert all(isinstance(model, Model) and model.loss is not None for model in pretrained_models())


def test_where_a_corpus_is(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRID_DATA", str(tmp_path))
    monkeypatch.setattr("minigrid.data.corpora.folders.default_folder", lambda: tmp_path / "none")
    (tmp_path / "text8.zip").write_bytes(b"")
    places = {name: place for name, _, place in corpora()}
    assert places.keys() == CORPORA.keys()
    assert (places["pydoc"], places["text8"]) == ("always here", str(tmp_path / "text8.zip"))
    assert places["enwik8"] == "not here, fetched on first use"

    def locked(source):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(overview, "find", locked)
    assert {name: place for name, _, place in corpora()}["text8"] == "cannot be looked for: Permission denied"
