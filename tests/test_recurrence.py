"""The recurrence on the chip: run on the host and compared with the loops over time; and which layers fit."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_close, assert_equal
from host_kernels import MOST_SHARED, HostKernel
from hypothesis import given
from hypothesis import strategies as st

from minigrid.backend import Workspace, to_host
from minigrid.backend.cuda import lstm as cuda
from minigrid.backend.cuda.recurrence import MOST_ROWS, PADDING, THREADS, UNITS, Chip, Recurrence, layout, recurrence
from minigrid.nn.cells import lstm
from minigrid.nn.options import CHOICES

H200 = Chip(multiprocessors=132, shared=MOST_SHARED)
A100 = Chip(multiprocessors=108, shared=163 * 1024)
TOLERANCES = {"float32": 1e-6, "float64": 1e-14}


def draw(shape, dtype, seed, scale=1.0):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def problem(T, B, H, dtype):
    """Draw what a layer passes to the loops, on the host: inputs, weights, initial state, gradients from outside."""
    shapes = {"a_x": (T, B, 4 * H), "W_h": (H, 4 * H), "h0": (B, H), "c0": (B, H), "dh": (T + 1, B, H), "dc": (B, H)}
    values = {name: draw(shape, dtype, seed) for seed, (name, shape) in enumerate(shapes.items())}
    values["W_h"] /= np.sqrt(H)
    return values


def layer_of(xp, problem):
    """Return the cache of a layer with this problem's weights and initial state, on `xp`."""
    T, B, packed = problem["a_x"].shape
    H, dtype = packed // 4, problem["a_x"].dtype
    shapes = {"h": (T + 1, B, H), "c": (T + 1, B, H), "gates": (T, 4, B, H), "s": (T, B, H)}
    arrays = {name: xp.empty(shape, dtype=dtype) for name, shape in shapes.items()}
    arrays["h"][0], arrays["c"][0] = xp.asarray(problem["h0"]), xp.asarray(problem["c0"])
    weights = lstm.Weights(W_x=None, W_h=xp.asarray(problem["W_h"]), bias=None)
    return lstm.Cache(x=None, weights=weights, **arrays)


def both_ways(xp, problem, output, on_chip=None):
    """Run all steps forward and backward on `xp`, with `on_chip` if given; return all arrays written, on the host."""
    a_x, dh, dc = (xp.asarray(problem[name]) for name in ("a_x", "dh", "dc"))
    cache, da = layer_of(xp, problem), xp.empty(a_x.shape, dtype=a_x.dtype)
    workspace = Workspace(xp, a_x.dtype)
    if on_chip:
        on_chip.forward(a_x, cache, output)
        dh0, dc0 = dh[-1].copy(), dc.copy()
        on_chip.backward(dh, dh0, dc0, cache, da, output)
    elif xp is np:
        lstm.forward_steps(a_x, cache, output, workspace)
        dh0, dc0 = lstm.backward_steps(dh, dc, cache, da, output, workspace)
    else:
        cuda.forward_steps(a_x, cache, output, workspace)
        dh0, dc0 = cuda.backward_steps(dh, dc, cache, da, output)
    arrays = {name: getattr(cache, name) for name in ("h", "c", "gates", "s")} | {"da": da, "dh0": dh0, "dc0": dc0}
    return {name: to_host(array) for name, array in arrays.items()}


def on_make_believe(cupy, T, B, H, dtype, chip, tf32=False):
    """Return the recurrence of a layer on the stand-in, divided among blocks as on this chip."""
    return Recurrence(cupy, np.dtype(dtype), layout(B, H, np.dtype(dtype).itemsize, chip), chip, tf32)


CASES = {
    "one block with units": (3, 2, UNITS, Chip(4, MOST_SHARED)),
    "one neighbourhood": (4, 3, 4 * UNITS, Chip(4, MOST_SHARED)),
    "the second neighbourhood has few units": (3, 3, 5 * UNITS, Chip(8, MOST_SHARED)),
    "the batch in parts, the last one smaller": (3, 5, 2 * UNITS, Chip(12, MOST_SHARED)),
    "eight rows per thread": (2, 21, 2 * UNITS, Chip(4, MOST_SHARED)),
    "more sequences than rows in a product": (2, MOST_ROWS + 9, UNITS, Chip(4, MOST_SHARED)),
    "memory for few rows": (2, 40, 2 * UNITS, Chip(4, 40 * 1024)),
    "several chunks": (2, 3, 20 * UNITS, Chip(20, 40 * 1024)),
    "a single step": (1, 1, UNITS, Chip(4, MOST_SHARED)),
}


@pytest.mark.parametrize("output", CHOICES["lstm_output"])
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.long)])
@pytest.mark.parametrize("case", CASES)
def test_the_same_as_step_by_step(fake_cupy, case, dtype, output):
    T, B, H, chip = CASES[case]
    chip = chip._replace(shared=min(MOST_SHARED, chip.shared * np.dtype(dtype).itemsize // 4))
    given = problem(T, B, H, dtype)
    on_chip = on_make_believe(fake_cupy, T, B, H, dtype, chip)
    assert_close(both_ways(fake_cupy, given, output, on_chip), both_ways(np, given, output), TOLERANCES[dtype])


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_on_tensor_cores(fake_cupy, case):
    """As exact as inputs of 10 bits allow, and bit-identical every time."""
    T, B, H, chip = CASES[case]
    given = problem(T, B, H, "float32")
    first, second = (
        both_ways(fake_cupy, given, "standard", on_make_believe(fake_cupy, T, B, H, "float32", chip, tf32=True))
        for _ in range(2)
    )
    assert_close(first, both_ways(np, given, "standard"), 3e-3)
    assert_equal(first, second)


def test_tensor_cores_are_exact_for_factors_of_10_bits(fake_cupy):
    """If h and the weights have only 10 bits, there is nothing to round, so one step is exact."""
    T, B, H, chip = 1, 3, 2 * UNITS, Chip(4, MOST_SHARED)
    given = problem(T, B, H, "float32")
    for name in ("h0", "W_h"):
        given[name] = given[name].astype("float16").astype("float32")
    tensor, plain = (
        both_ways(fake_cupy, given, "standard", on_make_believe(fake_cupy, T, B, H, "float32", chip, tf32))
        for tf32 in (True, False)
    )
    for name in ("gates", "h", "c", "s", "da"):
        assert_close(tensor[name], plain[name], 1e-6)


def test_the_cases_are_what_their_names_say():
    sizes = {case: layout(B, H, 4, chip) for case, (_, B, H, chip) in CASES.items()}
    assert sizes["the second neighbourhood has few units"].neighbourhoods == 2
    parts = sizes["the batch in parts, the last one smaller"].parts
    assert 2 * parts > 5 > parts
    assert sizes["eight rows per thread"].tile_rows == 8
    many = sizes["more sequences than rows in a product"]
    assert many.sequences > many.rows == MOST_ROWS
    assert sizes["memory for few rows"].rows == 32
    assert sizes["several chunks"].columns < 20 * UNITS


def test_a_grid_too_large_for_the_gpu_is_refused(fake_cupy, monkeypatch):
    """A smaller grid would leave units out, and CuPy shrinks a grid along x without an error."""
    T, B, H, chip = CASES["several chunks"]
    given = problem(T, B, H, "float32")
    on_chip = on_make_believe(fake_cupy, T, B, H, "float32", chip)
    monkeypatch.setattr(HostKernel, "room", H // UNITS - 1)  # for example, another process uses a multiprocessor
    with pytest.raises(ValueError, match="exceeds the limit"):
        both_ways(fake_cupy, given, "standard", on_chip)


LOST_BLOCK = """
import strict_cupy, sys
sys.modules["cupy"] = cupy = strict_cupy.make()
from minigrid.backend.cuda import recurrence
recurrence.PATIENCE = 10**8  # nanoseconds, on the host
from test_recurrence import both_ways, on_make_believe, problem, Chip, MOST_SHARED, UNITS
size = 2, 1, 4 * UNITS, "float32"
both_ways(cupy, problem(*size), "standard", on_make_believe(cupy, *size, Chip(4, MOST_SHARED)))
"""


@pytest.mark.parametrize("lost", [False, True])
def test_a_block_that_waits_in_vain_aborts_the_kernel(lost):
    """Otherwise the host would wait forever. On the host, a trap is an abort."""
    folder = Path(__file__).parent
    found = subprocess.run(
        [sys.executable, "-c", LOST_BLOCK],
        env=os.environ
        | {"PYTHONPATH": f"{folder}{os.pathsep}{folder.parent}"}
        | ({"MINIGRID_LOSE_A_BLOCK": "1"} if lost else {}),
        timeout=60,
        check=False,
    )
    assert found.returncode == (-signal.SIGABRT if lost else 0)


def test_layers_of_two_sizes_share_a_compiled_kernel(fake_cupy):
    """The smaller layer must not lower the limit on shared memory for the larger one."""
    chip = Chip(64, MOST_SHARED)
    sizes = [(2, 3, H, "float32", chip) for H in (64 * UNITS, UNITS)]
    large, _ = (on_make_believe(fake_cupy, *size) for size in sizes)
    both_ways(fake_cupy, problem(2, 3, 64 * UNITS, "float32"), "standard", large)


# -- which layers fit


def test_the_benchmarked_sizes_fit_on_an_h200():
    for H, parts in ((128, 8), (256, 4), (512, 2), (1000, 1)):
        found = layout(50, H, 4, H200)
        assert (found.neighbourhoods, found.parts) == (-(-H // (4 * UNITS)), parts)
    assert layout(1000, 512, 4, H200).sequences == 500
    assert layout(50, 1056, 4, H200) is not None  # the widest, see test_layers_that_do_not_fit
    assert layout(50, 1000, 4, A100) is None  # 128 blocks for 108 multiprocessors
    assert layout(50, 864, 4, A100).rows == 48
    assert layout(1000, 864, 4, A100).rows == 48


@pytest.mark.parametrize(("hidden", "chip"), [(100, H200), (4, H200), (1064, H200), (512, Chip(132, 48 * 1024))])
def test_layers_that_do_not_fit(hidden, chip):
    assert layout(50, hidden, 4, chip) is None


@given(
    batch=st.integers(1, 2000),
    groups=st.integers(1, 132),
    itemsize=st.sampled_from([4, 8]),
    multiprocessors=st.integers(1, 160),
    shared=st.integers(16, 256),
)
def test_layouts_stay_within_the_limits_of_the_chip(batch, groups, itemsize, multiprocessors, shared):
    chip = Chip(multiprocessors, 1024 * shared)
    found = layout(batch, groups * UNITS, itemsize, chip)
    if found is None:
        return
    assert 4 * found.neighbourhoods * found.parts <= chip.multiprocessors
    assert (found.parts - 1) * found.sequences < batch <= found.parts * found.sequences
    assert found.shared <= chip.shared
    assert found.columns % 32 == 0 < found.columns
    assert found.rows % 16 == 0 < found.rows
    at_a_time = min(found.sequences, found.rows)
    room = found.shared // itemsize - 4 * groups * UNITS * UNITS
    assert room >= 2 * found.rows * (found.columns + PADDING)
    # room for the sums of all slices, without and with tensor cores
    tile_groups = -(-at_a_time // found.tile_rows)
    assert tile_groups * found.tile_rows <= found.rows
    N = 4 * UNITS
    slices = THREADS // (N // 4 * tile_groups)
    assert slices >= 1
    assert room >= slices * tile_groups * found.tile_rows * N
    assert room >= THREADS // 32 * found.rows * N


@pytest.mark.parametrize(
    "lacking",
    [{"compute_capability": "75"}, {"attributes": {"CooperativeLaunch": 0}}],
    ids=lambda lacking: str(lacking),
)
def test_an_older_gpu_goes_step_by_step(fake_cupy, monkeypatch, lacking):
    state = fake_cupy.zeros((2, UNITS))
    assert recurrence(state) is not None
    older = type("Device", (fake_cupy.cuda.Device,), lacking)
    other = fake_cupy.cuda.__class__("cuda")
    other.Device = older
    monkeypatch.setattr(fake_cupy, "cuda", other)
    assert recurrence(fake_cupy.zeros((3, UNITS))) is None
