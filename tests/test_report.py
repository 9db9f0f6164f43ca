"""The report of a training run as others use it."""

import pytest
from run_fixtures import text_config, trained, write_text
from thread_ranks import on_ranks

from minigrid.backend.ranks import is_agreed
from minigrid.errors import Notice
from minigrid.runs import loop
from minigrid.runs.report import RankReport, Report


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


# -- of several ranks


class Told(Report):
    """Notes what it is told, by all methods of a report."""

    def __init__(self, failing=None, error=None):
        self.calls = []
        for name in METHODS:
            setattr(self, name, self._method(name, error if name == failing else None))

    def _method(self, name, error):
        def call(*what, **more):
            self.calls.append((name, what, more))
            if error is not None:
                raise error

        return call


METHODS = [name for name, method in vars(Report).items() if callable(method) and not name.startswith("_")]


def test_only_the_first_rank_is_reported():
    assert set(METHODS) >= {"started", "trained", "recorded", "validating", "validated", "stopping", "note"}

    def report(ranks):
        told = Told()
        report = RankReport(told, ranks)
        for name in METHODS:
            assert getattr(report, name)(name, total=ranks.number) is None
        assert (report.is_lost, report.error) == (False, None)
        return told.calls

    assert on_ranks(3, report) == [[(name, (name,), {"total": 0}) for name in METHODS], [], []]


@pytest.mark.parametrize("failing", METHODS)
def test_a_report_that_has_lost_its_reader_is_lost_on_the_first_rank_and_told_no_more(failing):
    broken = BrokenPipeError(32, "Broken pipe")

    def report(ranks):
        told = Told(failing, broken)
        report = RankReport(told, ranks)
        for name in METHODS:
            getattr(report, name)()
        with pytest.raises(BrokenPipeError) as raised:
            ranks.first(report.close)
        assert is_agreed(raised.value)
        return report.is_lost, report.error, [name for name, *_ in told.calls]

    first, *others = on_ranks(3, report)
    assert first == (True, broken, METHODS[: METHODS.index(failing) + 1])
    assert others == [(False, None, [])] * 2


def test_a_bug_in_a_report_is_not_taken_for_a_lost_reader():
    def report(ranks):
        RankReport(Told("trained", ZeroDivisionError()), ranks).trained()

    with pytest.raises(ZeroDivisionError) as caught:
        on_ranks(2, report)
    assert not is_agreed(caught.value)
