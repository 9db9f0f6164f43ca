"""The kernels: compared with NumPy by running them on the host, and compiled for GPUs without having one."""

import ctypes
import site
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_close, assert_equal
from host_kernels import RawModule
from strict_cupy import ndarray
from test_cupy_wheel import FOLDER as WHEELS

from minigrid import CharModel
from minigrid.backend import to_host
from minigrid.backend.cuda.kernels import FOLDER, MODULES, MOST_BLOCKS, MOST_THREADS, definitions, kernels_for, source
from minigrid.backend.cuda.recurrence import MOST_ROWS, sizes
from minigrid.nn.gates import Update, by_gate, lstm_backward, lstm_forward, lstm_slopes
from minigrid.nn.ops import cross_entropy_backward, cross_entropy_forward
from minigrid.nn.options import CHOICES
from minigrid.training.optim import OPTIMIZERS, make_optimizer

TOLERANCES = {"float32": 1e-6, "float64": 1e-14}
SHAPES = [(2, 3), (4, 2, 5), (1, 300)]  # (B, H) and (steps, B, H); the last row is longer than a block of threads


def draw(shape, dtype, seed, scale=1.0):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def update(xp, shape, dtype, output):
    """Run one update and its backward pass on `xp`, as a layer does; return all arrays written, on the host."""
    *steps, B, H = shape
    packed = (*shape[:-1], 4 * H)
    a_x, a_h, c_prev, dh, dc = (
        xp.asarray(draw(s, dtype, k, scale=2)) for k, s in enumerate([packed, packed, shape, shape, shape])
    )
    gates, c, s, h, da = (xp.empty(s, dtype=dtype) for s in ((*steps, 4, B, H), shape, shape, shape, packed))
    gates = gates.swapaxes(0, -3)  # as in a layer's cache: the gates of one step are next to each other in memory
    made = Update(gates, c_prev, c, s, h)
    if xp is np:
        lstm_forward(by_gate(a_x), by_gate(a_h), made, output)
        slopes = np.empty((5, *shape), dtype)
        lstm_slopes(made, output, out=slopes)
        lstm_backward(dh, dc, gates[1], slopes, by_gate(da), dc_prev=dc)
    else:
        kernels_for(gates).lstm_forward(a_x, a_h, made, output)
        kernels_for(gates).lstm_backward(dh, dc, made, da, output)
    return {name: to_host(a) for name, a in (made._asdict() | {"da": da, "dc_prev": dc}).items()}


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("output", CHOICES["lstm_output"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_lstm_update(fake_cupy, shape, output, dtype):
    assert_close(update(fake_cupy, shape, dtype, output), update(np, shape, dtype, output), TOLERANCES[dtype])


def loss_and_gradient(xp, logits, y, n):
    """Compute the loss and its backward pass on `xp`; return the arrays on the host."""
    loss, cache = cross_entropy_forward(xp.asarray(logits), xp.asarray(y), n)
    return {"loss": to_host(loss), "p": to_host(cache.p), "dlogits": to_host(cross_entropy_backward(cache))}


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("n", [None, 7])
@pytest.mark.parametrize("target_dtype", ["int32", "int64"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 5), (1, 5, 32), (2, 3, 70), (9, 40, 3)], ids=str)
def test_the_loss(fake_cupy, shape, target_dtype, n, dtype):
    T, B, V = shape
    logits, y = draw(shape, dtype, 0, scale=5), np.random.default_rng(1).integers(-1, V, (T, B), target_dtype)
    before = fake_cupy.asarray(logits)
    theirs = loss_and_gradient(fake_cupy, before, y, n)
    assert_close(theirs, loss_and_gradient(np, logits, y, n), TOLERANCES[dtype])
    assert theirs["loss"].dtype == theirs["dlogits"].dtype == dtype
    assert np.array_equal(to_host(before), logits)


@pytest.mark.parametrize("y", [-1, 0], ids=["no target counts", "huge scores"])
def test_the_loss_at_its_limits(fake_cupy, y):
    logits, targets = np.array([[[1e4, 0, -1e4], [0, -1e4, 1e4]]], "float32"), np.full((1, 2), y)
    theirs, ours = (loss_and_gradient(xp, logits, targets, None) for xp in (fake_cupy, np))
    assert_close(theirs, ours, 1e-6)
    assert np.isfinite(theirs["loss"])


def test_the_loss_takes_three_launches(fake_cupy):
    logits, y = fake_cupy.zeros((2, 3, 5), "float32"), fake_cupy.zeros((2, 3), "int32")
    fake_cupy.calls.clear()
    cross_entropy_backward(cross_entropy_forward(logits, y)[1])
    assert fake_cupy.calls == ["cross_entropy_forward", "mean_loss", "cross_entropy_backward"]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_optimisers(fake_cupy, name, dtype):
    results = []
    for xp in (np, fake_cupy):
        p = xp.asarray(draw(1000, dtype, 0))
        optimizer = make_optimizer(name, p, alpha=0.9)
        for step in range(1, 4):
            optimizer.update(p, xp.asarray(draw(1000, dtype, step)), 0.1, step)
        results.append({"p": to_host(p)} | {key: to_host(array) for key, array in optimizer.state.items()})
    assert_close(results[1], results[0], TOLERANCES[dtype])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_takes_one_launch_and_no_memory(fake_cupy, monkeypatch, name):
    p, g = fake_cupy.zeros(10, "float32"), fake_cupy.zeros(10, "float32")
    optimizer = make_optimizer(name, p, alpha=0.9)
    for allocate in ("empty", "empty_like", "zeros", "zeros_like"):
        monkeypatch.setattr(fake_cupy, allocate, lambda *args, **how: pytest.fail("the optimiser allocates memory"))
    fake_cupy.calls.clear()
    optimizer.update(p, g, 0.1, 1)
    assert fake_cupy.calls == [name]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(
    "size", [0, 1, MOST_THREADS + 1, pytest.param(MOST_BLOCKS * MOST_THREADS + 5, marks=pytest.mark.long)]
)
def test_scale_and_square(fake_cupy, size, dtype):
    before = draw(size, dtype, 0)
    g = fake_cupy.asarray(before)
    total = kernels_for(g).scale_and_square(g, 50)
    assert np.array_equal(to_host(g), 50 * before)
    assert total.dtype == dtype
    assert float(total) == pytest.approx(
        float((50 * before.astype("float64")) ** 2 @ np.ones(size)), rel=TOLERANCES[dtype]
    )


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("seed", "draw"), [(0, 0), (2**64 - 1, 123456)])
@pytest.mark.usefixtures("fake_cupy")
def test_a_gpu_draws_the_masks_that_the_host_draws(seed, draw, dtype):
    host, device = (
        CharModel(vocab_size=5, hidden=7, layers=3, dropout=0.3, seed=seed, dtype=dtype, backend=backend)
        for backend in ("numpy", "cupy")
    )
    for steps, batch in ((1, 1), (3, 5), (20, 30)):
        drawn = {name: to_host(mask) for name, mask in device.draw_masks(steps, batch, draw).items()}
        assert_equal(drawn, host.draw_masks(steps, batch, draw))


def test_the_host_refuses_numbers_of_another_size():
    """CuPy passes eight bytes for a Python number; a kernel that expects four would read the wrong half."""
    code = 'typedef REAL real; extern "C" __global__ void double_it(real *x, int n) { x[0] *= n; }'
    module = RawModule(code=code, options=("-DREAL=float",))
    with pytest.raises(AssertionError, match="int32"):
        module.get_function("double_it")((1,), (1,), (ndarray(np.zeros(1, np.float32)), 2))


# -- compiled for GPUs


@cache
def nvrtc() -> ctypes.CDLL:
    """Load NVIDIA's compiler, which needs neither a GPU nor a driver."""
    for folder in (WHEELS, *map(Path, site.getsitepackages())):
        for path in folder.glob("nvidia/cu13/lib/libnvrtc.so.*"):
            return ctypes.CDLL(str(path))
    pytest.skip("the compiler of CUDA is not installed: make .venv/cuda/ready")


def compiled(source: str, options: list[str]) -> tuple[str, str]:
    """Compile CUDA C++ for a GPU; return the PTX and the compiler's log."""
    library, program, size = nvrtc(), ctypes.c_void_p(), ctypes.c_size_t()
    assert library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"", 0, None, None) == 0
    given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    failed = library.nvrtcCompileProgram(program, len(options), given)
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    assert not failed, log.value.decode()
    assert "warning" not in log.value.decode(), log.value.decode()
    library.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    library.nvrtcGetPTX(program, ptx)
    return ptx.value.decode(), log.value.decode()


def test_every_source_belongs_to_a_module():
    assert {name for names in MODULES.values() for name in names} == {path.name for path in FOLDER.glob("*.cu")}


IN_DOUBLE = {"mean_loss"}
"""Kernels that use double for float32 arrays on purpose."""


@pytest.mark.long
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize(
    ("module", "dtype", "given"),
    [
        *((module, dtype, {}) for module in MODULES if module != "recurrence" for dtype in TOLERANCES),
        *(("recurrence", dtype, sizes(MOST_ROWS, tile_rows)) for dtype in TOLERANCES for tile_rows in (2, 8)),
        *(("recurrence", "float32", sizes(rows, 0)) for rows in range(16, MOST_ROWS + 1, 16)),
    ],
    ids=str,
)
def test_the_sources_compile_for_a_gpu(module, dtype, given, architecture):
    options = [f"--gpu-architecture={architecture}", "--ptxas-options=-v", *definitions(np.dtype(dtype), **given)]
    ptx, log = compiled(source(module), options)
    spills = [line for line in log.splitlines() if "spill" in line]
    assert spills
    assert all(line.count(" 0 bytes") == 3 for line in spills), log  # enough registers
    kernels = {text.split("(")[0].strip(): text for text in ptx.split(".entry")[1:]}
    assert kernels
    if dtype == "float32":  # nothing is computed in double by mistake
        assert {name for name, text in kernels.items() if ".f64" in text} <= IN_DOUBLE
