"""Jobs that are measured in other processes, and succeed, fail, hang, or cannot start."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.gpu import measure
from benchmarks.gpu.helpers.lines import lines_of

ROOT = Path(__file__).parent.parent

JOBS = [("minigrid", "float32", f"lstm:1x{H}") for H in (1, 2, 3)]

WORKER = """
import json, os, sys, time
def say(**line): print(json.dumps(line), flush=True)
{begin}
print("a library says something")
say(start=0)
for job in [argument for argument in sys.argv[1:] if not argument.startswith("--")]:
    side, precision, case = job.split("/")
    if case == "lstm:1x2":
        {second}
    say(side=side, precision=precision, case=case, seconds=1)
"""


def measured(monkeypatch, capsys, begin: str = "", second: str = "pass") -> tuple[bool, list[dict]]:
    """Measure JOBS with a worker that misbehaves; return whether all have figures, and the lines."""
    monkeypatch.setattr(measure, "WORKER", (sys.executable, "-c", WORKER.format(begin=begin, second=second)))
    complete = measure.measure(JOBS, [], patience=2, patience_at_start=30)
    return complete, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_jobs_that_go_well(monkeypatch, capsys):
    complete, lines = measured(monkeypatch, capsys)
    assert complete
    assert [line.get("case") for line in lines] == [None, *(case for _, _, case in JOBS)]


@pytest.mark.parametrize(
    ("second", "error"),
    [
        ("say(side=side, precision=precision, case=case, error='oh'); sys.exit(1)", "oh"),
        ("os._exit(9)", "its process ended with exit code 9"),
        ("time.sleep(60)", "no answer within 2 s"),
    ],
)
def test_a_job_that_fails_or_hangs_costs_only_itself(monkeypatch, capsys, second, error):
    complete, lines = measured(monkeypatch, capsys, second=second)
    assert not complete
    lines = [line for line in lines if "case" in line]
    assert [line["case"] for line in lines] == [case for _, _, case in JOBS]
    assert [line.get("error") for line in lines] == [None, error, None]


@pytest.mark.parametrize(
    ("begin", "error"),
    [("say(error='no GPU'); sys.exit(1)", "no GPU"), ("sys.exit(3)", "its process ended with exit code 3")],
)
def test_a_process_that_cannot_start_is_not_tried_again(monkeypatch, capsys, begin, error):
    complete, lines = measured(monkeypatch, capsys, begin=begin)
    assert not complete
    assert [line["error"] for line in lines] == 3 * [error]


def test_what_was_measured_before_the_time_ran_out_stays(tmp_path):
    """The process that hangs is ended."""
    begin = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))"
    worker = WORKER.format(begin=begin, second="time.sleep(60)")
    program = (
        f"from benchmarks.gpu import measure; measure.WORKER = ({sys.executable!r}, '-c', {worker!r}); measure.main()"
    )
    command = [sys.executable, "-c", program, "--patience=60", *(case for _, _, case in JOBS)]
    # the output is buffered, as usual
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with (tmp_path / "cases.jsonl").open("w") as file:
        process = subprocess.Popen(command, stdout=file, cwd=ROOT, env=environment | {"PYTHONPATH": str(ROOT)})
    try:
        while (tmp_path / "cases.jsonl").read_text().count("\n") < 2:
            assert process.poll() is None
            time.sleep(0.05)
        process.terminate()
        assert process.wait(timeout=30) == 1
    finally:
        process.kill()
    began, measured_one, *others = lines_of(tmp_path)
    assert began == {"start": 0}
    assert (measured_one["case"], measured_one["seconds"]) == ("lstm:1x1", 1)
    assert [(line["case"], line["error"]) for line in others] == [
        (case, "not measured before the time was up") for case in ("lstm:1x2", "lstm:1x3")
    ]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_process_has_one_precision_of_cupy():
    sides = ("eager", "minigrid", "steps")
    jobs = [(side, precision, "lstm:1x8") for precision in ("float32", "tf32") for side in sides]
    found = [[job[:2] for job in batch] for batch in measure.batches(jobs)]
    assert found == [
        [("minigrid", "float32"), ("steps", "float32")],
        [("minigrid", "tf32"), ("steps", "tf32")],
        [("eager", "float32"), ("eager", "tf32")],
    ]


def test_every_profile_has_a_process_of_its_own():
    jobs = [("profile", "tf32", case) for case in ("lstm:1x8", "grid:1x8")]
    assert measure.batches(jobs) == [[job] for job in jobs]


@pytest.mark.parametrize("text", ["grid", "grid:3", "grid:3x5:B", "grid:3x5:Q=1", "grid:axb"])
def test_words_that_are_no_case(monkeypatch, capsys, text):
    monkeypatch.setattr("sys.argv", ["measure", text])
    with pytest.raises(SystemExit) as stopped:
        measure.main()
    assert stopped.value.code == 2
    assert "is not a case such as lstm:2x128" in capsys.readouterr().err


def test_an_unknown_side(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["measure", "--sides", "minigrid,nobody", "lstm:1x8"])
    with pytest.raises(SystemExit):
        measure.main()
    assert "unknown: nobody; choose from minigrid, steps" in capsys.readouterr().err
