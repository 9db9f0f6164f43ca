import io

import pytest
from run_fixtures import outcome, python

from minigrid.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "drawn"), [(Terminal(), True), (io.StringIO(), False), (None, False)])
def test_a_bar_is_drawn_on_a_terminal_only(monkeypatch, stream, drawn):
    monkeypatch.setattr("sys.stderr", stream)
    assert list(progress_bar(range(3), desc="reading")) == [0, 1, 2]
    assert bool(stream and "reading" in stream.getvalue()) == drawn


def test_a_gradient_check_needs_no_stderr(tmp_path):
    script = "import sys; sys.stderr = None; from minigrid.cli.main import main; sys.exit(main(['gradcheck']))"
    assert outcome(python("-c", script, cwd=tmp_path)).code == 0


def test_a_bar_takes_no_semaphore(tmp_path):
    look = "import sys; from minigrid.progress import progress_bar; progress_bar([1]); print(*sys.modules)"
    code, out, err = outcome(python("-c", look, cwd=tmp_path))
    assert code == 0, err
    assert "multiprocessing.synchronize" not in out.split()
