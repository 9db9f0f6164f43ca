"""What experiments keep in files."""

import numpy as np
import pytest
from run_fixtures import PROJECT

from experiments.store import (
    read_records,
    read_results,
    rounded,
    thinned,
    write_by_line,
    write_records,
    write_results,
)


def train(step, loss=1 / 3):
    return {"split": "train", "step": step, "loss": loss, "per_second": 12345678}


def val(step):
    return {"split": "val", "step": step, "loss": 2 / 3, "sample": "text"}


def steps_of(records):
    return [record["step"] for record in records if record["split"] == "train"]


def test_the_first_every_tenth_and_the_last_training_record_are_kept():
    assert steps_of(thinned([train(k) for k in range(1, 36)])) == [1, 10, 20, 30, 35]
    assert steps_of(thinned([train(k) for k in range(1, 21)])) == [1, 10, 20]
    assert steps_of(thinned([train(k) for k in range(1, 4)])) == [1, 3]
    assert steps_of(thinned([train(1)])) == [1]
    assert thinned([]) == []


def test_validation_records_are_kept_unchanged_and_in_their_place():
    records = [train(1), val(1), train(2), val(2), train(3), val(3)]
    assert thinned(records) == [train(1, 0.333333), val(1), val(2), train(3, 0.333333), val(3)]


def test_values_are_rounded_to_significant_digits():
    value = {1: np.array([0.123456789]), "list": (1, 2.5, True), "deep": {"x": np.float64(3)}}
    assert rounded(value, 5) == {"1": [0.12346], "list": [1, 2.5, True], "deep": {"x": 3.0}}
    assert rounded(1.23456789e-5, 6) == 1.23457e-05


def test_files_hold_what_was_written(tmp_path):
    value = {"a": [1.5, None], "b": {"text": "ä"}}
    for write in (write_results, write_by_line):
        file = tmp_path / write.__name__ / "file.json"
        write(file, value)
        assert read_results(file) == value
    assert (tmp_path / "write_by_line" / "file.json").read_text().count("\n") == 4
    file = tmp_path / "metrics" / "run.jsonl"
    write_records(file, [train(1), val(1)])
    assert read_records(file) == [train(1), val(1)]


@pytest.mark.parametrize(
    "file",
    sorted((PROJECT / "experiments").glob("*/metrics/*.jsonl")),
    ids=lambda file: f"{file.parts[-3]}-{file.stem}",
)
def test_the_committed_metrics_are_thinned(file):
    records = read_records(file)
    first, *steps, _ = steps_of(records)
    assert first == 10
    assert steps == [100 * k for k in range(1, len(steps) + 1)]
    training = [record for record in records if record["split"] == "train"]
    assert rounded(training, 6) == training
    assert records[-1]["split"] == "run"
