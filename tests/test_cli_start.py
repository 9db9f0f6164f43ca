import signal

from run_fixtures import PROJECT, outcome, python, write_text

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
