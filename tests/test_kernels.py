"""The fused kernels: their arithmetic, run on the host, against NumPy's; and compiled for GPUs, without one."""

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
from minigrid.gates import by_gate, lstm_backward, lstm_forward, lstm_slopes
from minigrid.kernels import FOLDER, REAL, fused, source
from minigrid.optim import RMSprop
from minigrid.options import CHOICES
from minigrid.recurrence import MOST_ROWS, definitions

TOLERANCES = {"float32": 1e-6, "float64": 1e-14}
SHAPES = [(2, 3), (4, 2, 5), (1, 300)]  # (B, H) and (steps, B, H); the last is more than a block of threads


def draw(shape, dtype, seed, scale=1.0):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def gates_first(packed):
    """View packed rows as (4, ..., H), as the update wants them."""
    gates = by_gate(packed)
    return gates.swapaxes(0, 1) if gates.ndim == 4 else gates


def update(xp, shape, dtype, output):
    """One update and its backward pass as a layer would call them on `xp`: everything that is written, on the host."""
    *steps, B, H = shape
    packed = (*shape[:-1], 4 * H)
    a_x, a_h, c_prev, dh, dc = (
        xp.asarray(draw(s, dtype, k, scale=2)) for k, s in enumerate([packed, packed, shape, shape, shape])
    )
    gates, c, s, h, da = (xp.empty(s, dtype=dtype) for s in ((*steps, 4, B, H), shape, shape, shape, packed))
    first = gates.swapaxes(0, 1) if steps else gates
    lstm_forward(gates_first(a_x), gates_first(a_h), first, c_prev, c, s, h, output)
    if kernels := fused(gates):
        kernels.lstm_backward(dh, dc, gates, c_prev, c, s, gates_first(da), output)
    else:
        slopes, dh_dc = np.empty_like(first), np.empty_like(c)
        lstm_slopes(first, c_prev, c, s, slopes, dh_dc, output)
        lstm_backward(dh, dc, first[1], slopes, dh_dc, gates_first(da))
    return {name: to_host(a) for name, a in {"gates": gates, "c": c, "s": s, "h": h, "da": da, "dc_prev": dc}.items()}


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("output", CHOICES["lstm_output"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_lstm_update(fake_cupy, shape, output, dtype):
    assert_close(update(fake_cupy, shape, dtype, output), update(np, shape, dtype, output), TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_rmsprop(fake_cupy, dtype):
    results = []
    for xp in (np, fake_cupy):
        p = xp.asarray(draw(1000, dtype, 0))
        optimizer = RMSprop(p, alpha=0.9)
        for step in range(1, 4):
            optimizer.update(p, xp.asarray(draw(1000, dtype, step)), 0.1, step)
        results.append({"p": to_host(p), "m": to_host(optimizer.state["mean_square"])})
    assert_close(results[1], results[0], TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("seed", "draw"), [(0, 0), (2**64 - 1, 123456)])
@pytest.mark.usefixtures("fake_cupy")
def test_a_gpu_draws_the_masks_that_the_host_draws(seed, draw, dtype):
    host, device = (
        CharModel(vocab_size=5, hidden=7, layers=3, dropout=0.3, seed=seed, dtype=dtype, backend=backend)
        for backend in ("numpy", "cupy")
    )
    for sizes in ((1, 1), (3, 5), (20, 30)):
        drawn = {name: to_host(mask) for name, mask in device.draw_masks(*sizes, draw).items()}
        assert_equal(drawn, host.draw_masks(*sizes, draw))


def test_numpy_has_no_kernels():
    assert fused(np.zeros(2)) is None


def test_the_host_refuses_numbers_of_another_size():
    """CuPy hands on eight bytes for a Python number, of which a kernel that wants four would read the wrong half."""
    code = 'typedef REAL real; extern "C" __global__ void double_it(real *x, int n) { x[0] *= n; }'
    module = RawModule(code=code, options=("-DREAL=float",))
    with pytest.raises(AssertionError, match="int32"):
        module.get_function("double_it")((1,), (1,), (ndarray(np.zeros(1, np.float32)), 2))


# -- compiled for GPUs


@cache
def nvrtc() -> ctypes.CDLL:
    """NVIDIA's compiler, which needs neither a GPU nor a driver."""
    for folder in (WHEELS, *map(Path, site.getsitepackages())):
        for path in folder.glob("nvidia/cuda_nvrtc/lib/libnvrtc.so.*"):
            return ctypes.CDLL(str(path))
    pytest.skip("the compiler of CUDA is not installed: make .venv/cuda/ready")


def compiled(source: str, options: list[str]) -> tuple[str, str]:
    """Compile CUDA C++ for a GPU; return the PTX, and what the compiler says."""
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


RECURRENCE = "recurrence.cu"
MODULES = {path.name: source(path.name) for path in FOLDER.glob("*.cu") if path.name not in ("ptx.cu", RECURRENCE)}
MODULES[RECURRENCE] = source("ptx.cu", "gates.cu", RECURRENCE)


def test_every_source_belongs_to_a_module():
    assert all(path.read_text() in "".join(MODULES.values()) for path in FOLDER.glob("*.cu"))


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize(
    ("name", "dtype", "tile_rows"),
    [
        *((name, dtype, 0) for name in sorted(MODULES) if name != RECURRENCE for dtype in TOLERANCES),
        *((RECURRENCE, dtype, tile_rows) for dtype in TOLERANCES for tile_rows in (2, 8)),
        (RECURRENCE, "float32", 0),
    ],
)
def test_the_sources_compile_for_a_gpu(name, dtype, tile_rows, architecture):
    options = [f"--gpu-architecture={architecture}", "--ptxas-options=-v"]
    if name == RECURRENCE:
        options += definitions(np.dtype(dtype), MOST_ROWS, tile_rows)
    else:
        options.append(f"-DREAL={REAL[dtype]}")
    ptx, log = compiled(MODULES[name], options)
    assert ".entry" in ptx
    spills = [line for line in log.splitlines() if "spill" in line]
    assert spills
    assert all(line.count(" 0 bytes") == 3 for line in spills), log  # there are registers enough
    if dtype == "float32":
        assert ".f64" not in ptx  # nothing is computed in double by mistake
