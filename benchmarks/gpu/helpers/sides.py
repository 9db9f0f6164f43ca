"""The sides that are measured on a GPU: minigrid, its peers in PyTorch, and the limits of the device.

Every side is a function of a case and a setting that returns figures, in seconds unless their name says otherwise.
Minigrid and its peers get minibatches that are on the device already.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from minigrid import CharModel, TrainStep
from minigrid.backend import choose_device, to_host
from minigrid.backend.cuda import lstm

Figures = dict[str, Any]
Job = Callable[[], object]
Wait = Callable[[], None]

PRECISIONS = ("float32", "tf32")
BLOCKS = 5  # of steps; each block is timed as a whole
MOST_KERNELS = 15  # in a profile


class Case(NamedTuple):
    """The sizes of a model and of a minibatch."""

    model: str
    L: int
    H: int
    T: int = 50
    B: int = 50
    V: int = 205

    @classmethod
    def parse(cls, text: str) -> "Case":
        """Parse a case such as ``grid:3x512`` or ``grid:3x512:B=200,T=150``.

        Raises
        ------
        ValueError, TypeError
            The text is not a case.
        """
        model, size, *more = text.split(":")
        layers, hidden = map(int, size.split("x"))
        changed = {name: int(value) for name, value in (pair.split("=") for part in more for pair in part.split(","))}
        return cls(model, layers, hidden)._replace(**changed)

    def minibatch(self) -> np.ndarray:
        """Return random characters and targets, (2, T, B)."""
        return np.random.default_rng(0).integers(0, self.V, (2, self.T, self.B))


class Setting(NamedTuple):
    """How to measure."""

    tf32: bool
    budget: float  # seconds per case
    device: str = "cuda"  # of PyTorch; "cpu" in a rehearsal


def timed(job: Job, wait: Wait, budget: float) -> Figures:
    """Return the median, lowest and highest time of a job, over blocks that wait for the device only at their end."""
    for _ in range(3):
        job()
    wait()
    started = time.perf_counter()
    job()
    wait()
    count = max(1, round(budget / BLOCKS / (time.perf_counter() - started)))
    times = []
    for _ in range(BLOCKS):
        started = time.perf_counter()
        for _ in range(count):
            job()
        wait()
        times.append((time.perf_counter() - started) / count)
    return {"seconds": statistics.median(times), "low": min(times), "high": max(times)}


# -- minigrid


def make_model(case: Case, dtype: str = "float32", backend: str = "cupy") -> CharModel:
    """Return a model of the size of the case."""
    return CharModel(case.model, vocab_size=case.V, hidden=case.H, layers=case.L, dtype=dtype, backend=backend)


def minigrid_step(case: Case) -> tuple[TrainStep, Job, Wait]:
    """Return a training step, a job that does it once, and a function that waits for the device."""
    model = make_model(case)
    step, (x, y) = TrainStep(model), map(model.xp.asarray, case.minibatch().astype("int32"))
    return step, lambda: step(x, y), model.xp.cuda.Device().synchronize


def minigrid(case: Case, how: Setting) -> Figures:
    """Measure a training step; ``bytes`` is the size of its arrays."""
    step, job, wait = minigrid_step(case)
    return timed(job, wait, how.budget) | {"bytes": step.memory(case.T, case.B)}


def steps(case: Case, how: Setting) -> Figures:
    """Measure a training step whose recurrence goes step by step and not in one launch."""
    with patch.object(lstm, "recurrence", lambda state: None):
        return minigrid(case, how)


def gradients(case: Case, how: Setting) -> Figures:
    """Return the largest relative error of a gradient on the GPU.

    For each array it is ``max|a - b| / max|b|``, where b is the gradient in float64 on the host.
    """
    x, y = case.minibatch()
    found = {}
    for dtype, backend in (("float64", "numpy"), ("float32", "cupy")):
        model = make_model(case, dtype, backend)
        grads = model.loss_and_grads(x, y, model.initial_state(case.B))[1]
        found[backend] = {name: to_host(g) for name, g in grads.items()}
    errors = {name: np.abs(found["cupy"][name] - g).max() / np.abs(g).max() for name, g in found["numpy"].items()}
    worst = max(errors, key=errors.get)
    return {"relative_error": float(errors[worst]), "worst": worst}


def profile(case: Case, how: Setting) -> Figures:
    """Measure a training step, the time that the host is busy, and the kernels that take longest, per step."""
    import torch  # its profiler sees CuPy's kernels too

    if torch.cuda.is_available():
        torch.cuda.init()
    _, job, wait = minigrid_step(case)
    figures = timed(job, wait, how.budget)
    host = []
    for _ in range(BLOCKS):  # one step at a time: with too many calls pending, a call would wait for the device
        wait()
        started = time.perf_counter()
        job()
        host.append(time.perf_counter() - started)
    count = 10
    activity = torch.profiler.ProfilerActivity
    cuda = activity.CUDA in torch.profiler.supported_activities()
    with torch.profiler.profile(activities=[activity.CUDA if cuda else activity.CPU]) as seen:
        for _ in range(count):
            job()
        wait()
    on_device = [row for row in seen.key_averages() if "CUDA" in str(row.device_type)]
    if cuda and not on_device:
        raise RuntimeError("the profiler saw no kernels")
    on_device.sort(key=lambda row: -row.self_device_time_total)
    kernels = [
        {"name": row.key[:80], "seconds": row.self_device_time_total / 1e6 / count, "calls": row.count / count}
        for row in on_device
    ]
    return figures | {
        "host": min(host),
        "busy": sum(kernel["seconds"] for kernel in kernels),
        "calls": sum(kernel["calls"] for kernel in kernels),
        "kernels": kernels[:MOST_KERNELS],
    }


# -- PyTorch


def peer_step(case: Case, how: Setting, cells: bool = False, **optimizer: Any) -> tuple[Any, Any, Any, Any]:
    """Return a peer, its training step, x and y."""
    import torch

    from benchmarks.helpers import peers

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = how.tf32
    kind = peers.StackedLSTM if case.model == "lstm" else peers.CellGrid if cells else peers.ExpertGrid
    peer = kind(case.V, case.H, case.L).to(how.device)
    step = peers.PeerTrainStep(peer, peer, foreach=True, **optimizer)
    x, y = (torch.from_numpy(a).to(how.device) for a in case.minibatch())
    return peer, step, x, y


def waiter(how: Setting) -> Wait:
    """Return a function that waits for PyTorch's device."""
    import torch

    return torch.cuda.synchronize if how.device == "cuda" else lambda: None


def eager(case: Case, how: Setting) -> Figures:
    """Measure ``nn.LSTM``, or a grid with ``nn.LSTM`` along time, without compiling anything."""
    _, step, x, y = peer_step(case, how)
    return timed(lambda: step(x, y), waiter(how), how.budget)


def cells(case: Case, how: Setting) -> Figures:
    """Measure a grid block by block, as in the equations."""
    _, step, x, y = peer_step(case, how, cells=True)
    return timed(lambda: step(x, y), waiter(how), how.budget)


def graph(case: Case, how: Setting) -> Figures:
    """Measure the eager peer with its training step in one CUDA graph, which the host only replays."""
    import torch

    peer, step, x, y = peer_step(case, how, capturable=how.device == "cuda")
    state = [(h.clone(), c.clone()) for h, c in peer.initial_state(case.B)]

    def once() -> None:
        step.state = state
        step(x, y)
        for old, new in zip(state, step.state, strict=True):  # a graph reads and writes the same memory every time
            for a, b in zip(old, new, strict=True):
                a.copy_(b)

    if how.device != "cuda":
        return timed(once, waiter(how), how.budget)
    before = torch.cuda.Stream()
    before.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(before):
        for _ in range(3):
            once()
    torch.cuda.current_stream().wait_stream(before)
    step.optimizer.zero_grad(set_to_none=True)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        once()
    return timed(captured.replay, waiter(how), how.budget)


def compiled(case: Case, how: Setting) -> Figures:
    """Measure the eager peer under ``torch.compile`` with CUDA graphs; the optimiser's step is compiled too."""
    import torch

    torch.compiler.reset()  # or it would stop compiling after a few sizes
    peer, step, x, y = peer_step(case, how)
    step.model = torch.compile(peer, mode="reduce-overhead")
    step.optimizer.step = torch.compile(step.optimizer.step)

    def job() -> None:
        torch.compiler.cudagraph_mark_step_begin()
        step(x, y)
        # the graph will overwrite its results
        step.state = [(h.clone(), c.clone()) for h, c in step.state]

    for _ in range(3):  # in addition to those of `timed`: warm-up, recording and replay may each compile
        job()
    return timed(job, waiter(how), how.budget)


# -- limits of the device


def floor(case: Case, how: Setting) -> Figures:
    """Measure the operations per second of a large product, H by H, and the bytes per second of a copy."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = how.tf32
    a, b, out = (torch.rand(case.H, case.H, device=how.device) for _ in range(3))
    product = timed(lambda: torch.mm(a, b, out=out), waiter(how), how.budget)
    copy = timed(lambda: out.copy_(a), waiter(how), how.budget)
    return {
        "operations_per_second": 2 * case.H**3 / product["seconds"],
        "bytes_per_second": 2 * a.nbytes / copy["seconds"],
    }


# -- all of them

WITH_CUPY = {"minigrid": minigrid, "steps": steps, "gradients": gradients, "profile": profile}
WITH_TORCH = {"eager": eager, "graph": graph, "compiled": compiled, "cells": cells, "floor": floor}
SIDES = WITH_CUPY | WITH_TORCH


def start(side: str, how: Setting) -> dict[str, str]:
    """Prepare this process for a side; return the GPU and the versions of the libraries."""
    if side in WITH_CUPY:
        choose_device("cupy", tf32=how.tf32)
        import cupy

        runtime = cupy.cuda.runtime
        name = runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
        return {"gpu": name, "cupy": cupy.__version__, "cuda": str(runtime.runtimeGetVersion())}
    import torch

    if how.device != "cuda":
        return {"torch": torch.__version__}
    return {
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,  # includes the version of its CUDA
        "cudnn": str(torch.backends.cudnn.version()),
    }
