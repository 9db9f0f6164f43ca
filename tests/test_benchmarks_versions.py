"""The comparison of the training steps of two checkouts."""

import re
from pathlib import Path

import pytest

from benchmarks import versions

ROOT = Path(__file__).parent.parent


def test_the_interval_of_a_median():
    """With 20 numbers, the ends are the 6th from each side; the median is between them in 95.9 % of all samples."""
    numbers = [float(k) for k in range(1, 21)]
    assert versions.median_with_interval(numbers[::-1]) == (6, 10.5, 15)
    assert versions.median_with_interval([3.0, 1.0, 2.0]) == (1, 2, 3)


def test_the_sides_take_turns_in_coming_first(monkeypatch):
    """This checkout takes 2 s per step, the other one 3."""
    other = Path("other")
    calls: list[tuple[Path, int]] = []  # checkout and steps; no steps: the process ended

    class Side:
        def __init__(self, checkout, size):
            assert size == "lstm:1x8"
            self.checkout = checkout

        def seconds(self, steps):
            calls.append((self.checkout, steps))
            return 3.0 if self.checkout == other else 2.0

        def digest(self):
            calls.append((self.checkout, 0))
            return "a digest"

    monkeypatch.setattr(versions, "Side", Side)
    monkeypatch.setattr(versions, "SECONDS", 20)
    row = versions.compare("lstm:1x8", other, pairs=2)
    assert row == "| lstm:1x8 | 2000.00 | 3000.00 | 1.500 (1.500 to 1.500) | the same |"
    assert calls == [
        *((side, steps) for steps in (3, 10, 0) for side in (other, ROOT)),
        *((side, steps) for steps in (3, 10, 0) for side in (ROOT, other)),
    ]


def test_a_checkout_beside_itself_has_two_processes(monkeypatch):
    started = []

    class Counted(versions.Side):
        def __init__(self, *args):
            super().__init__(*args)
            started.append(self._process)

    monkeypatch.setattr(versions, "Side", Counted)
    monkeypatch.setattr(versions, "SECONDS", 0.05)
    row = versions.compare("lstm:1x8", ROOT, pairs=2)
    number = r"\d+\.\d+"
    assert re.fullmatch(
        rf"\| lstm:1x8 \| {number} \| {number} \| {number} \({number} to {number}\) \| the same \|", row
    )
    assert len(started) == 4
    assert all(process.returncode == 0 for process in started)


def test_a_folder_that_is_no_checkout(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["versions", str(tmp_path)])
    with pytest.raises(SystemExit):
        versions.main()
    assert "has no folder minigrid: give the folder of a checkout" in capsys.readouterr().err
