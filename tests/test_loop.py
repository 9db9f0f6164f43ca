import json
import math
import os
import random
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from run_checks import (
    assert_same_end,
    before_each_step,
    step_of,
    stopped,
    stopping,
)
from run_fixtures import (
    HERE,
    TEXT,
    addition_config,
    arrays_of,
    contents,
    metrics_of,
    no_space,
    outcome,
    python,
    same_bits,
    text_config,
    trained,
    write_text,
)

from minigrid import TrainStep, UserError, load
from minigrid.errors import NotFiniteError, Notice
from minigrid.runs import checkpoint, loop
from minigrid.runs.evaluation import Evaluation
from minigrid.runs.loop import train
from minigrid.runs.report import Report
from minigrid.runs.run import DivergedError, InterruptedRunError
from minigrid.runs.start import resume_run, start_run

pytestmark = pytest.mark.usefixtures("empty_folder")  # messages name the runs under runs/

DRAW = loop._draw


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch):
    monkeypatch.setattr(loop, "_draw", lambda run, report: None)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless a test moves it."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


# -- a stop and a resumption


@pytest.mark.long
def test_a_run_stopped_four_times_ends_as_one_that_never_was(tmp_path, data):
    settings = {"hidden": 8, "batch": 4, "steps": 6, "dropout": 0.2, "eval-every": 40, "max-steps": 200}
    settings = [f"--{name}={value}" for name, value in settings.items()]
    folder, last = tmp_path / "stopped", tmp_path / "stopped" / "last.npz"
    resume = ["train", "--run", "stopped", "--resume"]

    def start(*plan):
        return python(HERE / "stopped_run.py", *plan, cwd=tmp_path)

    whole = python("-m", "minigrid", "train", "--data", data, "--run", "whole", *settings, cwd=tmp_path)
    first = outcome(start("SIGINT", 57, "train", "--data", data, "--run", "stopped", *settings))
    assert first.code == 130
    assert first.err.endswith(
        "stopped at step 57 and saved; to continue: python -m minigrid train --run stopped --resume\n"
    )
    assert "press Ctrl-C again to stop at once" in first.err

    # at step 80 a checkpoint is written as the best, then as the last: half-way through that it is killed
    assert outcome(start("kill-in-save", 2, *resume)).code == -signal.SIGKILL
    assert [file.suffix for file in folder.glob(".*")] == [".part"]
    assert step_of(last) == 57
    assert metrics_of(folder)[-1]["step"] == 80

    assert outcome(start("SIGTERM", 101, *resume)).code == 130
    assert step_of(last) == 101

    process = start("slowly", 20, *resume)
    assert "from step 101" in process.stdout.readline()
    assert "grid 2 x 8" in process.stdout.readline()
    time.sleep(random.uniform(0.1, 0.5))  # anywhere, in a step or in a save: 99 steps of 20 ms are to come
    process.kill()
    assert outcome(process).code in (-signal.SIGKILL, 0)  # 0: the machine stalled, and the run came first

    assert outcome(python("-m", "minigrid", *resume, cwd=tmp_path)).code == 0
    assert outcome(whole).code == 0
    assert_same_end(tmp_path / "whole", folder)
    assert same_bits(*(arrays_of(tmp_path / name / "best.npz") for name in ("whole", "stopped")))
    assert sorted(contents(folder)) == ["best.npz", "config.json", "last.npz", "loss.png", "metrics.jsonl"]


def config_of_kind(kind, data):
    return {
        "text": lambda: text_config(data, dropout=0.2, max_steps=60, eval_every=25),
        "stripes": lambda: text_config(data, split="stripes", max_steps=100, model="lstm", clip_norm=1.0),
        "addition": lambda: addition_config(max_steps=40, eval_every=15, model="gru", dropout=0.1),
        "adam": lambda: text_config(data, optimizer="adam", max_steps=50, model="rnn", embedding=0),
    }[kind]()


@pytest.mark.parametrize("kind", ["text", "stripes", "addition", "adam"])
def test_a_stop_anywhere_changes_nothing(tmp_path, data, kind):
    config = config_of_kind(kind, data)
    trained(tmp_path / "whole", config)
    folder = tmp_path / "stopped"
    stopped(start_run(config, folder), 1)
    for number in (2, 10, 13, 30):  # in between, at a record, again, and further on
        stopped(resume_run(folder), number)
        assert step_of(folder / "last.npz") == number
    train(resume_run(folder))
    assert_same_end(tmp_path / "whole", folder)


@pytest.mark.parametrize("number", [20, 30])
def test_a_stop_during_a_validation_repeats_it_after_resuming(tmp_path, data, monkeypatch, number):
    config = text_config(data, eval_every=20, max_steps=30)
    run = start_run(config, tmp_path / "run")
    read: list[int] = []

    class StopAtTheSecond(Report):
        def validating(self, done, total):
            if run.step.number == number:
                read.append(done)
                if done == 1:
                    signal.raise_signal(signal.SIGTERM)

    with pytest.raises(InterruptedRunError):
        train(run, StopAtTheSecond())
    assert len(run.task.val) > 1
    assert (run.step.number, read) == (number, [0, 1])
    assert [r["step"] for r in run.state.metrics if r["split"] == "val"] == list(range(20, number, 20))
    again = resume_run(tmp_path / "run")
    train(again)
    assert_same_end(tmp_path / "run", trained(tmp_path / "whole", config).folder)
    assert same_bits(arrays_of(tmp_path / "run" / "best.npz"), arrays_of(tmp_path / "whole" / "best.npz"))


def test_a_ctrl_c_in_the_last_step_comes_too_late(tmp_path, data):
    with stopping(9):
        run = trained(tmp_path / "run", text_config(data, max_steps=9, val_fraction=0))
    assert run.is_over


def test_an_untimed_minibatch_has_no_rate(tmp_path, data):
    run = trained(tmp_path / "run", text_config(data, max_steps=1))
    assert [("loss" in r, "per_second" in r) for r in run.state.metrics if r["split"] == "train"] == [(True, False)]


def test_training_in_a_thread(tmp_path, data):
    config = text_config(data, max_steps=5)
    thread = threading.Thread(target=trained, args=(tmp_path / "run", config))
    thread.start()
    thread.join()
    assert_same_end(tmp_path / "run", trained(tmp_path / "whole", config).folder)


@pytest.mark.parametrize("error", [BrokenPipeError, RuntimeError("reentrant call inside <_io.BufferedWriter>")])
def test_a_ctrl_c_that_cannot_be_confirmed_stops_the_run_too(tmp_path, data, error):
    class Unheard(Report):
        def stopping(self):
            raise error

    run = start_run(text_config(data), tmp_path / "run")
    with stopping(7), pytest.raises(InterruptedRunError):
        train(run, Unheard())
    assert resume_run(tmp_path / "run").step.number == 7


@pytest.mark.parametrize(
    ("method", "number"),
    [("started", 0), ("estimated", 3), ("trained", 1), ("recorded", 10), ("validating", 20), ("validated", 20)],
)
def test_a_run_whose_reader_has_gone_is_saved(tmp_path, data, method, number):
    def gone(*news, **more):
        raise BrokenPipeError

    report = Report()
    setattr(report, method, gone)
    config = text_config(data, eval_every=20, max_steps=40)
    with pytest.raises(BrokenPipeError):
        train(start_run(config, tmp_path / "run"), report)
    again = resume_run(tmp_path / "run")
    assert again.step.number == number
    train(again)
    assert_same_end(tmp_path / "run", trained(tmp_path / "whole", config).folder)


def test_a_run_can_be_resumed_from_the_very_start(tmp_path, data, monkeypatch):
    def killed(step):
        raise SystemExit

    run = start_run(text_config(data, max_steps=20), tmp_path / "run")
    with monkeypatch.context() as patch:
        before_each_step(patch, killed)
        with pytest.raises(SystemExit):
            train(run)
    train(resume_run(tmp_path / "run"))
    trained(tmp_path / "whole", text_config(data, max_steps=20))
    assert_same_end(tmp_path / "whole", tmp_path / "run")


def test_a_minute_of_training_is_lost_at_most(tmp_path, data, monkeypatch, clock):
    saved = []

    def take_25_seconds(step):
        saved.append(step_of(tmp_path / "run" / "last.npz"))
        clock.now += 25

    before_each_step(monkeypatch, take_25_seconds)
    trained(tmp_path / "run", text_config(data, max_steps=8))
    assert saved == [0, 0, 0, 3, 3, 3, 6, 6]


def test_a_validation_is_saved_once_and_the_best_checkpoint_first(tmp_path, data, monkeypatch):
    saved, replace, losses = [], os.replace, iter([3.0, 3.5, 2.0])

    def noted(source, final):
        replace(source, final)
        saved.append(Path(final).name)

    monkeypatch.setattr(os, "replace", noted)
    monkeypatch.setattr(loop, "evaluate", lambda *given: Evaluation(next(losses), 1, None))
    trained(tmp_path / "run", text_config(data, max_steps=15, eval_every=5))
    start, worse, better = ["last.npz"], ["last.npz"], ["best.npz", "last.npz"]
    assert [name for name in saved if name.endswith(".npz")] == start + better + worse + better


# -- what happens on the way


@pytest.mark.parametrize("task", ["text", "addition"])
def test_an_evaluation_never_touches_the_training(tmp_path, data, task):
    ends = []
    for every in (5, 7, 1000):
        folder, settings = tmp_path / f"every{every}", {"eval_every": every, "max_steps": 30, "dropout": 0.1}
        trained(folder, text_config(data, **settings) if task == "text" else addition_config(**settings))
        ends.append((arrays_of(folder / "last.npz"), [m for m in metrics_of(folder) if m["split"] == "train"]))
    assert all(same_bits(arrays, ends[0][0]) for arrays, _ in ends)
    assert all(metrics == ends[0][1] for _, metrics in ends)


def test_the_rate_falls_from_the_eleventh_epoch_on(tmp_path, data):
    write_text(tmp_path, TEXT[:106])  # 10 minibatches of 2 x 5
    config = text_config(data, batch=2, steps=5, val_fraction=0, epochs=13, lr=0.01)
    trained(tmp_path / "run", config)
    rates = [record["lr"] for record in metrics_of(tmp_path / "run")]
    assert rates == [0.01] * 10 + [0.01 * 0.97, 0.01 * 0.97**2, 0.01 * 0.97**3]


def test_the_state_is_carried_within_an_epoch_and_begins_at_zero(tmp_path, data, monkeypatch):
    zero = []
    before_each_step(monkeypatch, lambda step: zero.append(all((s == 0).all() for s in step.state(4).values())))
    run = trained(tmp_path / "run", text_config(data, epochs=2))
    per_epoch = len(run.task.train)
    assert per_epoch > 10
    assert zero == [index % per_epoch == 0 for index in range(2 * per_epoch)]


def test_every_addition_problem_begins_at_zero(tmp_path, monkeypatch):
    zero = []
    before_each_step(monkeypatch, lambda step: zero.append(all((s == 0).all() for s in step.state(4).values())))
    trained(tmp_path / "run", addition_config(max_steps=5))
    assert zero == [True] * 5


def test_the_metrics_say_what_was_measured(tmp_path, data):
    run = trained(tmp_path / "run", text_config(data, max_steps=40, eval_every=20))
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(r["split"], r["step"]) for r in records] == [
        ("train", 10), ("train", 20), ("val", 20), ("train", 30), ("train", 40), ("val", 40),
    ]  # fmt: skip
    assert all(r["epoch"] == round(r["step"] / len(run.task.train), 4) for r in records)
    assert all(r["per_second"] > 0 and r["grad_norm"] > 0 for r in records if r["split"] == "train")
    for r in records[2::3]:
        assert r["bits"] == pytest.approx(r["loss"] / math.log(2))
        assert len(r["sample"]) == loop.SAMPLE_LENGTH
        assert set(r["sample"]) <= set(TEXT)
    assert records == run.state.metrics


@pytest.mark.parametrize(("streams", "every"), [(1, 1000), (4, 493)])
def test_a_validation_comes_every_1000_minibatches_or_each_epoch(tmp_path, data, streams, every):
    run = start_run(text_config(data, batch=streams, steps=1), tmp_path / "run")
    assert run.eval_every == every
    assert len(run.task.train) == (493 if streams == 4 else 1975)


def test_the_rate_and_the_estimate_leave_out_validations_and_the_first_minibatch(tmp_path, data, monkeypatch, clock):
    def take_time(step):
        clock.now += 60 if step.number == 0 else 2 if step.number < 10 else 4

    def evaluate(*given):
        clock.now += 1000
        return Evaluation(2.0, 1, None)

    estimates, report = [], Report()
    report.estimated = lambda run, seconds: estimates.append((run.step.number, seconds))
    before_each_step(monkeypatch, take_time)
    monkeypatch.setattr(loop, "evaluate", evaluate)
    run = trained(tmp_path / "run", text_config(data, max_steps=20, eval_every=5), report)
    assert estimates == [(3, 2.0)]
    rates = [record["per_second"] for record in run.state.metrics if record["split"] == "train"]
    assert rates == [4 * 6 / 2, 4 * 6 / 4]


def test_the_training_loss_is_the_mean_of_ten_minibatches(tmp_path, data, monkeypatch):
    losses, step = [], TrainStep.__call__

    def noted(self, x, y):
        losses.append(float(loss := step(self, x, y)))
        return loss

    monkeypatch.setattr(TrainStep, "__call__", noted)
    trained(tmp_path / "run", text_config(data, max_steps=30))
    recorded = [record["loss"] for record in metrics_of(tmp_path / "run") if record["split"] == "train"]
    assert recorded == pytest.approx(np.mean(np.reshape(losses, (3, 10)), axis=1))


def test_addition_measures_digits_and_answers(tmp_path):
    trained(tmp_path / "run", addition_config(max_steps=10))
    val = metrics_of(tmp_path / "run")[-1]
    assert 0 <= val["answers"] <= val["digits"] <= 1
    assert val["sample"].count("=") == 3


def test_samples_of_a_text_vary_and_addition_is_solved_without_chance(tmp_path, data):
    settings = {"lr": 1e-30, "max_steps": 10, "eval_every": 5}
    for name, config in {"text": text_config(data, **settings), "addition": addition_config(**settings)}.items():
        trained(tmp_path / name, config)
    text, addition = (
        [record["sample"] for record in metrics_of(tmp_path / name) if record["split"] == "val"]
        for name in ("text", "addition")
    )
    assert text[0] != text[1]
    assert addition[0] == addition[1]


def test_best_is_the_best_and_last_the_last(tmp_path, data, monkeypatch):
    losses = iter([3.0, 2.0, 2.5, 2.0])
    monkeypatch.setattr(loop, "evaluate", lambda *given: Evaluation(next(losses), 1, None))
    run = trained(tmp_path / "run", text_config(data, max_steps=20, eval_every=5))
    assert run.state.best == 2.0
    numbers = {name: step_of(tmp_path / "run" / name) for name in ("best.npz", "last.npz")}
    assert numbers == {"best.npz": 10, "last.npz": 20}
    best, _ = load(tmp_path / "run")
    assert same_bits(
        {f"params/{name}": array for name, array in best.params.items()},
        {k: v for k, v in arrays_of(tmp_path / "run" / "best.npz").items() if k.startswith("params/")},
    )


def test_the_best_loss_survives_a_stop(tmp_path, data, monkeypatch):
    losses = iter([2.0, 2.5])
    monkeypatch.setattr(loop, "evaluate", lambda *given: Evaluation(next(losses), 1, None))
    stopped(start_run(text_config(data, max_steps=20, eval_every=5), tmp_path / "run"), 7)
    before = contents(tmp_path / "run")["best.npz"]
    run = resume_run(tmp_path / "run", {"max_steps": 10})
    train(run)
    assert run.state.best == 2.0
    assert contents(tmp_path / "run")["best.npz"] == before


def test_nothing_held_out(tmp_path, data, capsys):
    run = trained(tmp_path / "run", text_config(data, val_fraction=0, max_steps=12, eval_every=5))
    assert run.state.best == math.inf
    assert sorted(contents(tmp_path / "run")) == ["config.json", "last.npz", "metrics.jsonl"]
    model, _ = load(tmp_path / "run")
    assert (model.params.flat == run.model.params.flat).all()
    train(resume_run(tmp_path / "run", {"max_steps": 15}))


# -- numbers that are not finite


def plant_nan(monkeypatch, at):
    def plant(step):
        if step.number == at:
            step.model.params["decoder.bias"][0] = np.nan

    before_each_step(monkeypatch, plant)


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_checkpoints(tmp_path, data, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        plant_nan(patch, 23)
        with pytest.raises(DivergedError, match=r"smaller `lr` .*`clip_norm`") as failure:
            trained(folder, text_config(data, eval_every=20))
    assert "not a finite number at step 30" in str(failure.value)
    assert str(folder) in str(failure.value)
    for name in ("best.npz", "last.npz"):
        assert step_of(folder / name) == 20
        assert all(np.isfinite(array).all() for array in arrays_of(folder / name).values())
        load(folder / name)
    assert resume_run(folder).step.number == 20
    assert metrics_of(folder)[-1]["step"] == 20


@pytest.mark.parametrize("stop_at", [5, 25])
def test_a_stop_never_saves_parameters_that_are_not_finite(tmp_path, data, monkeypatch, stop_at):
    run = start_run(text_config(data, eval_every=20), tmp_path / "run")
    plant_nan(monkeypatch, stop_at - 2)
    with stopping(stop_at), pytest.raises(DivergedError):
        train(run)
    assert step_of(tmp_path / "run" / "last.npz") == stop_at // 20 * 20


def test_a_validation_loss_that_is_not_finite(tmp_path, data, monkeypatch):
    monkeypatch.setattr(loop, "evaluate", lambda *given: Evaluation(math.nan, 1, None))
    with pytest.raises(DivergedError, match="validation loss"):
        trained(tmp_path / "run", text_config(data, eval_every=20))
    assert step_of(tmp_path / "run" / "last.npz") == 0


def test_a_model_that_can_be_validated_but_not_sampled(tmp_path, data, monkeypatch):
    def overflows(*given, **options):
        raise NotFiniteError
        yield

    monkeypatch.setattr(loop, "generate", overflows)
    with pytest.raises(DivergedError, match="the logit of a sampled character is not a finite number at step 20"):
        trained(tmp_path / "run", text_config(data, eval_every=20))
    assert step_of(tmp_path / "run" / "last.npz") == 0


# -- beginning


def test_weights_ruined_by_the_last_update_are_not_saved(tmp_path, data):
    run = start_run(text_config(data, lr=1e38, max_steps=1, val_fraction=0.0), tmp_path / "run")
    with pytest.raises(DivergedError, match="the updated weight is not a finite number at step 1"):
        train(run)
    assert resume_run(tmp_path / "run").step.number == 0


# -- a disk that is full


@pytest.mark.parametrize("at", [0, 20])
def test_a_full_disk(tmp_path, data, at):
    folder = tmp_path / "run"
    advice = "free some space, then continue with `resume`"
    with pytest.MonkeyPatch.context() as patch:

        def fill(step):
            if step.number == at:
                patch.setattr(checkpoint.os, "fsync", no_space)

        before_each_step(patch, fill)
        with pytest.raises(
            UserError, match=f"No space left on device.; the checkpoint saved before is intact: {advice}"
        ):
            trained(folder, text_config(data, eval_every=20, max_steps=60))
    assert resume_run(folder).step.number == at
    assert not list(folder.glob(".*"))


def test_a_disk_that_is_full_from_the_start(tmp_path, data, monkeypatch):
    monkeypatch.setattr(checkpoint.os, "fsync", no_space)
    with pytest.raises(UserError, match="nothing has been saved: free some space, and try again"):
        trained(None, text_config(data))
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.filterwarnings("ignore::minigrid.errors.Notice")  # the metrics cannot be read either
@pytest.mark.parametrize("file", ["metrics.jsonl", "config.json"])
def test_other_files_that_cannot_be_written(tmp_path, data, file):
    trained(tmp_path / "run", text_config(data, max_steps=20))
    (tmp_path / "run" / file).unlink()
    (tmp_path / "run" / file).mkdir()
    with pytest.raises(UserError, match=f"cannot write .*{file}: Is a directory"):
        train(resume_run(tmp_path / "run"))


def test_a_picture_that_cannot_be_written_does_not_stop_the_run(tmp_path, data, monkeypatch):
    monkeypatch.setattr(loop, "_draw", DRAW)
    run = start_run(text_config(data, max_steps=3), tmp_path / "run")
    (tmp_path / "run" / "loss.png").mkdir()
    with pytest.warns(Notice, match=r"^cannot draw .*loss\.png: Is a directory; training continues without it$"):
        train(run)
    assert resume_run(tmp_path / "run").step.number == 3


def test_a_run_killed_before_its_last_picture_draws_it_when_it_is_resumed(tmp_path, data, monkeypatch):
    folder = trained(tmp_path / "run", text_config(data, max_steps=3)).folder  # draws nothing
    monkeypatch.setattr(loop, "_draw", DRAW)
    train(resume_run(folder))
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("failure", [ImportError("No module named 'matplotlib_inline'"), ValueError("no such font")])
def test_any_failure_to_draw_is_a_note(tmp_path, data, monkeypatch, failure):
    def broken(curves):
        raise failure

    monkeypatch.setattr(loop, "_draw", DRAW)
    monkeypatch.setattr("minigrid.plots.loss_curves", broken)
    run = start_run(text_config(data, max_steps=3), tmp_path / "run")
    with pytest.warns(Notice, match=f"cannot draw .*loss.png: {failure}; training continues without it"):
        train(run)
    assert {file.name for file in run.folder.iterdir()} == {"best.npz", "last.npz", "config.json", "metrics.jsonl"}


@pytest.mark.parametrize("validates", [False, True])
def test_a_model_too_large_for_its_first_step_leaves_nothing(tmp_path, data, monkeypatch, validates):
    def no_memory(*args, **options):
        raise MemoryError

    trained(tmp_path / "old", text_config(data, max_steps=2))
    start = {"init_from": str(tmp_path / "old")} if validates else {}
    with monkeypatch.context() as patch:
        patch.setattr(loop, "evaluate", no_memory)
        patch.setattr(TrainStep, "__call__", no_memory)
        run = start_run(text_config(data), tmp_path / "run", **start)
        with pytest.raises((UserError, MemoryError)):
            train(run)
    assert not run.folder.exists()
    trained(tmp_path / "run", text_config(data, max_steps=2))


def test_running_out_of_memory_later_loses_nothing(tmp_path, data, monkeypatch):
    folder = trained(tmp_path / "run", text_config(data, max_steps=2)).folder
    before = contents(folder)

    def no_memory(*args, **options):
        raise MemoryError

    monkeypatch.setattr(TrainStep, "__call__", no_memory)
    with pytest.raises(UserError, match="not enough memory"):
        train(resume_run(folder, {"max_steps": 4}))
    assert contents(folder).keys() == before.keys()
    assert contents(folder)["last.npz"] == before["last.npz"]
