"""The tables that are made from the JSON lines of ``gpu.sh``."""

import json
from pathlib import Path

import pytest

from benchmarks.gpu import report, training
from benchmarks.helpers import floor
from minigrid.cli.main import main as minigrid


def write_results(folder: Path) -> Path:
    """Write a line of each kind; return the folder."""
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
    monkeypatch.setattr("sys.argv", ["report", str(write_results(tmp_path / "results")), "--write"])
    report.main()
    printed = capsys.readouterr().out
    assert printed.startswith("### results\n\ngpu Make-believe 0, cupy 14.2.0\n")
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


def test_a_folder_with_nothing_in_it(tmp_path):
    (tmp_path / "empty").mkdir()
    assert report.section(tmp_path / "empty") == "### empty\n\nNo figures."


def test_times_of_two_calls_are_not_compared(tmp_path, monkeypatch, capsys):
    """They may come from two GPUs."""
    for side, seconds in {"minigrid": 0.02, "eager": 0.03}.items():
        line = {"side": side, "precision": "tf32", "case": "grid:3x512", "bytes": 1}
        (tmp_path / side).mkdir()
        line |= {"seconds": seconds, "low": seconds, "high": seconds}
        (tmp_path / side / "cases.jsonl").write_text(json.dumps(line))
    monkeypatch.setattr("sys.argv", ["report", str(tmp_path / "minigrid"), str(tmp_path / "eager")])
    report.main()
    assert "| 20.00 (20.00 to 20.00) |  |  |  |  |  |  |" in capsys.readouterr().out


@pytest.mark.long
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
