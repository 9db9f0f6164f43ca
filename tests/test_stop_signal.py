"""Signals that stop a run."""

import signal
import threading

import pytest
from run_checks import (
    stopping,
)
from run_fixtures import (
    text_config,
    trained,
)

from minigrid.runs.loop import train
from minigrid.runs.run import InterruptedRunError
from minigrid.runs.start import resume_run, start_run
from minigrid.runs.stop_signal import StopRequest, stop_signal

pytestmark = pytest.mark.usefixtures("empty_folder", "no_pictures")


@pytest.mark.usefixtures("heeded_signals")
def test_a_signal_stops_the_run_and_the_old_handlers_come_back(tmp_path, data):
    signals = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = [signal.getsignal(number) for number in signals]
    for number, sent in enumerate(signals, start=3):
        run = start_run(text_config(data), tmp_path / f"run{number}")
        with stopping(number, sent), pytest.raises(InterruptedRunError):
            train(run)
        assert run.step.number == number
    assert [signal.getsignal(number) for number in signals] == before


def test_two_kinds_of_signal_at_once_lose_nothing(tmp_path, data):
    run = start_run(text_config(data), tmp_path / "run")
    with stopping(7, signal.SIGTERM, signal.SIGINT), pytest.raises(InterruptedRunError):
        train(run)
    assert resume_run(tmp_path / "run").step.number == 7


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_under_nohup_a_run_outlives_its_terminal(tmp_path, data):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping(3, signal.SIGHUP):
            assert trained(tmp_path / "run", text_config(data, max_steps=5)).step.number == 5
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_ctrl_c_does_not_wait(tmp_path, data):
    with stopping(5, signal.SIGINT, signal.SIGINT), pytest.raises(KeyboardInterrupt):
        train(start_run(text_config(data), tmp_path / "run"))
    assert resume_run(tmp_path / "run").step.number == 0


def test_a_request_is_announced_once():
    announced = []
    stop = StopRequest(lambda: announced.append(stop.requested))
    assert not stop.requested
    stop.receive(signal.SIGTERM)
    stop.receive(signal.SIGINT)
    assert stop.requested
    assert announced == [True]
    with pytest.raises(KeyboardInterrupt):
        stop.receive(signal.SIGINT)


@pytest.mark.parametrize("error", [BrokenPipeError, RuntimeError("reentrant call inside <_io.BufferedWriter>")])
def test_a_failing_announcement_does_not_matter(error):
    def fail():
        raise error

    stop = StopRequest(fail)
    stop.receive(signal.SIGINT)
    assert stop.requested


def test_signals_are_received_within_the_context_only():
    before = signal.getsignal(signal.SIGINT)
    with stop_signal() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_receives_no_signals():
    handlers = []

    def look():
        with stop_signal() as stop:
            handlers.append(signal.getsignal(signal.SIGINT))
            assert not stop.requested

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [before]
