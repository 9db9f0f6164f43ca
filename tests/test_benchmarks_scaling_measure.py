"""Turns of the sides, and what their processes time."""

import pytest
from tqdm import tqdm

from benchmarks.scaling import measure, timing
from benchmarks.scaling.sizes import Size


def test_a_size_as_text():
    size = Size.parse("grid:3x512")
    assert size == Size("grid", 3, 512)
    assert str(size) == "grid:3x512"


def test_all_sides_take_turns(monkeypatch):
    """The others take twice as long as the ranks."""
    calls = []

    def side(name):
        def run(job, *options):
            calls.append(name)
            assert (job, options) == ("train", ("--size", "lstm:2x128", "--budget", "0.5"))
            figures = {"seconds": 1.0 if name == "ranks" else 2.0, "peak_bytes": [10 * len(calls), 5]}
            return figures | ({"exchanges": {"gradient": 0.1, "numbers": 0.2}} if name == "ranks" else {})

        return run

    monkeypatch.setattr(measure, "SIDES", {name: side(name) for name in ("ranks", "torch")})
    with tqdm(disable=True) as bar:
        row = measure.in_turns("train", Size("lstm", 2, 128), ("ranks", "torch"), 3, 0.5, bar)
    assert calls == ["ranks", "torch", "torch", "ranks", "ranks", "torch"]
    assert row["seconds"] == {"ranks": 1, "torch": 2}
    assert row["times_as_fast"] == {"torch": (2, 2, 2)}
    assert row["peak_bytes"] == {"ranks": 50, "torch": 60}
    assert row["exchanges"] == {"gradient": 0.1, "numbers": 0.2}


@pytest.fixture
def job(monkeypatch):
    """Return a function that makes jobs: each call moves the clock on by the next of some durations."""
    clock = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])

    def of_durations(*durations):
        remaining = iter(durations)

        def run():
            clock[0] += next(remaining)

        return run

    return of_durations


def test_long_and_short_repetitions_are_averaged(job):
    """The first two show how many fit."""
    assert timing.figures(job(5, 1, 0, 2, 0, 2, 0, 2), budget=6) == {"seconds": 1, "timed": 6, "repetitions": 8}


def test_a_long_job_is_timed_twice(job):
    assert timing.figures(job(12, 9, 11), budget=8) == {"seconds": 10, "timed": 2, "repetitions": 3}


def test_a_job_of_several_budgets_is_timed_once(job):
    assert timing.figures(job(120, 100), budget=8) == {"seconds": 100, "timed": 1, "repetitions": 2}


def test_all_processes_repeat_as_often_as_the_first(job):
    """Another process finds its own repetitions long; the first one has room for two, and then for six."""
    answers = iter([True, 3])
    found = timing.figures(job(*[9] * 8), budget=1, first=lambda count: next(answers))
    assert (found["timed"], found["repetitions"]) == (6, 8)


def test_a_side_that_fails_is_named():
    with pytest.raises(SystemExit, match=r"(?s)worker dance failed:\n.*invalid choice: 'dance'"):
        measure.sides.minigrid("dance")


@pytest.mark.parametrize(
    ("load", "warning"), [(0.3, ""), (2.0, "other programs use this machine (load average 2.0), ")]
)
def test_a_busy_machine(load, warning, monkeypatch, capsys):
    monkeypatch.setattr(timing.os, "getloadavg", lambda: (load, 0, 0))
    timing.warn_if_busy()
    said = capsys.readouterr().err
    assert said.startswith(warning)
    assert bool(said) == bool(warning)
