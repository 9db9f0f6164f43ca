import importlib.util
import os

import numpy as np
import pytest

from minigrid import UserError
from minigrid.backend import (
    Workspace,
    array_module,
    backend_module,
    choose_device,
    describe_device,
    to_host,
)


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
