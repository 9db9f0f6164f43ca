"""Processes that are killed at every moment: see the two scripts, which do more of it."""

import os

import pytest
from run_fixtures import HERE, outcome, python

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no os.fork")

# the scenarios whose operations differ
EVERYWHERE = [
    "train again from another run",
    "train further",
    "train in too little memory",
    "load a large text",
    "inspect",
    "sample",
]


def well(tmp_path, script, *arguments):
    """A script that finds a fault exits with code 1 and prints it."""
    code, out, err = outcome(python(HERE / script, *arguments, cwd=tmp_path), seconds=600)
    assert code == 0, out + err


def test_a_run_stopped_at_a_file_operation_ends_as_one_that_was_not(tmp_path):
    well(tmp_path, "kill_operations.py", "train", "--every=24")


@pytest.mark.long
@pytest.mark.parametrize("how", ["kill", "half"])
@pytest.mark.parametrize("scenario", EVERYWHERE)
def test_a_kill_at_every_file_operation(tmp_path, scenario, how):
    well(tmp_path, "kill_operations.py", scenario, f"--how={how}")


@pytest.mark.long
def test_stops_of_every_kind(tmp_path):
    well(tmp_path, "kill_operations.py", "--every=20")


@pytest.mark.long
def test_kills_at_random_moments(tmp_path):
    well(tmp_path, "kill_runs.py", "--kills=3", f"--out={tmp_path / 'runs'}")
