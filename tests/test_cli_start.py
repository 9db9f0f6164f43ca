import os
import signal
import subprocess
import sys
import time

from run_fixtures import CHILD, PROJECT, outcome, python, write_text

from minigrid.cli.start import run
from minigrid.version import __version__

INTERRUPTED = """
import signal
import sys


class Interrupted:
    def find_spec(self, name, path, target=None):
        if name == "numpy":
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise ImportError("as C code of NumPy does")

signal.signal(signal.SIGINT, signal.default_int_handler)
from minigrid.cli.start import run
print("numpy" in sys.modules, flush=True)
sys.meta_path.insert(0, Interrupted())
sys.exit(run())
"""


def test_ctrl_c_during_the_imports_is_no_traceback(tmp_path):
    assert outcome(python("-c", INTERRUPTED, "--help", cwd=tmp_path)) == (130, "False\n", "")


def test_ctrl_c_later_is_handled_as_usual(monkeypatch):
    handlers = []
    monkeypatch.setattr("minigrid.cli.main.main", lambda **given: handlers.append(signal.getsignal(signal.SIGINT)) or 0)
    monkeypatch.setenv("MPLBACKEND", "agg")
    for usual in (signal.default_int_handler, signal.SIG_IGN):
        before = signal.signal(signal.SIGINT, usual)
        assert run() == 0
        assert signal.signal(signal.SIGINT, before) is usual
    assert handlers == [signal.default_int_handler, signal.SIG_IGN]


def test_a_backend_of_matplotlib_that_does_not_exist_is_not_asked_for(tmp_path):
    data = write_text(tmp_path)
    arguments = [f"--data={data}", "--hidden=4", "--batch=4", "--steps=6", "--backend=numpy", "--max-steps=2"]
    for backend in ("module://not_installed.backend", "nonsense"):
        trained = outcome(
            python(PROJECT / "train.py", *arguments, f"--run={backend[:3]}", cwd=tmp_path, MPLBACKEND=backend)
        )
        assert (trained.code, trained.err) == (0, "")
        assert (tmp_path / backend[:3] / "loss.png").exists()


def test_every_program_tells_its_version(tmp_path):
    for program in (["-m", "minigrid"], [PROJECT / "train.py"], [PROJECT / "sample.py"]):
        assert outcome(python(*program, "--version", cwd=tmp_path)) == (0, f"minigrid {__version__}\n", "")


def test_messages_of_a_closed_stderr_go_nowhere(tmp_path):
    command = f"{sys.executable} -m minigrid sample nothing 2>&-"
    found = subprocess.run(command, shell=True, cwd=tmp_path, env=os.environ | CHILD, capture_output=True)
    assert (found.returncode, found.stdout) == (2, b"")


def test_a_request_to_terminate_leaves_no_temporary_file(tmp_path):
    arguments = ["pretrained:toywiki-grid-1", "--length=100000000", "--out=long.txt"]
    process = python("-m", "minigrid", "sample", *arguments, cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.iterdir())
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    process.communicate()


def test_matplotlib_does_not_complain_of_a_home_that_cannot_be_written_to(tmp_path):
    nowhere = {"HOME": "/dev/null", "MPLCONFIGDIR": "/dev/null/matplotlib"}
    arguments = ["inspect", "pretrained:toywiki-grid-1", "--text=The"]
    found = outcome(python("-m", "minigrid", *arguments, cwd=tmp_path, **nowhere))
    assert found == (0, "wrote gates.html and gates.png\n", "")
