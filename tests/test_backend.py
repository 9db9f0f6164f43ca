import importlib.util
import os
import platform
import threading

import numpy as np
import pytest
from thread_ranks import on_ranks

from minigrid import UserError
from minigrid.backend import (
    Workspace,
    array_module,
    backend_module,
    choose_device,
    choose_devices,
    describe_device,
    to_host,
)
from minigrid.backend.ranks import ALONE, is_agreed


@pytest.fixture
def no_cupy(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_the_module_comes_from_the_array(fake_cupy):
    assert array_module(np.zeros(2)) is np
    assert array_module(np.float32(1)) is np
    assert array_module(fake_cupy.asarray([1.0])) is fake_cupy


def test_numpy_needs_no_cupy(no_cupy):
    assert backend_module("numpy") is np
    assert backend_module("auto") is np


@pytest.mark.parametrize(("name", "hint"), [("torch", ""), ("numppy", r" \(did you mean numpy\?\)"), (None, "")])
def test_an_unknown_backend_is_named_with_its_alternatives(name, hint):
    with pytest.raises(UserError, match=f"^`backend` must be auto, numpy or cupy, not {name!r}{hint}$"):
        backend_module(name)


def test_cupy_that_is_not_installed(no_cupy):
    with pytest.raises(
        UserError, match=r"^`backend` cupy needs CuPy, which is not installed: run `pip install"
    ) as caught:
        backend_module("cupy")
    assert "--" not in str(caught.value)


def test_cupy_with_a_gpu(fake_cupy):
    assert backend_module("cupy") is fake_cupy
    assert backend_module("auto") is fake_cupy
    assert backend_module("numpy") is np


def test_cupy_that_counts_no_gpu(fake_cupy):
    fake_cupy.cuda.runtime.getDeviceCount = lambda: 0
    assert backend_module("auto") is np
    with pytest.raises(UserError, match="needs an NVIDIA GPU, but this machine has none"):
        backend_module("cupy")


def test_cupy_without_a_driver(fake_cupy):
    def fail():
        raise fake_cupy.cuda.runtime.CUDARuntimeError("cudaErrorNoDevice")

    fake_cupy.cuda.runtime.getDeviceCount = fail
    assert backend_module("auto") is np
    with pytest.raises(UserError, match=r"none that it can use \(cudaErrorNoDevice\)"):
        backend_module("cupy")


def test_cupy_with_a_driver_that_is_too_old(fake_cupy):
    def fail():
        raise fake_cupy.cuda.runtime.CUDARuntimeError(
            "cudaErrorInsufficientDriver: CUDA driver version is insufficient"
        )

    fake_cupy.cuda.runtime.getDeviceCount = fail
    with pytest.raises(UserError, match=r"driver, which is missing or too old.*nvidia-smi"):
        backend_module("cupy")


def test_a_device_is_chosen_by_its_number(fake_cupy, monkeypatch):
    monkeypatch.setenv("CUPY_TF32", "1")  # inherited from the environment: the caller's choice overrides it
    fake_cupy.cuda.runtime.getDeviceCount = lambda: 2
    choose_device("cupy", 1)
    assert "Make-believe 1" in describe_device(fake_cupy)
    assert os.environ["CUPY_TF32"] == "0"
    choose_device("auto", 0, tf32=True)
    assert "Make-believe 0" in describe_device(fake_cupy)
    assert os.environ["CUPY_TF32"] == "1"
    for device in (-1, 2):
        with pytest.raises(
            UserError, match=f"^`device` must be from 0 to 1, not {device}: choose one of this machine's"
        ):
            choose_device("cupy", device=device)


def test_the_only_device(fake_cupy):
    fake_cupy.cuda.runtime.getDeviceCount = lambda: 1
    with pytest.raises(UserError, match=r"^`device` must be 0, not 1: "):
        choose_device("cupy", device=1)


def test_numpy_ignores_the_device(no_cupy):
    choose_device("numpy", 5)
    choose_device("auto", 5)


def test_cupy_that_is_broken(fake_cupy, monkeypatch):
    """CuPy is installed but cannot be imported, for example because a CUDA library is missing: "auto" falls back."""

    def fail(name):
        raise ImportError("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(importlib, "import_module", fail)
    assert backend_module("auto") is np
    with pytest.raises(UserError, match=r"cannot be imported \(libcuda.*reinstall it"):
        backend_module("cupy")


def test_cupy_without_the_cuda_libraries(fake_cupy):
    """As next to a PyTorch that brings those of another CUDA version. CuPy itself would fail only later."""

    def no_blas(name):
        raise ImportError(f"lib{name}.so.12: cannot open shared object file")

    def no_compiler():
        raise RuntimeError("Failure finding libnvrtc.so.12")

    del fake_cupy.cuda.cublas
    fake_cupy.cuda.__getattr__ = no_blas
    assert backend_module("auto") is np
    with pytest.raises(UserError, match=r"libcublas\.so\.12.*cuda12.*PyTorch"):
        backend_module("cupy")
    fake_cupy.cuda.cublas = None
    fake_cupy.cuda.nvrtc.getVersion = no_compiler
    assert backend_module("auto") is np
    with pytest.raises(UserError, match=r"libnvrtc\.so\.12"):
        backend_module("cupy")


# -- a GPU for each rank


def chosen_devices(cupy, count, gpus, device=0, machines=None, monkeypatch=None):
    """Return which GPU each of `count` ranks computes on, of `gpus` on each machine."""
    cupy.cuda.runtime.getDeviceCount = lambda: gpus
    here = threading.local()
    if machines:
        monkeypatch.setattr(platform, "node", lambda: here.name)

    def choose(ranks):
        here.name = machines and machines[ranks.number]
        choose_devices(ranks, "cupy", device)
        return cupy.cuda.Device().id

    return on_ranks(count, choose)


@pytest.mark.parametrize(("count", "gpus", "device"), [(2, 2, 0), (3, 8, 0), (3, 8, 5), (4, 4, 0)])
def test_ranks_take_gpus_from_the_given_one_on(fake_cupy, count, gpus, device):
    assert chosen_devices(fake_cupy, count, gpus, device) == list(range(device, device + count))


def test_ranks_on_several_machines_take_gpus_of_their_own_machine(fake_cupy, monkeypatch):
    found = chosen_devices(fake_cupy, 5, gpus=4, device=1, machines="abbab", monkeypatch=monkeypatch)
    assert found == [1, 1, 2, 2, 3]


def test_the_only_rank_on_a_machine_takes_the_given_gpu(fake_cupy, monkeypatch):
    assert chosen_devices(fake_cupy, 2, gpus=4, device=3, machines="ab", monkeypatch=monkeypatch) == [3, 3]
    with pytest.raises(UserError, match="`device` must be from 0 to 3, not 4"):
        chosen_devices(fake_cupy, 2, gpus=4, device=4, machines="ab", monkeypatch=monkeypatch)


@pytest.mark.parametrize(("count", "gpus", "device"), [(3, 2, 0), (2, 2, 1), (4, 8, 5)])
def test_more_ranks_than_gpus(fake_cupy, count, gpus, device):
    needed = (
        f"{count} processes on this machine need GPUs {device} to {device + count - 1}, and it has {gpus}, from 0 on"
    )
    with pytest.raises(UserError) as caught:
        chosen_devices(fake_cupy, count, gpus, device)
    assert str(caught.value) == f"{needed}: start one process per GPU"
    assert is_agreed(caught.value)


def test_a_launcher_may_show_each_rank_a_gpu_of_its_own(fake_cupy):
    """Then each of them sees one, number 0, and only their addresses differ."""
    fake_cupy.cuda.runtime.deviceGetPCIBusId = lambda number: threading.current_thread().name
    assert chosen_devices(fake_cupy, 3, gpus=1) == [0, 0, 0]


def test_two_ranks_must_not_share_a_gpu(fake_cupy):
    with pytest.raises(UserError) as caught:
        chosen_devices(fake_cupy, 2, gpus=1)
    assert str(caught.value) == "2 processes share one GPU of this machine: start one process per GPU"


def test_two_ranks_that_share_a_gpu_among_others_that_do_not(fake_cupy):
    """As if the launcher had shown GPU A to two of them: the third one, on B, must not wait for them."""
    addresses = threading.local()
    fake_cupy.cuda.runtime.getDeviceCount = lambda: 1
    fake_cupy.cuda.runtime.deviceGetPCIBusId = lambda number: addresses.own

    def choose(ranks):
        addresses.own = "ABA"[ranks.number]
        with pytest.raises(UserError, match="2 processes share one GPU") as caught:
            choose_devices(ranks, "cupy")
        return is_agreed(caught.value)

    assert on_ranks(3, choose) == [True] * 3


def test_ranks_share_cpus(no_cupy):
    on_ranks(3, lambda ranks: choose_devices(ranks, "auto", 5))
    on_ranks(3, lambda ranks: choose_devices(ranks, "numpy"))


def test_ranks_choose_tf32_too(fake_cupy, monkeypatch):
    monkeypatch.setenv("CUPY_TF32", "0")
    fake_cupy.cuda.runtime.getDeviceCount = lambda: 2
    on_ranks(2, lambda ranks: choose_devices(ranks, "cupy", tf32=True))
    assert os.environ["CUPY_TF32"] == "1"


def test_alone_a_process_takes_the_given_gpu(fake_cupy):
    fake_cupy.cuda.runtime.getDeviceCount = lambda: 2
    choose_devices(ALONE, "cupy", 1)
    assert fake_cupy.cuda.Device().id == 1


def test_a_rank_without_cupy_ends_all(fake_cupy):
    cupy = fake_cupy.cuda.runtime

    def count():
        if threading.current_thread().name.endswith("_1"):
            raise cupy.CUDARuntimeError("cudaErrorNoDevice")
        return 2

    cupy.getDeviceCount = count

    def choose(ranks):
        with pytest.raises(UserError, match="needs an NVIDIA GPU, but CuPy finds none") as caught:
            choose_devices(ranks, "cupy")
        return is_agreed(caught.value), "(process " in str(caught.value)

    assert on_ranks(2, choose) == [(True, True)] * 2


def test_to_host(fake_cupy):
    x = np.arange(3.0)
    assert to_host(x) is x
    copied = to_host(fake_cupy.asarray(x))
    assert type(copied) is np.ndarray
    assert np.array_equal(copied, x)


def test_describe_device(fake_cupy):
    assert "NumPy" in describe_device(np)
    assert describe_device(fake_cupy) == "GPU Make-believe 0, CuPy 0.0"


def test_a_plain_workspace_returns_fresh_arrays():
    workspace = Workspace(np, "float32")
    for take in (workspace.empty, workspace.scratch):
        first, second = take("a", (2, 3)), take("a", (2, 3))
        assert (first.shape, first.dtype) == ((2, 3), np.float32)
        assert not np.shares_memory(first, second)


def test_a_reusing_workspace_returns_the_same_array_for_the_same_name_and_shape():
    workspace = Workspace(np, "float64", reuse=True)
    first = workspace.empty("a", (2, 3))
    assert first.dtype == np.float64
    assert workspace.empty("a", (2, 3)) is first
    assert not np.shares_memory(first, workspace.empty("a", (3, 2)))
    assert not np.shares_memory(first, workspace.empty("b", (2, 3)))
    assert workspace.empty("a", (2, 3)) is first


def test_scopes_share_scratch_arrays_only():
    workspace = Workspace(np, "float64", reuse=True)
    one, two = workspace.scope("layer.0"), workspace.scope("layer.1")
    assert one.empty("h", (2,)) is workspace.scope("layer.0").empty("h", (2,))
    assert one.empty("h", (2,)) is not two.empty("h", (2,))
    assert one.empty("h", (2,)) is not one.scope("time").empty("h", (2,))
    assert one.scope("time").empty("h", (2,)) is workspace.scope("layer.0").scope("time").empty("h", (2,))
    assert one.scratch("da", (2,)) is two.scratch("da", (2,)) is workspace.scratch("da", (2,))


def test_a_scope_of_a_plain_workspace_is_plain():
    scope = Workspace(np, "float64").scope("layer.0")
    assert scope.empty("h", (2,)) is not scope.empty("h", (2,))


def test_steps_share_their_memory_where_nothing_is_kept(fake_cupy):
    kept = Workspace(np, "float64", reuse=True).scope("layer.0").steps("c", (5, 2, 3))
    assert kept.strides[0] == 6 * 8
    shared = Workspace(np, "float64", reuse=True).scope("layer.0", keep=False).scope("time").steps("c", (5, 2, 3))
    shared[2] = 7.0
    assert shared.shape == (5, 2, 3)
    assert (shared == 7.0).all()
    one = Workspace(np, "float64").scope("layer.0", keep=False).steps("c", (2, 2, 3))
    assert one.strides[0] == 6 * 8  # too few to gain anything
    on_gpu = Workspace(fake_cupy, "float64").scope("layer.0", keep=False).steps("c", (5, 2, 3))
    assert on_gpu.shape == (5, 2, 3)
    assert isinstance(on_gpu, fake_cupy.ndarray)


def test_gpus_that_the_ranks_of_a_machine_name_are_taken(fake_cupy, monkeypatch):
    monkeypatch.setattr(fake_cupy.cuda.runtime, "getDeviceCount", lambda: 4)

    def chosen(ranks):
        choose_devices(ranks, "cupy", 3 - ranks.number)
        return fake_cupy.cuda.Device().id

    assert on_ranks(3, chosen) == [3, 2, 1]
