"""Training the missing runs of an experiment, with stops and failures on the way."""

import dataclasses
import json
import os
import signal
import time

import pytest
from run_fixtures import PROJECT, outcome, python, write_text

from experiments import runner
from experiments.runner import Experiment
from minigrid.runs.config import Config
from minigrid.runs.folder import METRICS, read_metrics

SMALL = {"hidden": 4, "layers": 1, "batch": 4, "steps": 6, "backend": "numpy"}
QUICK = SMALL | {"max_steps": 20, "eval_every": 10}
SLOW = SMALL | {"max_steps": 2000, "eval_every": 500, "epochs": 1000}

pytestmark = pytest.mark.long  # nearly every test trains, in processes of its own


@pytest.fixture(autouse=True)
def runs_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "RUNS", tmp_path / "runs")


@pytest.fixture
def experiment(tmp_path):
    def make(**runs):
        data = str(write_text(tmp_path))
        (tmp_path / "page").mkdir(exist_ok=True)
        return Experiment(tmp_path / "page", {name: settings | {"data": data} for name, settings in runs.items()})

    return make


def apart(experiment, tmp_path):
    """Run an experiment in a process of its own, which can be killed."""
    script = "\n".join(
        [
            "from pathlib import Path",
            "from experiments import runner",
            f"runner.RUNS = Path({str(tmp_path / 'runs')!r})",
            f"experiment = runner.Experiment(Path({str(experiment.folder)!r}), {experiment.runs!r})",
            "runner.main(experiment, '', lambda: print('reported'))",
        ]
    )
    return python("-c", script, cwd=PROJECT)


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_locked(experiment, name):
    """Whether a process is training this run, so that it cannot be started."""
    process = experiment._start(name, 1)
    if process:
        process.kill()
        process.wait()
    return process is None


def training_steps(records):
    return [record["step"] for record in records if record["split"] == "train"]


def test_what_is_missing_is_trained_and_what_is_there_is_kept(experiment):
    both = experiment(one=QUICK, other=QUICK | {"model": "lstm", "seed": 7})
    both.kept("one").parent.mkdir()
    both.kept("one").write_text('{"split": "val", "loss": 1.0}\n')
    assert both.train()
    metrics = both.metrics()
    assert metrics["one"] == [{"split": "val", "loss": 1.0}]
    *records, made = metrics["other"]
    assert [record["step"] for record in records if record["split"] == "val"] == [10, 20]
    assert made["split"] == "run"
    assert made["command"].startswith("python train.py --hidden 4 --layers 1 ")
    assert made["parameters"] > 0
    assert made["minutes"] >= 0
    assert "NumPy" in made["machine"]


def test_two_runs_go_side_by_side_with_one_thread_each(experiment, monkeypatch):
    both = experiment(one=QUICK, other=QUICK)
    going = []
    start = Experiment._start

    def watched(self, name, threads):
        process = start(self, name, threads)
        going.append((name, process.poll() if process else "locked"))
        return process

    monkeypatch.setattr(Experiment, "_start", watched)
    assert both.train(jobs=2)
    assert going == [("one", None), ("other", None)]
    assert both.metrics()["one"][-1]["blas_threads"] == 1
    assert both.metrics()["one"][0]["loss"] == both.metrics()["other"][0]["loss"]


def test_only_those_named_are_trained(experiment):
    both = experiment(one=QUICK, other=QUICK)
    both.train(["other"])
    assert list(both.metrics()) == ["other"]


def test_a_run_that_fails_is_named_and_stops_no_other(experiment, capsys):
    both = experiment(bad=QUICK | {"batch": 10**6}, good=QUICK)
    assert not both.train()
    assert list(both.metrics()) == ["good"]
    assert "bad failed; see" in capsys.readouterr().err
    assert "--batch" in both._log("bad").read_text()


def test_a_training_that_was_killed_is_resumed(experiment, capsys):
    long = experiment(long=SLOW)
    process = long._start("long", 1)
    wait_until((long.run_folder("long") / "best.npz").exists)
    process.kill()
    process.wait()
    assert long.train()
    assert training_steps(read_metrics(long.run_folder("long"))) == list(range(10, 2001, 10))
    assert capsys.readouterr().out.count("long: resumed") == 1


def test_the_kept_metrics_are_thinned(experiment):
    one = experiment(one=QUICK | {"max_steps": 250, "eval_every": 40})
    assert one.train()
    all_records, kept = read_metrics(one.run_folder("one")), one.metrics()["one"]
    assert training_steps(kept) == [10, 100, 200, 250]
    assert [r for r in kept if r["split"] == "val"] == [r for r in all_records if r["split"] == "val"]
    assert kept[-1]["minutes"] >= 0
    last = next(r for r in all_records if r["split"] == "train" and r["step"] == 250)
    assert kept[-3 if kept[-2]["split"] == "val" else -2]["loss"] == float(f"{last['loss']:.6g}")


def test_a_run_killed_before_its_first_save_begins_again(experiment):
    one = experiment(one=QUICK)
    one.run_folder("one").mkdir(parents=True)
    (one.run_folder("one") / "config.json").write_text("{}")
    assert one.train()


def test_a_run_is_prepared_when_it_begins_and_not_when_it_goes_on(experiment):
    prepared = []
    both = dataclasses.replace(experiment(one=QUICK, long=SLOW), prepare=prepared.append)
    process = both._start("long", 1)
    wait_until((both.run_folder("long") / "last.npz").exists)
    process.kill()
    process.wait()
    assert both.train()
    assert prepared == ["long", "one"]


def test_a_run_that_cannot_be_prepared_leaves_no_other_running(experiment):
    def prepare(name):
        if name == "other":
            wait_until((both.run_folder("long") / "last.npz").exists)
            raise OSError("no space")

    both = dataclasses.replace(experiment(long=SLOW, other=QUICK), prepare=prepare)
    with pytest.raises(OSError, match="no space"):
        both.train(jobs=2)
    assert not is_locked(both, "long")


def test_after_kill_9_the_next_runner_waits_for_the_training_that_lives_on(experiment, tmp_path):
    long = experiment(long=SLOW)
    first = apart(long, tmp_path)
    wait_until((long.run_folder("long") / METRICS).exists)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert is_locked(long, "long")
    second = outcome(apart(long, tmp_path))
    assert (second.code, second.out.splitlines()[-1]) == (0, "reported")
    records = long.metrics()["long"]
    assert records[-2]["step"] == 2000
    assert len(records) == len({json.dumps(record) for record in records})


@pytest.mark.usefixtures("heeded_signals")
def test_ctrl_c_stops_the_training_and_keeps_it(experiment, tmp_path):
    long = experiment(long=SLOW | {"max_steps": 100_000})  # so many that it cannot finish before it is stopped
    process = apart(long, tmp_path)
    wait_until((long.run_folder("long") / METRICS).exists)
    process.send_signal(signal.SIGINT)
    assert outcome(process).code == 130
    assert "and saved; to continue" in long._log("long").read_text()
    assert not long.metrics()


def test_a_report_alone_trains_nothing(experiment, monkeypatch):
    one, calls = experiment(one=QUICK), []
    monkeypatch.setattr("sys.argv", ["run", "--report"])
    with pytest.raises(SystemExit) as left:
        runner.main(one, "", lambda: calls.append(one.metrics()))
    assert (left.value.code, calls) == (0, [{}])


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["none"], "there is no run none: choose from one"),
        (["--jobs", "0"], "--jobs must be from 1 to"),
        (["--jobs", "100000"], "--jobs must be from 1 to"),
    ],
)
def test_what_cannot_be_run_is_refused(experiment, monkeypatch, capsys, arguments, answer):
    monkeypatch.setattr("sys.argv", ["run", *arguments])
    with pytest.raises(SystemExit):
        runner.main(experiment(one=QUICK), "", print)
    assert answer in capsys.readouterr().err


@pytest.mark.parametrize("name", ["torch_curves", "pretrained", "depth_wiki", "no_dropout", "addition"])
def test_the_settings_of_every_run_are_valid(name):
    runs = __import__(f"experiments.{name}.run", fromlist=["EXPERIMENT"]).EXPERIMENT.all_runs
    for settings in runs.values():
        Config(**{key: value for key, value in settings.items() if key not in ("config", "init_from")})
