"""Measure one side on a GPU, in a process of its own, and print the figures as JSON.

``python -m benchmarks.gpu_side SIDE PRECISION CASES`` is called by :mod:`benchmarks.gpu`. *Not run on a GPU yet.*
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrid import CharModel, TrainStep
from minigrid.backend import choose_device, to_host
from minigrid.cells import lstm

Case = dict[str, Any]
Job = Callable[[], object]
Wait = Callable[[], None]

OURS = ("minigrid", "steps")  # steps: the recurrence step by step, not on the chip
SIDES = ("floor", *OURS, "torch", "expert", "compiled", "cells")
PRECISIONS = ("float32", "tf32")
BLOCKS = 5  # of steps, each timed as one


def seconds_each(job: Job, wait: Wait, budget: float) -> float:
    """Median seconds of one repetition, in blocks that are waited for at their end only."""
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
    return statistics.median(times)


def minibatch(case: Case) -> np.ndarray:
    """Random characters and targets, (2, T, B)."""
    return np.random.default_rng(0).integers(0, case["V"], (2, case["T"], case["B"]))


# -- minigrid


def minigrid_model(case: Case, **options: str) -> CharModel:
    """A model of this size."""
    return CharModel(case["model"], vocab_size=case["V"], hidden=case["H"], layers=case["L"], **options)


def minigrid_figures(case: Case, budget: float) -> dict[str, float]:
    """Seconds of a training step, and the bytes of its arrays."""
    model = minigrid_model(case, backend="cupy")
    step, (x, y) = TrainStep(model), minibatch(case)
    wait = model.xp.cuda.Device().synchronize
    return {"seconds": seconds_each(lambda: step(x, y), wait, budget), "bytes": step.memory(case["T"], case["B"])}


def gradient_error(case: Case) -> float:
    """Largest relative error of a gradient in float32 on the GPU: per array, ``max|a - b| / max|b|``."""
    x, y = minibatch(case)
    grads = {}
    for dtype, backend in (("float64", "numpy"), ("float32", "cupy")):
        model = minigrid_model(case, dtype=dtype, backend=backend)
        found = model.loss_and_grads(x, y, model.initial_state(case["B"]))[1]
        grads[backend] = {name: to_host(g) for name, g in found.items()}
    return max(float(np.abs(grads["cupy"][name] - g).max() / np.abs(g).max()) for name, g in grads["numpy"].items())


# -- PyTorch


def torch_figures(case: Case, side: str, tf32: bool, budget: float, device: str = "cuda") -> dict[str, float]:
    """Seconds of a training step of a peer, its optimiser compiled into fused kernels."""
    import torch

    from benchmarks import peers

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    torch.compiler.reset()  # or what it has compiled for other sizes keeps it from compiling any more
    kinds = {"torch": peers.StackedLSTM, "cells": peers.CellGrid}
    peer = kinds.get(side, peers.ExpertGrid)(case["V"], case["H"], case["L"]).to(device)
    x, y = (torch.from_numpy(a).to(device) for a in minibatch(case))
    if side == "compiled":
        step = peers.PeerTrainStep(torch.compile(peer, mode="reduce-overhead"), peer)  # with CUDA graphs
        # a graph writes its results to the same place again
        begin, keep = torch.compiler.cudagraph_mark_step_begin, torch.clone
    else:
        step, begin, keep = peers.PeerTrainStep(peer, peer), lambda: None, lambda x: x
    step.optimizer.step = torch.compile(step.optimizer.step)

    def job() -> None:
        begin()
        step(x, y)
        step.state = [(keep(h), keep(c)) for h, c in step.state]

    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    return {"seconds": seconds_each(job, wait, budget)}


# -- what the device can do


def floor_figures(tf32: bool, budget: float, size: int = 8192, device: str = "cuda") -> dict[str, float]:
    """Rate of one large product, operations per second, and of a copy, bytes read and written per second."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = tf32
    a, b, out = (torch.rand(size, size, device=device) for _ in range(3))
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    product = seconds_each(lambda: torch.mm(a, b, out=out), wait, budget)
    copy = seconds_each(lambda: out.copy_(a), wait, budget)
    return {"operations_per_second": 2 * size**3 / product, "bytes_per_second": 2 * a.nbytes / copy}


def versions(side: str) -> dict[str, str]:
    """What this side was measured with."""
    if side in OURS:
        import cupy

        runtime = cupy.cuda.runtime
        name = runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
        return {"gpu": name, "cupy": cupy.__version__, "cuda": str(runtime.runtimeGetVersion())}
    import torch

    cudnn = str(torch.backends.cudnn.version())
    return {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "cuda": torch.version.cuda, "cudnn": cudnn}


def measure(side: str, precision: str, cases: list[Case], budget: float) -> dict[str, Any]:
    """All figures of one side."""
    tf32 = precision == "tf32"
    if side == "floor":
        return floor_figures(tf32, budget)
    if side not in OURS:
        return {"cases": [torch_figures(case, side, tf32, budget) for case in cases]}
    choose_device("cupy", tf32=tf32)
    if side == "steps":
        lstm.recurrence = lambda state: None
    return {
        "cases": [minigrid_figures(case, budget) for case in cases],
        "gradient_error": gradient_error({"model": "grid", "L": 2, "H": 128, "T": 50, "B": 50, "V": 65}),
    }


def main() -> None:
    """Measure what the arguments say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("precision", choices=PRECISIONS)
    parser.add_argument("cases", type=json.loads, help="a JSON list of objects with model, L, H, T, B, V")
    parser.add_argument("--budget", type=float, default=1.0, help="seconds for each case")
    args = parser.parse_args()
    figures = measure(args.side, args.precision, args.cases, args.budget)
    print(json.dumps(figures | {"versions": versions(args.side)}))


if __name__ == "__main__":
    main()
