"""What goes wrong in one of several processes, or in all of them, with a real MPI."""

import os
import sys

import pytest
from mpi_fixtures import SMALL, TRAIN, ended, launched, needs_mpi, processes, start, wait_until
from run_checks import step_of
from run_fixtures import PROJECT, write_text

pytestmark = [needs_mpi, pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs Linux's /proc")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train.py", "--hiden=3"], "train.py: unrecognized arguments: --hiden=3 (did you mean --hidden?)"),
        (["train.py", "--data=no.txt"], "train.py: there is no file no.txt: check the path.\n"),
        (
            ["train.py", "--data=text.txt", "--batch=1"],
            "train.py: --batch 1 is too small for 2 processes, which share its ",
        ),
        (["train.py", *SMALL, "--run=text.txt"], "train.py: text.txt is a file: choose a new folder for the --run.\n"),
        (["train.py", "--resume"], "train.py: --resume needs --run DIR, the folder of the run to continue "),
        (["-m", "minigrid", "eval", "pretrained:toywiki-grid-1", "--device=1"], "minigrid: --device 1 has no effect "),
        (["train.py", "--resume", "--run=no"], "train.py: no is not the folder of a run "),
        (["sample.py", "pretrained:toywiki-grid-1"], "sample.py: sample.py takes one process, and 2 have been started"),
    ],
)
def test_a_mistake_is_told_once(here, arguments, words):
    program, *options = arguments
    code, out, err = ended(start(2, program if program == "-m" else PROJECT / program, *options, cwd=here))
    assert (code, out) == (2, "")
    assert err.startswith(words)
    assert err.count("\n") == 1


def test_a_process_that_lacks_the_text_ends_all_of_them(here):
    (here / "elsewhere").mkdir()
    ours = [sys.executable, TRAIN, *SMALL]
    code, out, err = ended(launched(["-n", 1, *ours, ":", "-n", 1, "-wdir", here / "elsewhere", *ours], here))
    assert (code, out) == (2, "")
    assert " (process 1): there is no file text.txt: check the path.\n" in err
    assert not (here / "runs").exists() or not list((here / "runs").rglob("*.npz"))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--optimizer=adam"], "--optimizer is not the same in process 1 as in process 0: start all of them"),
        (["--data=other.txt"], "--data is not the same in process 1 as in process 0: "),
        (["--config=a.toml"], "--config is not the same in process 1 as in process 0: "),
    ],
)
def test_processes_that_were_started_in_different_ways(here, more, words):
    write_text(here, "another text " * 100, "other.txt")
    (here / "a.toml").write_text("lr = 0.1\n")
    first, second = (
        [sys.executable, TRAIN, *SMALL[1:], *own]
        for own in (SMALL[:1], more if "data" in more[0] else [SMALL[0], *more])
    )
    code, out, err = ended(launched(["-n", 1, *first, ":", "-n", 1, *second], here))
    assert (code, out) == (2, "")
    assert err.startswith(f"train.py: {words}")
    assert err.count("\n") == 1


MISSING = """
import os, sys
if os.environ["PMI_RANK"] in "{where}":
    sys.modules["mpi4py"] = None
from minigrid.cli.start import run
sys.exit(run("train.py", "train"))
"""


@pytest.mark.parametrize("where", ["0", "1", "01", "12"])
def test_mpi4py_is_missing(here, mark, where):
    process = start(3, "-c", MISSING.format(where=where), *SMALL, cwd=here, mark=mark)
    code, out, err = ended(process, 30)
    assert (code, out) == (2, "")
    assert "train.py: the launcher has started 3 processes to train together, which needs mpi4py (" in err
    if where[0] == "0":
        assert err.count("\n") == 1
    else:
        assert err.startswith("on ")
    wait_until(lambda: not processes(mark), 5)


def test_an_option_that_only_one_process_has(here, mark):
    ours = [sys.executable, TRAIN, *SMALL]
    code, _, err = ended(launched(["-n", 1, *ours, ":", "-n", 1, *ours, "--nonsense"], here, mark), 30)
    assert code == 2
    assert "train.py: unrecognized arguments: --nonsense" in err


def test_processes_that_run_different_commands(here):
    train, evaluate = ([sys.executable, "-m", "minigrid", command] for command in ("train", "eval"))
    code, _, err = ended(launched(["-n", 1, *train, *SMALL, ":", "-n", 1, *evaluate, "x"], here), 30)
    assert code == 2
    assert "the command is not the same in process 1 as in process 0: " in err


def test_processes_that_read_different_texts(here):
    (here / "elsewhere").mkdir()
    write_text(here / "elsewhere", "another text, as long, " * 100)
    ours = [sys.executable, TRAIN, *SMALL]
    code, _, err = ended(launched(["-n", 1, *ours, ":", "-n", 1, "-wdir", here / "elsewhere", *ours], here))
    assert code == 2
    assert err.startswith("train.py: the text is not the same in process 1 as in process 0: start all of them")


FAILS = """
import sys
from minigrid.training.distributed import DistributedStep

step = DistributedStep.__call__

def fail(self, x, y):
    if self.ranks.number == 1 and self.number == 12:
        raise {error}
    return step(self, x, y)

DistributedStep.__call__ = fail
from minigrid.cli.start import run
sys.exit(run("train.py", "train"))
"""


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        ("KeyError('a fault of ours')", 1, "KeyError: 'a fault of ours'"),
        ("MemoryError", 2, "not enough memory: a training step needs about"),
        ("OSError(5, 'a broken disk')", 2, "a broken disk"),
    ],
)
def test_an_error_in_one_process_ends_all_of_them(here, mark, error, code, words):
    process = start(2, "-c", FAILS.format(error=error), *SMALL, "--run=run", cwd=here, mark=mark)
    found, _, err = ended(process, 30)
    assert found == code
    assert "(process 1): " in err or "(process 1):\n" in err
    assert words in err
    wait_until(lambda: not processes(mark), 5)
    assert step_of(here / "run" / "last.npz") == 0
