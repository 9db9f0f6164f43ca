"""A few altered inputs, always the same ones; `python tests/fuzz.py` tries as many others as you like."""

import dataclasses
import random
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="limits of time and memory, and pipes, need Unix")

from fuzzing import checkpoints, commands, oracle
from fuzzing.origins import origins
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from run_fixtures import PROJECT, outcome, python

from minigrid import UserError, load

SEEDS = st.integers(0, 2**32 - 1)
FIXED = settings(derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return origins(tmp_path_factory.mktemp("made"))


@pytest.fixture(autouse=True)
def _no_corpora(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRID_DATA", str(tmp_path / "data"))


def emptied(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def test_what_is_not_altered_is_read(made, tmp_path):
    for origin in made:
        (tmp_path / "right.npz").write_bytes(origin.content)
        assert oracle.judge_load(tmp_path / "right.npz", origin.params, origin) == oracle.UNCHANGED


def load_altered(kind, made, place, seed):
    r = random.Random(seed)
    origin = r.choice(made)
    path = emptied(place) / "altered.npz"
    altered = checkpoints.alter(kind, origin, r)
    altered.write(path)
    return oracle.judge_load(path, altered.params, origin)


@settings(FIXED, max_examples=400)
@given(kind=st.sampled_from(sorted(checkpoints.ALTERATIONS)), seed=SEEDS)
def test_altered_checkpoints(made, tmp_path, kind, seed):
    load_altered(kind, made, tmp_path / "here", seed)


@pytest.mark.parametrize("kind", sorted(checkpoints.ALTERATIONS))
def test_every_kind_of_alteration(made, tmp_path, kind):
    answers = {load_altered(kind, made, tmp_path / "here", seed) for seed in range(6)}
    assert answers <= {oracle.REFUSED, oracle.UNCHANGED, oracle.OTHER}


@pytest.mark.parametrize("kind", sorted(checkpoints.SLOW_ALTERATIONS))
def test_small_files_take_little_memory(made, tmp_path, kind):
    path = tmp_path / "altered.npz"
    altered = checkpoints.alter(kind, made[0], random.Random(0))
    altered.write(path)
    oracle.reset_peak()
    before = oracle.peak_memory()
    oracle.judge_load(path, altered.params, made[0])
    assert oracle.peak_memory() - before < 200_000_000


@settings(FIXED, max_examples=80)
@given(kind=st.sampled_from(sorted(commands.PREPARE)), seed=SEEDS)
def test_commands(made, no_pictures, tmp_path, kind, seed):
    folder = emptied(tmp_path / "here")
    command = commands.prepare(kind, made, random.Random(seed), folder)
    oracle.judge_command(
        lambda: oracle.in_process(command.arguments, folder, seconds=2),
        folder,
        may_run_on=command.may_run_on,
        may_fail=command.may_fail,
    )


# -- the judges themselves


def answer(monkeypatch, what):
    """Let `load` do something else."""
    monkeypatch.setattr(oracle, "load", what)


def raising(error):
    def raises(*given):
        raise error

    return raises


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("meta"), "KeyError"),
        (MemoryError(), "MemoryError"),
        (UserError("two\nlines"), "several lines"),
        (UserError("x" * 1001), "1,001 characters"),
        (UserError(""), "empty"),
    ],
)
def test_a_wrong_refusal_is_noticed(made, tmp_path, monkeypatch, error, words):
    answer(monkeypatch, raising(error))
    with pytest.raises(oracle.FaultError, match=words):
        oracle.judge_load(tmp_path, made[0].params, made[0])


def test_a_wrong_model_is_noticed(made, tmp_path, monkeypatch):
    path, origin = tmp_path / "right.npz", made[0]
    path.write_bytes(origin.content)
    model, vocabulary = load(path)
    model.params["decoder.bias"][0] += 1
    answer(monkeypatch, lambda path: (model, vocabulary))
    with pytest.raises(oracle.FaultError, match=r"decoder\.bias has other numbers"):
        oracle.judge_load(path, origin.params, origin)
    model.params["decoder.bias"][0] = float("nan")
    with pytest.raises(oracle.FaultError, match="not finite"):
        oracle.judge_load(path, origin.params, origin)


def test_another_model_is_told_apart(made, tmp_path, monkeypatch):
    path, origin = tmp_path / "right.npz", made[0]
    path.write_bytes(origin.content)
    model, vocabulary = load(path)
    model.options = dataclasses.replace(model.options, dropout=0.7)
    answer(monkeypatch, lambda path: (model, vocabulary))
    assert oracle.judge_load(path, origin.params, origin) == oracle.OTHER


def test_a_load_that_never_ends_is_noticed(made, tmp_path, monkeypatch):
    def endless(path):
        while True:
            pass

    answer(monkeypatch, endless)
    monkeypatch.setattr(oracle, "SLOWEST", 0.05)
    with pytest.raises(oracle.FaultError, match="takes too long"):
        oracle.judge_load(tmp_path, made[0].params, made[0])


@pytest.mark.parametrize(
    ("code", "err", "words"),
    [
        (2, "Traceback (most recent call last):\n", "traceback"),
        (2, "minigrid: a\x1b[2J.\n", "control characters"),
        (2, "minigrid: one.\nminigrid: two.\n", "not one sentence"),
        (2, "", "not one sentence"),
        (2, f"minigrid: {'x' * 1000}.\n", "characters"),
        (1, "minigrid: no.\n", "exit code 1"),
        (3, "", "exit code 3"),
        (0, "RuntimeWarning: overflow\n", "lines on stderr"),
        (None, "", "too long"),
    ],
)
def test_a_wrong_answer_of_a_command_is_noticed(tmp_path, code, err, words):
    with pytest.raises(oracle.FaultError, match=words):
        oracle.judge_command(lambda: oracle.Outcome(code, "", err), tmp_path)


def test_right_answers_of_commands(tmp_path):
    def judged(code, err, **options):
        return oracle.judge_command(lambda: oracle.Outcome(code, "", err), tmp_path, **options)[0]

    assert judged(0, "note: one\n") == oracle.DONE
    assert judged(2, "note: one\nminigrid: no.\n") == oracle.REFUSED
    assert judged(1, "training stopped: the loss is not a finite number.\n") == oracle.DIVERGED
    assert judged(1, "", may_fail=True) == oracle.DIVERGED
    assert judged(None, "", may_run_on=True) == oracle.RUNNING


def test_a_refused_command_that_writes_is_noticed(tmp_path):
    def writes():
        (tmp_path / "new").mkdir()
        return oracle.Outcome(2, "", "minigrid: no.\n")

    with pytest.raises(oracle.FaultError, match="has changed the folder"):
        oracle.judge_command(writes, tmp_path)


# -- the script


def test_the_script_keeps_what_was_answered_wrongly(tmp_path):
    script = str(PROJECT / "tests" / "fuzz.py")
    code = (
        f"import runpy, sys; sys.path.insert(0, {str(PROJECT / 'tests')!r}); import fuzzing.oracle as o; "
        "o.load = lambda path: 1 / 0; sys.argv = ['fuzz.py', '--cases=2', '--seed=1', '--out=wrong']; "
        f"runpy.run_path({script!r}, run_name='__main__')"
    )
    right = outcome(python(script, "--cases=3", "--seed=1", "--commands", "--processes=0", "--out=fuzz", cwd=tmp_path))
    assert right.code == 0, right.err
    assert [line.split()[:2] for line in right.out.splitlines()][-3] == ["all", "3"]
    assert list(Path(tmp_path / "fuzz").iterdir()) == []
    wrong = outcome(python("-c", code, cwd=tmp_path))
    assert wrong.code == 1, wrong.err
    assert "WRONG" in wrong.out
    assert (tmp_path / "wrong" / "0" / "altered.npz").is_file()
    text = (tmp_path / "wrong" / "0" / "repeat.txt").read_text(encoding="utf-8")
    assert "minigrid.load('altered.npz')" in text
    assert "ZeroDivisionError" in text
    assert "--seed=1 --first=0 --cases=1" in text
    assert sys.platform != "linux" or "most memory: " in wrong.out
