"""Several processes and a real MPI; test_distributed.py and test_ranks.py test the same code with threads."""

import os
import signal
import sys

import pytest
from mpi_fixtures import MPIEXEC, SMALL, TRAIN, ended, needs_mpi, processes, start, wait_until
from run_checks import differences, params_of, step_of
from run_fixtures import CHILD, HERE, PROJECT, arrays_of, metrics_of, outcome, python, same_bits

pytestmark = [needs_mpi, pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs Linux's /proc")]

SLOW = [HERE / "stopped_run.py", "slowly", 10, "train"]  # saves after every step, and draws nothing
SETTINGS = {
    "rmsprop": ["--model=grid"],
    "adam": ["--model=lstm", "--optimizer=adam", "--clip-norm=0.5", "--val-fraction=0.3"],
}


def well(process, seconds=60):
    """A launch that succeeds, and what it prints."""
    code, out, err = ended(process, seconds)
    assert code == 0, out + err
    return out


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_three_processes_train_as_one_does(here, settings):
    arguments = [*SMALL, *settings, "--max-steps=30", "--eval-every=15"]
    alone = outcome(python(TRAIN, *arguments, "--run=one", cwd=here))
    assert alone.code == 0, alone.err
    out = well(start(3, TRAIN, *arguments, "--run=three", cwd=here))
    assert out.count("training in three") == 1
    assert "3 processes share each minibatch, 2 or 3 of 7 sequences each; 1 thread each\n" in out
    one, three = here / "one", here / "three"
    assert sorted(file.name for file in one.iterdir()) == sorted(file.name for file in three.iterdir())
    for record, other in zip(metrics_of(one), metrics_of(three), strict=True):
        assert record.keys() == other.keys()
        assert record["loss"] == pytest.approx(other["loss"], rel=1e-5)
    a, b = (arrays_of(folder / "last.npz") for folder in (one, three))
    assert {name: (array.shape, array.dtype) for name, array in a.items()} == {
        name: (array.shape, array.dtype) for name, array in b.items()
    }
    assert all(abs(a[name] - b[name]).max() < 1e-4 for name in a)


def test_the_same_number_of_processes_gives_the_same_bits_whatever_stops_them(here, mark):
    arguments = [*SMALL, "--max-steps=60", "--eval-every=25"]
    well(start(2, *SLOW, *arguments, "--run=whole", cwd=here))
    again, last = ["--run=stopped", "--resume"], here / "stopped" / "last.npz"
    for stop, (number, whom) in enumerate([(signal.SIGTERM, -1), (signal.SIGKILL, -1), (signal.SIGINT, 0)]):
        process = start(2, *SLOW, *(again if stop else [*arguments, "--run=stopped"]), cwd=here, mark=mark)
        wait_until(lambda least=15 * (stop + 1): last.exists() and step_of(last) >= least)
        ranks = processes(mark, "stopped_run.py")
        assert len(ranks) >= 2
        if number == signal.SIGINT:
            process.send_signal(number)  # to mpiexec, as a terminal does
        else:
            os.kill(ranks[whom], number)
        code, _, err = ended(process, 30)
        assert code == (signal.SIGKILL if number == signal.SIGKILL else 130), err
        if number != signal.SIGKILL:
            assert "to continue: mpiexec -n 2 " in err
        wait_until(lambda: not processes(mark), 5)
    well(start(2, *SLOW, *again, cwd=here))
    assert differences(here / "stopped", here / "whole") == []


@pytest.mark.parametrize("count", [1, 2])
def test_any_number_of_processes_continues_a_run(here, count):
    well(start(3, *SLOW, *SMALL, "--max-steps=20", "--run=three", cwd=here))
    well(start(3, *SLOW, "--run=three", "--resume", "--max-steps=20", cwd=here))
    before = params_of(here / "three" / "last.npz")
    out = well(start(count, TRAIN, "--run=three", "--resume", "--max-steps=40", cwd=here))
    assert "from step 20" in out
    assert not same_bits(before, params_of(here / "three" / "last.npz"))
    assert outcome(python(PROJECT / "sample.py", "three", "--length=20", cwd=here)).code == 0


def test_several_processes_evaluate_as_one_does(here):
    well(start(2, *SLOW, *SMALL, "--max-steps=5", "--run=run", cwd=here))
    for what in ([], ["--part=train"], ["--data=text.txt"]):
        alone = outcome(python("-m", "minigrid", "eval", "run", *what, cwd=here))
        assert alone.code == 0, alone.err
        assert well(start(3, "-m", "minigrid", "eval", "run", *what, cwd=here)) == alone.out


def test_the_gradients_of_several_processes_are_checked(here):
    out = well(start(2, "-m", "minigrid", "gradcheck", "--train-step", "--dropout=0.3", "--batch=3", cwd=here))
    assert out.count("passed: ") == 1


def test_a_reader_that_leaves_stops_the_run_and_it_is_saved(here, mark):
    process = start(2, *SLOW, *SMALL, "--run=run", cwd=here, mark=mark)
    assert process.stdout.readline().startswith("training in run")
    process.stdout.close()
    assert process.wait(30) != 0
    wait_until(lambda: not processes(mark), 5)
    assert step_of(here / "run" / "last.npz") >= 0
    process.stderr.close()


def test_one_process_is_the_plain_run(here):
    code = (
        "import sys; from minigrid.cli.start import run; code = run('train.py', 'train')\n"
        "sys.exit(code or 'mpi4py' in sys.modules)"
    )
    out = well(start(1, "-c", code, *SMALL, "--max-steps=2", cwd=here))
    assert "processes" not in out


def test_an_allocation_alone_is_no_launch(here):
    job = {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7", "SLURM_NPROCS": "4"}
    alone = outcome(python(TRAIN, *SMALL, "--max-steps=2", cwd=here, **job))
    assert (alone.code, alone.err) == (0, "")
    assert "processes" not in alone.out


def test_the_progress_bar_is_shown_on_the_launchers_terminal(here):
    import pty  # Windows has none

    controller, terminal = pty.openpty()
    command = [MPIEXEC, "-n", "2", sys.executable, TRAIN, *SMALL, "--max-steps=30"]
    child = os.fork()
    if child == 0:
        os.chdir(here)
        for number in (1, 2):
            os.dup2(terminal, number)
        os.execve(command[0], list(map(str, command)), os.environ | CHILD)
    os.close(terminal)
    shown = b""
    try:
        while part := os.read(controller, 10_000):
            shown += part
    except OSError:  # the terminal is closed at the other end
        pass
    os.close(controller)
    assert os.waitpid(child, 0)[1] == 0
    assert b"\r100%|" in shown
    assert shown.count(b"training in ") == 1


def test_gradients_of_gpus_go_through_the_host(here):
    """On the stand-in, where each process has a GPU of its own."""
    settings = [*SMALL[:-2], "--max-steps=4", "--eval-every=4"]
    well(start(2, TRAIN, *settings, "--backend=numpy", "--run=cpu", cwd=here))
    path = os.pathsep.join([str(HERE / "stand_in"), str(PROJECT)])
    out = well(start(2, TRAIN, *settings, "--backend=cupy", "--run=gpu", cwd=here, PYTHONPATH=path), 300)
    assert "; gradients go through the host\n" in out
    cpu, gpu = (metrics_of(here / name) for name in ("cpu", "gpu"))
    assert [record["loss"] for record in gpu] == pytest.approx([record["loss"] for record in cpu], rel=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("count", [3])
def test_every_model_trains_as_in_one_process(tmp_path, count):
    out = well(start(count, HERE / "mpi_training.py", 200, cwd=tmp_path), 600)
    assert f"{count} ranks, 200 steps: largest relative error " in out


@pytest.mark.long
def test_killed_ranks(tmp_path):
    code, out, err = outcome(
        python(HERE / "kill_ranks.py", "--kills=3", f"--out={tmp_path / 'runs'}", cwd=tmp_path), 600
    )
    assert code == 0, out + err
