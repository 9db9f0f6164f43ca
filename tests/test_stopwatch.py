import pytest

from minigrid.runs import stopwatch
from minigrid.runs.stopwatch import Stopwatch


class Clock:
    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(stopwatch, "time", clock)
    return clock


def test_the_pace_counts_from_the_last_restart(clock):
    watch = Stopwatch()
    watch.count()
    clock.now += 10  # the first minibatch is slow
    watch.restart()
    for _ in range(4):
        watch.count()
        clock.now += 0.5
    assert watch.pace() == 2
    assert watch.minibatches == 5


def test_a_pause_does_not_count(clock):
    watch = Stopwatch()
    watch.count()
    clock.now += 0.25
    with watch.paused():
        clock.now += 60
    assert watch.pace() == 4


@pytest.mark.parametrize(("minibatches", "seconds"), [(0, 1.0), (1, 0.0)])
def test_there_is_no_pace_before_anything_is_timed(clock, minibatches, seconds):
    watch = Stopwatch()
    for _ in range(minibatches):
        watch.count()
    clock.now += seconds
    assert watch.pace() is None
