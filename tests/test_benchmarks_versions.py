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


def test_a_checkout_beside_itself(monkeypatch):
    monkeypatch.setattr(versions, "SECONDS", 0.05)
    row = versions.compare("lstm:1x8", ROOT, pairs=2)
    number = r"\d+\.\d+"
    assert re.fullmatch(
        rf"\| lstm:1x8 \| {number} \| {number} \| {number} \({number} to {number}\) \| the same \|", row
    )


def test_a_folder_that_is_no_checkout(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["versions", str(tmp_path)])
    with pytest.raises(SystemExit):
        versions.main()
    assert "has no folder minigrid: give the folder of a checkout" in capsys.readouterr().err
