"""The benchmark on a GPU, as far as it can be tried without one."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import floor
from benchmarks.gpu import measure, report, sides, training
from benchmarks.gpu.sides import Case, Setting
from minigrid.cells import lstm
from minigrid.cli import main as minigrid
from minigrid.recurrence import UNITS, Recurrence

ROOT = Path(__file__).parent.parent
TINY = Case("grid", L=2, H=4, T=3, B=2, V=5)
HOW = Setting(tf32=False, budget=0.01, device="cpu")


# -- cases and sides


def test_a_case_in_words():
    assert Case.parse("grid:3x512") == Case("grid", L=3, H=512, T=50, B=50, V=205)
    assert Case.parse("lstm:1x8:B=200,T=150") == Case("lstm", L=1, H=8, T=150, B=200)


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


@pytest.mark.parametrize("model", ["lstm", "grid"])
@pytest.mark.usefixtures("fake_cupy")
def test_the_sides_of_minigrid(model):
    case = TINY._replace(model=model)
    figures = sides.minigrid(case, HOW)
    assert 0 < figures["low"] <= figures["seconds"] <= figures["high"]
    assert figures["bytes"] > 0
    assert sides.gradients(case, HOW)["relative_error"] < 1e-5


def test_minigrid_gets_its_minibatch_where_its_peers_do(fake_cupy):
    """On the device: nothing is copied from the host while it is timed."""
    _, job, _ = sides.minigrid_step(TINY)
    job()
    fake_cupy.calls.clear()
    job()
    assert "copy from the host" not in fake_cupy.calls


@pytest.mark.usefixtures("fake_cupy")
def test_the_side_that_goes_step_by_step(monkeypatch):
    case, before = TINY._replace(H=UNITS), lstm.recurrence
    monkeypatch.setattr(Recurrence, "forward", lambda *arguments: pytest.fail("it went on the chip"))
    with pytest.raises(pytest.fail.Exception):
        sides.minigrid(case, HOW)
    assert sides.steps(case, HOW)["seconds"] > 0
    assert lstm.recurrence is before


@pytest.mark.parametrize("tf32", [False, True])
@pytest.mark.usefixtures("fake_cupy")
def test_an_inherited_precision_does_not_count(monkeypatch, tf32):
    monkeypatch.setenv("CUPY_TF32", str(int(not tf32)))
    sides.start("minigrid", HOW._replace(tf32=tf32))
    assert os.environ["CUPY_TF32"] == str(int(tf32))


@pytest.mark.parametrize("side", ["eager", "graph", "cells", "floor"])
def test_the_sides_of_pytorch(side):
    pytest.importorskip("torch")
    assert all(figure > 0 for figure in sides.SIDES[side](TINY, HOW).values())


def test_the_profile(fake_cupy):
    pytest.importorskip("torch")
    figures = sides.profile(TINY, HOW)
    assert figures["host"] > 0
    assert figures["kernels"] == []  # there is no device that a profiler could see


def test_the_compiled_side_is_compiled_at_every_size(monkeypatch):
    torch = pytest.importorskip("torch")
    compile, graphs = torch.compile, []

    def keep(graph, inputs):
        graphs.append(str(graph.graph))
        return graph.forward

    def compiled(x, **options):
        return compile(x, backend=keep) if isinstance(x, torch.nn.Module) else x

    monkeypatch.setattr(torch, "compile", compiled)
    for hidden in range(2, 12):
        graphs.clear()
        sides.compiled(TINY._replace(H=hidden), HOW)
        assert len(graphs) == 2  # the first layer, into which no gradient goes at c, and the others
        assert all("linear" in graph and "tanh" in graph for graph in graphs)


def test_operations_of_a_stacked_lstm():
    T, B, H, V = 3, 2, 4, 5
    recurrent = 3 * 2 * T * B * H * 4 * H  # forward, backward, gradient of W_h
    assert (
        floor.operations("lstm", T=T, B=B, H=H, L=1, V=V) == recurrent + 3 * 2 * V * H * 4 * H + 3 * 2 * T * B * H * V
    )


# -- jobs that fail or hang

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
    """Measure JOBS by a worker that does something odd; return whether all went well, and the lines."""
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
    """And the process that hangs is not left behind."""
    begin = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))"
    worker = WORKER.format(begin=begin, second="time.sleep(60)")
    program = (
        f"from benchmarks.gpu import measure; measure.WORKER = ({sys.executable!r}, '-c', {worker!r}); measure.main()"
    )
    command = [sys.executable, "-c", program, "--patience=60", *(case for _, _, case in JOBS)]
    # nobody asks Python to write at once
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
    began, measured_one, *others = report.lines_of(tmp_path)
    assert began == {"start": 0}
    assert (measured_one["case"], measured_one["seconds"]) == ("lstm:1x1", 1)
    assert [(line["case"], line["error"]) for line in others] == [
        (case, "not done when the time was up") for case in ("lstm:1x2", "lstm:1x3")
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


# -- the report


def write_results(folder: Path) -> Path:
    """A folder with a line of each kind."""
    key = {"precision": "tf32", "case": "grid:3x512"}
    seconds = {"seconds": 0.02, "low": 0.019, "high": 0.021}
    lines = [
        {"start": 1.0, "versions": {"gpu": "Make-believe 0", "cupy": "14.2.0"}},
        {"side": "minigrid", **key, **seconds, "bytes": 10**9},
        {"side": "graph", **key, **seconds, "seconds": 0.03},
        {"side": "eager", **key, "error": "RuntimeError: oh"},
        {
            "side": "floor",
            "precision": "tf32",
            "case": "floor:1x64",
            "operations_per_second": 4e14,
            "bytes_per_second": 3e12,
        },
        {"side": "gradients", **key, "relative_error": 1.5e-6, "worst": "depth.bias"},
        {"side": "profile", **key, **seconds, "host": 0.001, "busy": 0.018, "calls": 99.0}
        | {"kernels": [{"name": "gemm", "seconds": 0.01, "calls": 9.0}]},
        {"side": "training", "case": "run", "step": 90, "losses": [[10, 4.0], [90, 2.5]], "validation": [[50, 3.0]]}
        | {"characters_per_second": 123456.0, "loss_on_cupy": 2.25, "loss_on_numpy": 2.25},
    ]
    folder.mkdir()
    (folder / "cases.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"side": "cut o')
    (folder / "parts.txt").write_text(
        "state: exit code 0 after 1 of 20 s, at 1 s\ntraining: exit code 130 after 60 of 80 s, at 61 s\n"
        "tests: exit code 1 after 9 of 90 s, at 70 s\n"
    )
    return folder


def test_the_report(tmp_path, monkeypatch, capsys):
    page = tmp_path / "gpu.md"
    page.write_text("before\n<!-- figures -->\nold\n<!-- /figures -->\nafter\n")
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr("sys.argv", ["report", str(write_results(tmp_path / "results")), str(tmp_path), "--write"])
    report.main()
    printed = capsys.readouterr().out
    assert "gpu Make-believe 0, cupy 14.2.0" in printed
    assert "| tf32 | grid:3x512 | 20.00 (19.00 to 21.00) |  |  | 30.00 (1.50) |  |  |" in printed
    assert "| tf32 | grid:3x512 | 1.5e-06 | depth.bias |" in printed
    assert "| tf32 | grid:3x512 | 20.00 | 1.00 | 18.00 | 99 |" in printed
    assert "| grid:3x512 | `gemm` | 9 | 10.00 |" in printed
    assert "90 steps: loss 4.0 to 2.5 nats, validation 3.0, 123,456 characters per second" in printed
    assert printed.rstrip().endswith(
        "- eager, tf32, grid:3x512: RuntimeError: oh\n- tests: exit code 1 after 9 of 90 s, at 70 s"
    )
    written = page.read_text()
    assert written.startswith("before\n")
    assert written.endswith("after\n")
    assert printed.strip() in written
    assert "old" not in written


def test_the_share_of_the_floor():
    line = {"case": "lstm:1x512", "seconds": 1.0, "bytes": 10**9}
    products = floor.operations("lstm", T=50, B=50, H=512, L=1, V=205)
    assert report.floor(line, {"operations_per_second": products, "bytes_per_second": 1e12}) == 1
    assert report.floor(line, {"operations_per_second": 1e30, "bytes_per_second": 1e10}) == pytest.approx(0.2)


def test_a_report_of_nothing(tmp_path):
    assert report.report([tmp_path]) == "no figures"


@pytest.mark.usefixtures("fake_cupy")
def test_a_training_run_is_told_of(tmp_path, monkeypatch, capsys):
    (tmp_path / "text.txt").write_text("to be or not to be, " * 40)
    run = tmp_path / "run"
    options = ["--hidden=4", "--batch=2", "--steps=5", "--max-steps=20", "--eval-every=20", "--backend=cupy"]
    assert minigrid(["train", f"--data={tmp_path / 'text.txt'}", f"--run={run}", *options]) == 0
    capsys.readouterr()
    monkeypatch.setattr("sys.argv", ["training", str(run)])
    training.main()
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["step"] == 20
    assert line["loss_on_numpy"] == pytest.approx(line["loss_on_cupy"], rel=1e-6)
    assert line["validation"][-1][0] == 20
    assert "characters per second" in report.trainings([line])
