"""The sides that are measured on a GPU, as far as they can be tested without one."""

import os

import pytest

from benchmarks.gpu.helpers import sides
from benchmarks.gpu.helpers.sides import Case, Setting
from benchmarks.helpers import floor
from minigrid.backend.cuda import lstm
from minigrid.backend.cuda.recurrence import UNITS, Recurrence

TINY = Case("grid", L=2, H=4, T=3, B=2, V=5)
HOW = Setting(tf32=False, budget=0.01, device="cpu")


def test_a_case_in_words():
    assert Case.parse("grid:3x512") == Case("grid", L=3, H=512, T=50, B=50, V=205)
    assert Case.parse("lstm:1x8:B=200,T=150") == Case("lstm", L=1, H=8, T=150, B=200)


@pytest.mark.long
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


@pytest.mark.long
@pytest.mark.parametrize("side", ["eager", "graph", "cells", "floor"])
def test_the_sides_of_pytorch(side):
    pytest.importorskip("torch")
    assert all(figure > 0 for figure in sides.SIDES[side](TINY, HOW).values())


def test_the_profile(fake_cupy):
    pytest.importorskip("torch")
    figures = sides.profile(TINY, HOW)
    assert figures["host"] > 0
    assert figures["kernels"] == []  # the profiler sees no device


@pytest.mark.long
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
        assert len(graphs) == 2  # one for the first layer, whose c gets no gradient, and one for the others
        assert all("linear" in graph and "tanh" in graph for graph in graphs)


def test_operations_of_a_stacked_lstm():
    T, B, H, V = 3, 2, 4, 5
    recurrent = 3 * 2 * T * B * H * 4 * H  # forward, backward, gradient of W_h
    assert (
        floor.operations("lstm", T=T, B=B, H=H, L=1, V=V) == recurrent + 3 * 2 * V * H * 4 * H + 3 * 2 * T * B * H * V
    )
