import io
import os
import signal
import sys
from argparse import Namespace
from types import SimpleNamespace

import pytest
from run_fixtures import call

from minigrid.backend.ranks import ALONE, Ranks
from minigrid.cli import launch as module
from minigrid.cli.launch import Launch, is_awaited, launch, launched_ranks, refuse_launch, share_terminal, tell
from minigrid.errors import UserError

LAUNCHES = {
    "MPICH": ({"PMI_RANK": "1", "PMI_SIZE": "4"}, Launch(1, 4)),
    "Open MPI": (
        {"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "8"},
        Launch(3, 8),
    ),
    "srun": (
        {"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "3", "SLURM_NTASKS": "3"},
        Launch(2, 3),
    ),
    "one process": ({"PMI_RANK": "0", "PMI_SIZE": "1"}, Launch()),
    "an allocation of Slurm": ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, Launch()),
    "an interactive shell of srun": ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, Launch()),
    "something else": ({"PMI_RANK": "x", "PMI_SIZE": "y"}, Launch()),
    "nothing": ({}, Launch()),
}


options = Namespace(parser=SimpleNamespace(flags={"lr": "--lr"}, prog="train.py"), lr=0.1, device=1, command=print)


@pytest.fixture(autouse=True)
def no_launch(monkeypatch):
    for names in module.VARIABLES:
        for name in names:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module, "_joined", False)


@pytest.fixture
def launched(monkeypatch):
    """This process is one of two that mpiexec has started; returns a function that says which."""

    def be(number):
        for name, value in {"PMI_RANK": number, "PMI_SIZE": 2}.items():
            monkeypatch.setenv(name, str(value))

    return be


@pytest.mark.parametrize(("variables", "expected"), LAUNCHES.values(), ids=LAUNCHES)
def test_what_launchers_say(monkeypatch, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launch() == expected


def test_a_process_on_its_own_imports_no_mpi(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with launched_ranks(options) as ranks:
        assert ranks is ALONE


@pytest.mark.parametrize(
    "arguments", ["sample x", "inspect x --text a", "plot x", "list", "gradcheck", "eval x --text abc"]
)
def test_what_cannot_be_shared_is_refused(capsys, launched, arguments):
    launched(0)
    outcome = call(capsys, *arguments.split())
    assert outcome.code == 2
    assert (
        "takes one process, and 2 have been started: leave out `mpiexec`, or what else has started them.\n"
        in outcome.err
    )


def test_one_process_may_do_anything():
    refuse_launch("anything")


class Comm:
    """A communicator whose other rank is not there."""

    rank, size = 1, 2

    def __init__(self):
        self.aborted = []

    def allgather(self, value):
        return [value, value]

    def Abort(self, code):  # noqa: N802  # mpi4py's name
        self.aborted.append(code)
        raise SystemExit(code)


@pytest.fixture
def comm(monkeypatch, launched):
    launched(1)
    made = Comm()
    monkeypatch.setattr("minigrid.backend.ranks.connect", lambda size: Ranks(made))
    monkeypatch.setattr("minigrid.backend.blas.share_cores", lambda ranks: 1)
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    return made


@pytest.fixture
def last_words(monkeypatch):
    """What this process says to the terminal, even if it is not the first one."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stream)
    return stream


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UserError("`lr` is wrong"), 2, ": --lr is wrong\n"),
        (MemoryError(), 2, ": not enough memory\n"),
        (OSError(5, "broken", "a.txt"), 2, ": cannot use a.txt: broken\n"),
        (KeyError("x"), 1, "KeyError: 'x'\n"),
    ],
)
def test_an_error_of_one_rank_is_told_and_ends_all(comm, last_words, error, code, words):
    with pytest.raises(SystemExit), launched_ranks(options):
        raise error
    assert comm.aborted == [code]
    assert last_words.getvalue().startswith("on ")
    assert last_words.getvalue().endswith(words)


def test_options_must_be_the_same_but_for_the_device(monkeypatch, comm):
    others = {"the command": "train.py", "`lr`": 0.2}
    comm.allgather = lambda value: [others, value]
    with pytest.raises(UserError, match="`lr` is not the same in process 1 as in process 0: "), launched_ranks(options):
        pass
    others["`lr`"] = 0.1
    with launched_ranks(options):
        pass
    assert comm.aborted == []


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143), (SystemExit("x"), 1)])
def test_a_signal_to_one_rank_ends_all_without_words(comm, last_words, error, code):
    with pytest.raises(SystemExit), launched_ranks(options):
        raise error
    assert (comm.aborted, last_words.getvalue()) == ([code], "")


def test_an_error_that_all_ranks_have_ends_each_of_them(comm, last_words):
    def fail():
        raise UserError("the same everywhere")

    with pytest.raises(UserError, match=r"\(process 1\): the same everywhere"), launched_ranks(options) as ranks:
        ranks.each(fail)
    assert (comm.aborted, last_words.getvalue()) == ([], "")


class EndedError(Exception):
    pass


@pytest.fixture
def ends(monkeypatch):
    """How this process ends itself and the others: what it says to MPICH's launcher, and signals to itself."""
    read, write = os.pipe()
    monkeypatch.setenv("PMI_FD", str(write))
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)

    def kill(process, number):
        assert process == os.getpid()
        raise EndedError(number)

    monkeypatch.setattr(os, "kill", kill)
    before = signal.getsignal(signal.SIGTERM)
    yield lambda: os.read(read, 1000)
    signal.signal(signal.SIGTERM, before)
    os.close(read)
    os.close(write)


def test_a_process_that_cannot_join_ends_the_others(launched, ends, monkeypatch, last_words):
    launched(1)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    print("train.py: no MPI here.", file=sys.stderr)
    with pytest.raises(EndedError):
        module.end_all(2)
    assert ends() == b"cmd=abort exitcode=2\n"
    assert last_words.getvalue().startswith("on ")
    assert last_words.getvalue().endswith(": train.py: no MPI here.\n")


def test_the_first_process_has_said_it_already(launched, ends, last_words):
    launched(0)
    with pytest.raises(EndedError):
        module.end_all(1)
    assert (ends(), last_words.getvalue()) == (b"cmd=abort exitcode=1\n", "")


def test_other_launchers_notice_by_themselves(launched, ends, monkeypatch):
    launched(0)
    monkeypatch.delenv("PMI_FD")
    module.end_all(2)


def test_a_process_is_awaited_until_it_has_joined(comm, launched):
    assert is_awaited()
    with launched_ranks(options):
        assert not is_awaited()


def test_a_process_on_its_own_is_not_awaited():
    assert not is_awaited()


@pytest.mark.usefixtures("heeded_signals")
def test_signals_kill_while_the_process_joins(monkeypatch, comm):
    handlers = []

    def connect(size):
        handlers.extend(signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM))
        return Ranks(comm)

    monkeypatch.setattr("minigrid.backend.ranks.connect", connect)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with launched_ranks(options):
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)
    assert handlers == [signal.SIG_DFL, signal.SIG_IGN]


def test_only_the_first_process_prints(monkeypatch, launched):
    for number in (0, 1):
        launched(number)
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        streams = sys.stdout, sys.stderr
        share_terminal()
        print("out")
        print("err", file=sys.stderr)
        assert [stream.getvalue() for stream in streams] == (
            [f"{name}\n" for name in ("out", "err")] if not number else ["", ""]
        )


def test_a_long_message_is_cut_and_control_characters_are_shown(last_words):
    tell(UserError("a\x1b[2J" + "x" * 2000), "on here", {})
    assert "a\\x1b[2J" in last_words.getvalue()
    assert len(last_words.getvalue()) < 800


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs Linux's /proc")
def test_without_a_launcher_there_is_no_terminal_of_one():
    assert module._launchers_terminal() is None
