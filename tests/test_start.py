"""Starting and resuming runs."""

import json
import os
import re
import shutil
import warnings

import numpy as np
import pytest
from run_checks import assert_same_end, before_each_step, end, params_of, progress_of, stopped, stopping
from run_fixtures import (
    HERE,
    TEXT,
    arrays_of,
    contents,
    done,
    meta_of,
    metrics_of,
    same_bits,
    text_config,
    trained,
)

from minigrid import UserError, load
from minigrid.errors import Notice
from minigrid.runs import checkpoint, loop, start
from minigrid.runs import run as runs_run
from minigrid.runs.checkpoint import read_checkpoint
from minigrid.runs.checkpoint_format import FORMAT, FORMAT_1, Meta
from minigrid.runs.config import Config
from minigrid.runs.evaluation import Evaluation
from minigrid.runs.folder import held
from minigrid.runs.init_from import inherited
from minigrid.runs.loop import train
from minigrid.runs.run import InterruptedRunError
from minigrid.runs.start import resume_run, start_run

pytestmark = pytest.mark.usefixtures("empty_folder", "no_pictures")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"hidden": 9}, "`hidden` cannot change to 9 when a run is resumed (the run has 8)"),
        ({"lr": 1.0}, "`lr` cannot change to 1.0"),
        ({"model": "lstm"}, "`model` cannot change to lstm"),
        ({"tie": "none"}, "`tie` cannot change to none"),
        ({"val_fraction": 0.2}, "`val_fraction` cannot change to 0.2"),
        ({"corpus": "pydoc"}, "`corpus` cannot change to pydoc when a run is resumed (the run has none)"),
        ({"epochs": 5, "seed": 1}, "`seed` cannot change to 1"),
    ],
)
def test_other_settings_may_not_change(tmp_path, data, changed, words):
    folder = tmp_path / "run"
    trained(folder, text_config(data, max_steps=3))
    before = contents(folder)
    with pytest.raises(UserError, match=f"^{re.escape(words)}.* start a new run with `init_from`"):
        resume_run(folder, changed)
    assert contents(folder) == before


def test_repeating_a_setting_unchanged_is_accepted(tmp_path, data, monkeypatch):
    trained(tmp_path / "run", text_config(data, max_steps=3))
    monkeypatch.chdir(tmp_path)
    given = {"data": data.name, "hidden": 8, "tie": "depth", "tokens": "chars", "embedding": 8, "lr": 0.002}
    assert resume_run(tmp_path / "run", given).step.number == 3


def test_a_text_may_have_moved_but_not_changed(tmp_path, data):
    trained(tmp_path / "run", text_config(data, max_steps=3))
    moved, other = data.rename(tmp_path / "moved.txt"), tmp_path / "other.txt"
    other.write_text(moved.read_text()[::-1])
    with pytest.raises(UserError, match="the text has changed"):
        resume_run(tmp_path / "run", {"data": str(other)})
    assert resume_run(tmp_path / "run", {"data": str(moved)}).config.data == str(moved)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"epochs": 1}, {"epochs": 2}),
        ({"epochs": 2, "max_steps": 31}, {"max_steps": 100}),
        ({"epochs": 2, "max_steps": 50}, {"epochs": 1, "max_steps": 82}),
    ],
)
def test_a_run_can_be_made_longer(tmp_path, data, first, then):
    folder = tmp_path / "run"
    trained(folder, text_config(data, **first, dropout=0.1))
    resumed = resume_run(folder, then)
    train(resumed)
    trained(tmp_path / "whole", text_config(data, **first | then, dropout=0.1))
    assert same_bits(arrays_of(folder / "last.npz"), arrays_of(tmp_path / "whole" / "last.npz"))
    assert then.items() <= json.loads((folder / "config.json").read_text()).items()
    assert resume_run(folder).config == resumed.config


@pytest.mark.parametrize("given", [{}, {"epochs": 1}, {"max_steps": 7}])
def test_resuming_a_finished_run_harms_nothing(tmp_path, data, given):
    folder = tmp_path / "run"
    trained(folder, text_config(data, max_steps=90, eval_every=30))
    before = contents(folder) | {"config.json": b""}
    train(resume_run(folder, given))
    assert contents(folder) | {"config.json": b""} == before


def test_a_text_that_has_changed_is_refused(tmp_path, data):
    folder = tmp_path / "run"
    trained(folder, text_config(data, max_steps=3))
    before = contents(folder)
    data.write_text(TEXT[:-1] + "!")
    with pytest.raises(UserError, match=r"the text has changed since .* restore the old text"):
        resume_run(folder)
    assert contents(folder) == before


def test_what_a_killed_save_has_left_is_removed(tmp_path, data):
    folder = trained(tmp_path / "run", text_config(data, max_steps=3)).folder
    before = contents(folder).keys()
    (folder / ".last.npz.0123456789abcdef.part").write_bytes(b"half")
    resume_run(folder)
    assert contents(folder).keys() == before


def test_a_run_finds_its_text_from_any_folder(tmp_path, data, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained(tmp_path / "run", text_config(data.name, max_steps=3))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert resume_run(tmp_path / "run").config.data == str(data)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: None, r"run is not the folder of a run \(there is none under runs/\)"),
        (lambda folder: folder.mkdir(), "contains no checkpoint"),
        (lambda folder: folder.write_text("text"), "run is not the folder of a run .* a new run with `init_from`"),
    ],
)
def test_nothing_there_to_resume(tmp_path, make, reason):
    make(tmp_path / "run")
    with pytest.raises(UserError, match=reason):
        resume_run(tmp_path / "run")


def test_a_checkpoint_file_cannot_be_resumed(tmp_path, data):
    trained(tmp_path / "run", text_config(data, max_steps=3))
    with pytest.raises(
        UserError,
        match=r"last\.npz is not the folder of a run .* to train a checkpoint further, start a new run with `ini",
    ):
        resume_run(tmp_path / "run" / "last.npz")


def test_a_checkpoint_that_no_run_wrote_cannot_be_resumed(tmp_path, data):
    run = trained(tmp_path / "run", text_config(data, max_steps=3))
    meta = Meta(model=run.model.options, vocabulary=run.task.vocabulary)
    checkpoint.write_checkpoint(tmp_path / "run" / "last.npz", checkpoint.model_arrays(run.model), meta)
    with pytest.raises(
        UserError, match=r"holds a model only, which cannot be resumed: start a new run with `init_from`"
    ):
        resume_run(tmp_path / "run")


def test_metrics_are_cut_back_to_the_checkpoint(tmp_path, data):
    folder = tmp_path / "run"
    stopped(start_run(text_config(data, max_steps=60), folder), 35)
    before = metrics_of(folder)
    assert [record["step"] for record in before] == [10, 20, 30]
    with open(folder / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(before[-1] | {"step": 40}) + '\n{"split": "tr')  # written after the save, then cut off
    with stopping(36), pytest.raises(InterruptedRunError):
        train(resume_run(folder))
    assert metrics_of(folder) == before


def test_metrics_that_another_process_did_not_save_are_cut_too(tmp_path, data):
    config = text_config(data, max_steps=40)
    stopped(start_run(config, tmp_path / "run"), 15)
    late = resume_run(tmp_path / "run")
    with open(tmp_path / "run" / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(late.state.metrics[-1] | {"step": 20}) + "\n")  # then it was killed
    train(late)
    assert_same_end(tmp_path / "run", trained(tmp_path / "whole", config).folder)


def test_of_two_new_runs_in_one_folder_the_later_one_is_refused(tmp_path, data):
    one, other = (start_run(text_config(data, max_steps=3, seed=seed), tmp_path / "run") for seed in (1, 2))
    train(one)
    before = contents(tmp_path)
    with pytest.raises(UserError, match=r"another process has trained in .*run in the meantime"):
        train(other)
    assert contents(tmp_path) == before


def test_a_run_that_another_process_has_continued_is_left_alone(tmp_path, data):
    trained(tmp_path / "run", text_config(data, max_steps=3))
    late = resume_run(tmp_path / "run", {"max_steps": 4})
    train(resume_run(tmp_path / "run", {"max_steps": 9}))
    before = contents(tmp_path)
    with pytest.raises(UserError, match=r"another process has trained in .*run in the meantime"):
        train(late)
    assert contents(tmp_path) == before


def test_a_run_whose_metrics_cannot_be_written_is_left_as_it_was(tmp_path, data):
    folder = tmp_path / "run"
    trained(folder, text_config(data, max_steps=3))
    (folder / "metrics.jsonl").unlink()
    (folder / "metrics.jsonl").mkdir()
    before = contents(folder)
    with pytest.raises(UserError, match=r"cannot write .*metrics\.jsonl: Is a directory"):
        resume_run(folder, {"max_steps": 9})
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["best.npz", "config.json"])
def test_a_run_is_not_resumed_if_it_could_not_be_saved(tmp_path, data, name):
    folder = tmp_path / "run"
    trained(folder, text_config(data, max_steps=3))
    (folder / name).unlink()
    os.mkfifo(folder / name)
    before = contents(folder)
    with pytest.raises(UserError, match=f"cannot write .*{name}: it is a pipe or a device"):
        resume_run(folder, {"max_steps": 9})
    assert contents(folder) == before


def test_a_folder_is_locked_while_it_is_read(tmp_path, data, monkeypatch):
    trained(tmp_path / "run", text_config(data, max_steps=3))
    late = resume_run(tmp_path / "run", {"max_steps": 9})
    make_task = start.make_task

    def slow(*arguments):
        with pytest.raises(UserError, match="another process is training"):
            train(late)
        return make_task(*arguments)

    monkeypatch.setattr(start, "make_task", slow)
    resume_run(tmp_path / "run")


def test_a_run_that_is_being_trained_is_left_alone(tmp_path, data):
    pytest.importorskip("fcntl")
    folder = tmp_path / "run"
    stopped(start_run(text_config(data, max_steps=60), folder), 35)
    before = contents(folder)
    run = resume_run(folder)
    with held(folder):
        for act in (lambda: train(run), lambda: resume_run(folder)):
            with pytest.raises(UserError, match=r"another process is training in .*run"):
                act()
    assert contents(folder) == before
    train(run)


def test_a_new_run_overwrites_nothing(tmp_path, data):
    trained(tmp_path / "run", text_config(data, max_steps=3))
    before = contents(tmp_path)
    with pytest.raises(UserError, match="is not empty: `resume` the run in it, or choose a new folder for the `run`"):
        start_run(text_config(data), tmp_path / "run")
    with pytest.raises(UserError, match="is a file"):
        start_run(text_config(data), data)
    assert contents(tmp_path) == before


def test_mistakes_leave_no_folder(tmp_path, data, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for mistake in ({"dropout": 1.0}, {"alpha": 1.0}, {"embedding": 3}, {"val_fraction": 1.5}, {"batch": 5000}):
        with pytest.raises(UserError):
            start_run(text_config(data, **mistake))
    assert list(contents(tmp_path)) == [data.name]


# -- metrics that are kept beside the checkpoint


def test_a_checkpoint_does_not_grow_with_the_metrics(tmp_path, data):
    run = trained(tmp_path / "run", text_config(data, max_steps=10, eval_every=5))
    before = (tmp_path / "run" / "last.npz").stat().st_size
    for number in range(1000):
        run.record("train", {"loss": 2.0 + number})
    run.save("last.npz")
    assert abs((tmp_path / "run" / "last.npz").stat().st_size - before) < 10
    assert progress_of(tmp_path / "run" / "last.npz")["records"] == 1003


def test_metrics_reach_the_disk_before_the_checkpoint_that_counts_them(tmp_path, data, monkeypatch):
    order, sync, write = [], runs_run.sync_metrics, runs_run.write_checkpoint
    monkeypatch.setattr(runs_run, "sync_metrics", lambda *given: (order.append("metrics"), sync(*given)))
    monkeypatch.setattr(
        runs_run, "write_checkpoint", lambda path, *given: (order.append(path.name), write(path, *given))
    )
    trained(tmp_path / "run", text_config(data, max_steps=10))
    assert order == ["last.npz", "metrics", "best.npz", "metrics", "last.npz"]


class PowerCutError(BaseException):
    pass


@pytest.mark.long
@pytest.mark.parametrize("cut", ["after the record", "before the checkpoint", "after best.npz", "after last.npz"])
@pytest.mark.parametrize("then", ["as it was", "unsynced metrics lost"])
def test_after_a_power_cut_a_run_ends_as_if_there_had_been_none(tmp_path, data, cut, then):
    """Cut the power at step 20 in a run that validates every 10 steps, and resume what is on the disk."""
    config = text_config(data, eval_every=10, max_steps=30, dropout=0.1)
    folder, synced = tmp_path / "run", {"size": 0}
    run = start_run(config, folder)

    def power_cut(when):
        if when == cut and run.step.number == 20:
            raise PowerCutError

    with pytest.MonkeyPatch.context() as patch:
        append, sync, write = runs_run.append_metrics, runs_run.sync_metrics, runs_run.write_checkpoint

        def append_then(*given):
            append(*given)
            power_cut("after the record")

        def sync_then(folder):
            sync(folder)
            synced["size"] = (folder / "metrics.jsonl").stat().st_size
            power_cut("before the checkpoint")

        def write_then(path, *given):
            write(path, *given)
            power_cut(f"after {path.name}")

        patch.setattr(runs_run, "append_metrics", append_then)
        patch.setattr(runs_run, "sync_metrics", sync_then)
        patch.setattr(runs_run, "write_checkpoint", write_then)
        with pytest.raises(PowerCutError):
            train(run)
    if then == "unsynced metrics lost":
        with open(folder / "metrics.jsonl", "r+b") as file:
            file.truncate(synced["size"])
            file.seek(0, 2)
            file.write(b"\0" * 100)  # as some file systems do
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(resume_run(folder))
    whole = trained(tmp_path / "whole", config).folder
    assert_same_end(folder, whole)
    assert same_bits(arrays_of(folder / "best.npz"), arrays_of(whole / "best.npz"))


def test_a_run_resumed_from_its_best_checkpoint_is_cut_back_to_it(tmp_path, data, monkeypatch):
    losses = [3.0, 2.0, 2.5, 2.6]
    monkeypatch.setattr(loop, "evaluate", lambda *given: Evaluation(losses[(run.step.number // 5) - 1], 1, None))
    run = start_run(text_config(data, max_steps=20, eval_every=5), tmp_path / "run")
    train(run)
    whole = end(tmp_path / "run")
    (tmp_path / "run" / "last.npz").unlink()
    run = resume_run(tmp_path / "run")
    assert run.step.number == 10
    assert [record["step"] for record in run.state.metrics] == [5, 10, 10]
    train(run)
    assert repr(end(tmp_path / "run")) == repr(whole)


@pytest.mark.parametrize("damage", ["gone", "short", "torn"])
def test_a_run_whose_metrics_are_damaged_continues_with_the_others(tmp_path, data, damage):
    config, folder = text_config(data, max_steps=60, eval_every=20), tmp_path / "run"
    stopped(start_run(config, folder), 35)
    file = folder / "metrics.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)  # steps 10, 20, 20 and 30
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(b"".join(lines[:2]) if damage == "short" else b"".join([lines[0], b"?\n", *lines[2:]]))
    with pytest.warns(
        Notice, match=r"metrics\.jsonl is .*: the run continues without \d of its 4 records up to step 35"
    ):
        run = resume_run(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stopped(run, 41)
        train(resume_run(folder))
    whole = trained(tmp_path / "whole", config).folder
    kept = {"gone": [], "short": [0, 1], "torn": [0, 2, 3]}[damage]
    every = metrics_of(whole)
    assert metrics_of(folder) == [every[k] for k in kept] + every[4:]
    assert same_bits(arrays_of(folder / "last.npz"), arrays_of(whole / "last.npz"))


# -- a run that an older version of minigrid began


FROZEN = HERE / "frozen"


@pytest.fixture
def frozen(tmp_path):
    """A run of 60 steps, stopped at step 25 by the version that wrote format 1, with its metrics inside."""
    folder = tmp_path / "frozen"
    folder.mkdir()
    shutil.copy(FROZEN / "run-format-1.npz", folder / "last.npz")
    return folder


MOVED = {"data": str(FROZEN / "text.txt")}


def test_a_run_of_format_1_can_be_loaded_and_sampled(frozen, capsys):
    model, vocabulary = load(frozen)
    assert (model.hidden, model.layers, len(vocabulary)) == (4, 2, 21)
    text = done(capsys, "sample", frozen, "--length=40", "--prime=the café", "--seed=3")
    assert text.startswith("the café")
    assert len(text) == len("the café") + 40 + 1


def test_a_run_of_format_1_can_be_evaluated(frozen, capsys):
    line = done(capsys, "eval", frozen, "--data", FROZEN / "text.txt")
    loss = float(re.search(r"loss (\S+) nats", line)[1])
    assert 2.9 < loss < 3.1  # uniform guessing: log 21 = 3.04


def test_a_run_of_format_1_can_be_resumed(frozen, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = resume_run(frozen, MOVED)
    assert run.step.number == 25
    assert [(r["split"], r["step"]) for r in run.state.metrics] == [("train", 10), ("train", 20), ("val", 20)]
    assert len(run.state.losses) == 5
    train(run)
    whole = trained(tmp_path / "whole", run.config)
    ends, wholes = end(frozen), end(whole.folder)
    for name, array in wholes[0].items():  # another processor may round the steps of the frozen half differently
        np.testing.assert_allclose(ends[0][name], array, rtol=1e-3, atol=1e-5, err_msg=name)
    assert [(r["split"], r["step"]) for r in ends[1]] == [(r["split"], r["step"]) for r in wholes[1]]
    assert [r["loss"] for r in ends[1]] == pytest.approx([r["loss"] for r in wholes[1]], rel=1e-4)
    assert meta_of(frozen / "last.npz")["format"] == FORMAT
    assert progress_of(frozen / "last.npz")["metrics"] is None
    assert resume_run(frozen).state.metrics == run.state.metrics


def test_a_run_of_format_1_keeps_its_metrics_if_it_is_killed_before_it_saves(frozen, monkeypatch):
    def killed(step):
        raise SystemExit

    with monkeypatch.context() as patch:
        before_each_step(patch, killed)
        with pytest.raises(SystemExit):
            train(resume_run(frozen, MOVED))
    assert meta_of(frozen / "last.npz")["format"] == FORMAT_1
    assert [r["step"] for r in resume_run(frozen, MOVED).state.metrics] == [10, 20, 20]


def test_a_run_of_format_1_begins_a_new_one(frozen, tmp_path):
    old = read_checkpoint(frozen)
    taken = inherited(old, MOVED | {"max_steps": 3})
    run = start_run(
        Config(**taken, **MOVED, batch=4, steps=6, backend="numpy"), tmp_path / "new", init_from=str(frozen)
    )
    assert same_bits({f"params/{name}": a for name, a in run.model.params.items()}, params_of(frozen / "last.npz"))
