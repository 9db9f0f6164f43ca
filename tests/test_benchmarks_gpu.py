"""The benchmark on a GPU, as far as it can be tried without one."""

import json
import subprocess
from types import SimpleNamespace

import pytest

from benchmarks import floor, gpu, gpu_side
from minigrid.cells import lstm
from minigrid.recurrence import UNITS, Recurrence

TINY = {"L": 2, "H": 4, "T": 3, "B": 2, "V": 5}
TINY_GRID = {"model": "grid"} | TINY


@pytest.mark.parametrize("model", ["lstm", "grid"])
@pytest.mark.usefixtures("fake_cupy")
def test_the_side_of_minigrid(model):
    figures = gpu_side.minigrid_figures({"model": model} | TINY, budget=0.01)
    assert figures["seconds"] > 0
    assert figures["bytes"] > 0
    assert gpu_side.gradient_error({"model": model} | TINY) < 1e-5


@pytest.mark.usefixtures("fake_cupy")
def test_the_side_that_goes_step_by_step(monkeypatch):
    monkeypatch.setattr(lstm, "recurrence", lstm.recurrence)  # put back afterwards
    case = TINY_GRID | {"H": UNITS}
    monkeypatch.setattr(Recurrence, "forward", lambda *arguments: pytest.fail("it went on the chip"))
    with pytest.raises(pytest.fail.Exception):
        gpu_side.measure("minigrid", "float32", [case], budget=0.01)
    assert gpu_side.measure("steps", "float32", [case], budget=0.01)["cases"][0]["seconds"] > 0


@pytest.mark.parametrize("side", ["torch", "expert", "cells"])
def test_the_sides_of_pytorch(side, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch, "compile", lambda x, **options: x)
    assert gpu_side.torch_figures(TINY_GRID, side, True, budget=0.01, device="cpu")["seconds"] > 0


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
        gpu_side.torch_figures(TINY_GRID | {"H": hidden}, "compiled", True, budget=0.01, device="cpu")
        assert len(graphs) == 2  # the first layer, into which no gradient goes at c, and the others
        assert all("linear" in graph and "tanh" in graph for graph in graphs)


def test_the_rates_of_a_device():
    pytest.importorskip("torch")
    assert all(rate > 0 for rate in gpu_side.floor_figures(True, budget=0.01, size=64, device="cpu").values())


def test_operations_of_a_stacked_lstm():
    T, B, H, V = 3, 2, 4, 5
    recurrent = 3 * 2 * T * B * H * 4 * H  # forward, backward, gradient of W_h
    assert (
        floor.operations("lstm", T=T, B=B, H=H, L=1, V=V) == recurrent + 3 * 2 * V * H * 4 * H + 3 * 2 * T * B * H * V
    )


@pytest.fixture
def sides(monkeypatch, tmp_path):
    """Sides that answer at once, and the list of those that were asked; one named in `failing` fails."""
    asked, failing = [], set()

    def answer(command, **how):
        if "pytest" in command:
            asked.append("tests")
            return SimpleNamespace(returncode=0, stdout=None)
        side, precision, cases = command[3:]
        asked.append((side, precision))
        seconds = 2.0 if side == "minigrid" else 3.0
        figures = {"versions": {"gpu": "Make-believe 0"}, "gradient_error": 1e-7}
        figures |= {"operations_per_second": 1e15, "bytes_per_second": 1e12}
        figures["cases"] = [{"seconds": seconds, "bytes": 10**12} for _ in json.loads(cases)]
        return SimpleNamespace(returncode=side in failing, stdout=f"a warning\n{json.dumps(figures)}\n", stderr="oh")

    monkeypatch.setattr(subprocess, "run", answer)
    monkeypatch.setattr(gpu, "HERE", tmp_path)
    monkeypatch.setattr(gpu, "choose_device", lambda backend: None)
    monkeypatch.setattr(gpu, "versions", lambda side: {"gpu": "Make-believe 0"})
    return SimpleNamespace(asked=asked, failing=failing, folder=tmp_path)


@pytest.mark.parametrize("quick", [True, False])
def test_from_the_sides_to_the_table(sides, monkeypatch, capsys, quick):
    """Every side is asked once for each precision, with the cases of the issue, and every ratio is in the table."""
    monkeypatch.setattr("sys.argv", ["gpu", *(["--quick"] if quick else [])])
    gpu.main()
    out = capsys.readouterr().out
    assert len(set(sides.asked)) == len(sides.asked) == 1 + 2 * 7
    assert out.count("| 1.50 |") == 2 * (6 if quick else 18 + 4)
    assert out.count("| 100% |") == out.count("| 1.50 |")  # 2 * 1e12 bytes at 1e12 a second, in 2 s
    assert "gpu Make-believe" in out
    assert (sides.folder / "gpu.json").exists() is not quick


def go_on(sides, monkeypatch):
    """Run the command again with --go-on, all sides well; return what it asked."""
    sides.asked.clear(), sides.failing.clear()
    monkeypatch.setattr("sys.argv", ["gpu", "--go-on"])
    gpu.main()
    return sides.asked


def test_what_was_cut_off_goes_on(sides, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["gpu"])
    sides.failing.add("steps")
    with pytest.raises(SystemExit, match="steps, float32: failed\noh"):
        gpu.main()
    before = set(sides.asked)
    after = go_on(sides, monkeypatch)
    assert "tests" not in after
    assert before & set(after) == {("steps", "float32")}
    assert len(before | set(after)) == 1 + 2 * 7
    assert capsys.readouterr().out.count("| 1.50 |") == 2 * (18 + 4)


def test_a_peer_that_fails_does_not_keep_the_others_from_being_measured(sides, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["gpu"])
    sides.failing.add("compiled")
    with pytest.raises(SystemExit, match="compiled, float32: failed\noh\n\ncompiled, tf32: failed\noh"):
        gpu.main()
    assert len(sides.asked) == 1 + 2 * 7
    assert capsys.readouterr().out.count("| 1.50 |") == 2 * (18 + 4 - 3)
    assert go_on(sides, monkeypatch) == [("compiled", "float32"), ("compiled", "tf32")]
    assert capsys.readouterr().out.count("| 1.50 |") == 2 * (18 + 4)


def test_a_side_that_never_ends(monkeypatch):
    monkeypatch.setattr(gpu, "PATIENCE", 0.01)
    with pytest.raises(gpu.ProcessError, match=r"sleeper: not done after 0\.01 s"):
        gpu.run("sleeper", "-c", "import time; time.sleep(60)")


def test_only_on_the_same_gpu_it_goes_on(sides, monkeypatch):
    monkeypatch.setattr("sys.argv", ["gpu", "--go-on"])
    with pytest.raises(SystemExit, match="leave the option out"):
        gpu.main()
    monkeypatch.setattr("sys.argv", ["gpu"])
    gpu.main()
    monkeypatch.setattr(gpu, "versions", lambda side: {"gpu": "Another"})
    with pytest.raises(SystemExit, match="measured on Make-believe 0, this is Another"):
        gpu.begun(sides.folder / "gpu.json")


def test_nothing_is_measured_where_there_is_no_gpu(fake_cupy):
    fake_cupy.cuda.runtime.getDeviceCount = lambda: 0
    with pytest.raises(SystemExit, match="no NVIDIA GPU"):
        gpu.check()


@pytest.mark.usefixtures("fake_cupy")
def test_nothing_is_measured_where_the_tests_fail(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *args, **how: SimpleNamespace(returncode=1, stderr=None))
    with pytest.raises(SystemExit, match="tests on the GPU: failed; nothing was measured"):
        gpu.check()


@pytest.mark.parametrize("command", [["floor", "half", "[]"], ["nobody", "tf32", "[]"], ["floor", "tf32", "no JSON"]])
def test_arguments_that_a_side_does_not_know(monkeypatch, capsys, command):
    monkeypatch.setattr("sys.argv", ["gpu_side", *command])
    with pytest.raises(SystemExit):
        gpu_side.main()
    assert "invalid" in capsys.readouterr().err
