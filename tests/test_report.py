"""The report of a training run as others use it."""

import pytest
from run_fixtures import text_config, trained, write_text

from minigrid.errors import Notice
from minigrid.runs import loop
from minigrid.runs.report import Report


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loop, "_draw", lambda run, report: None)


class Diary(Report):
    """Notes every call with the step at which it came."""

    def __init__(self):
        self.calls = []

    def started(self, run):
        self.calls.append(("started", run.step.number))

    def estimated(self, run, seconds):
        assert seconds > 0
        self.calls.append(("estimated", run.step.number))

    def trained(self, run):
        self.calls.append(("trained", run.step.number))

    def recorded(self, run, record):
        assert record is run.state.metrics[-1]
        self.calls.append(("recorded", record["step"]))

    def validating(self, done, total):
        self.calls.append(("validating", done, total))

    def validated(self, run, record, is_best):
        assert record is run.state.metrics[-1]
        assert is_best == (record["loss"] == run.state.best)
        self.calls.append(("validated", record["step"]))


def test_what_is_reported_and_when(tmp_path):
    diary = Diary()
    run = trained(tmp_path / "run", text_config(write_text(tmp_path), max_steps=15, eval_every=10), diary)
    total = len(run.task.val)
    validating = [("validating", done, total) for done in range(total + 1)]
    steps = [("trained", step) for step in range(1, 16)]
    assert diary.calls == [
        ("started", 0), *steps[:2], ("estimated", 3), *steps[2:9],
        ("recorded", 10), *validating, ("validated", 10), *steps[9:14],
        ("recorded", 15), *validating, ("validated", 15), steps[14],
    ]  # fmt: skip


def test_nothing_is_printed_without_a_report(tmp_path, capsys):
    trained(tmp_path / "run", text_config(write_text(tmp_path), max_steps=15, eval_every=10))
    assert capsys.readouterr() == ("", "")


def test_a_note_becomes_a_warning():
    with pytest.warns(Notice, match=r"^cannot write loss\.png$"):
        Report().note("cannot write loss.png")
