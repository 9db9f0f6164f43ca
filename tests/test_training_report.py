import io
import re
import sys
from types import SimpleNamespace

import pytest
from run_checks import stopped
from run_fixtures import addition_config, text_config, trained, write_text

from minigrid.cli.training_report import TrainingReport
from minigrid.runs.loop import train
from minigrid.runs.start import resume_run, start_run

pytestmark = pytest.mark.usefixtures("empty_folder", "no_pictures")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_what_is_printed(tmp_path, data, capsys):
    with TrainingReport() as report:
        trained(tmp_path / "run", text_config(data, max_steps=40, eval_every=20), report)
    out, err = capsys.readouterr()
    where, first, estimate, *_ = out.splitlines()
    assert where == f"training in {tmp_path / 'run'} ({data})"
    assert first.startswith("grid 2 x 8 on CPU, NumPy ")
    assert f"{2 * 31 * 8 + 31 + 3 * (8 * 8 * 8 + 4 * 8):,} parameters" in first
    assert re.fullmatch(r"about \S+ s per minibatch: 00:0\d per epoch, 00:0\d to the end, plus validations", estimate)
    assert out.count("s per minibatch") == 1
    validation = (
        r"step 20, epoch 0\.\d\d: training loss \d\.\d{4}, validation loss \d\.\d{4} nats, "
        r"\d\.\d{4} bits per character \(best so far\)"
    )
    assert re.search(f"^{validation}$", out, re.MULTILINE)
    assert "step 40, epoch " in out
    assert err == ""  # no bar in a file


def test_the_estimate_counts_the_steps_that_are_left(capsys):
    for val, ending in ((range(2), ", plus validations"), (None, "")):
        task = SimpleNamespace(train=range(10), val=val)
        run = SimpleNamespace(step=SimpleNamespace(number=3), total_steps=63, task=task)
        TrainingReport().estimated(run, 60.0)
        line = f"about 60 s per minibatch: 10:00 per epoch, 1:00:00 to the end{ending}\n"
        assert capsys.readouterr().out == line


def test_addition_is_reported_in_digits_and_answers(tmp_path, capsys):
    with TrainingReport() as report:
        trained(tmp_path / "run", addition_config(max_steps=10), report)
    assert re.search(r"\d% of digits and \d+\.\d\d% of answers correct \(best so far\)", capsys.readouterr().out)


def test_bars_are_drawn_on_a_terminal(tmp_path, data, monkeypatch):
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with TrainingReport() as report:
        trained(tmp_path / "run", text_config(data, max_steps=20, eval_every=10), report)
    assert "20/20" in terminal.getvalue()
    assert "validating" in terminal.getvalue()
    assert re.search(r"loss \d\.\d{3} \(\d\.\d{3} bits\), \S+k/s, \|g\| ", terminal.getvalue())


def test_the_bar_of_a_resumed_run_begins_where_the_run_stopped(tmp_path, data, monkeypatch):
    stopped(start_run(text_config(data, max_steps=20), tmp_path / "run"), 7)
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with TrainingReport() as report:
        train(resume_run(tmp_path / "run"), report)
    assert "7/20" in terminal.getvalue()
    assert "20/20" in terminal.getvalue()


def test_a_run_that_is_stopped_closes_its_bars(tmp_path, data, monkeypatch):
    class Stopped(TrainingReport):
        def validating(self, done, total):
            super().validating(done, total)
            raise KeyboardInterrupt

    monkeypatch.setattr("sys.stderr", Terminal())
    with pytest.raises(KeyboardInterrupt), Stopped() as report:
        trained(tmp_path / "run", text_config(data, max_steps=20, eval_every=10), report)
    assert report._bar.disable
    assert report._validation.disable


def test_a_stop_is_confirmed(capsys):
    TrainingReport().stopping()
    assert "stopping after this minibatch, then saving; press Ctrl-C again to stop at once" in capsys.readouterr().err


def test_a_note_is_printed(capsys):
    report = TrainingReport()
    for _ in range(2):
        report.note("cannot write a\x1b[2J.png")
    assert capsys.readouterr().out == "note: cannot write a\\x1b[2J.png\n"


@pytest.mark.parametrize("val_fraction", [0.05, 0])
def test_a_log_file_shows_the_training_loss(tmp_path, data, capsys, monkeypatch, val_fraction):
    monkeypatch.setattr("minigrid.cli.training_report.LOG_SECONDS", 0)
    with TrainingReport() as report:
        trained(tmp_path / "run", text_config(data, max_steps=35, val_fraction=val_fraction), report)
    lines = re.findall(
        r"^step (\d+) of 35, epoch 0\.\d\d: training loss \d\.\d{4} nats, \d+\.\dk characters/s$",
        capsys.readouterr().out,
        re.MULTILINE,
    )
    assert lines == ["10", "20", "30", "35"]


def test_a_log_file_is_not_flooded(tmp_path, data, capsys):
    with TrainingReport() as report:
        trained(tmp_path / "run", text_config(data, max_steps=60), report)
    assert re.findall(r"^step (\d+) of 60", capsys.readouterr().out, re.MULTILINE) == ["10", "60"]


def test_a_terminal_needs_no_log(tmp_path, data, monkeypatch):
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{stream}", Terminal())
    with TrainingReport() as report:
        trained(tmp_path / "run", text_config(data, max_steps=20), report)
    assert "step 10 of" not in sys.stdout.getvalue()
    assert "validation loss" in sys.stdout.getvalue()


def test_control_characters_in_a_sample_are_escaped(tmp_path, capsys):
    text = write_text(tmp_path, "\x1b[2J\x07" * 500)
    with TrainingReport() as report:
        trained(tmp_path / "run", text_config(text, max_steps=2), report)
    out = capsys.readouterr().out
    assert "\\x1b" in out
    assert "\x1b" not in out
