import platform
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import assert_close
from hypothesis import given
from hypothesis import strategies as st
from thread_ranks import on_ranks

from minigrid.backend import Workspace, blas
from minigrid.backend.blas import (
    FEW_PRODUCTS,
    NARROWEST_TILE,
    SMALL,
    THREAD_VARIABLES,
    matmul,
    one_thread,
    share_cores,
    threads,
    tiled,
)
from minigrid.backend.ranks import ALONE

SIZES = [(25, 128, 512), (25, 512, 128), (50, 2048, 512), (3, 7, 5), (25, 211, 844), (40, 400, 100), (1, 9, 64)]
"""Rows of x, rows and columns of W: cut across, down, both ways, or not at all."""


def test_one_thread_limits_blas_and_is_undone_afterwards():
    before = threads()
    with one_thread():
        assert threads() == 1
    assert threads() == before >= 1


def test_tiles_pay_off_only_with_openblas_on_one_thread(monkeypatch):
    class Library:
        internal_api, num_threads = "openblas", 1

    monkeypatch.setattr(blas, "_libraries", lambda: SimpleNamespace(lib_controllers=[Library]))
    assert blas.tiles_pay()
    Library.num_threads = 2
    assert not blas.tiles_pay()
    Library.internal_api, Library.num_threads = "mkl", 1
    assert not blas.tiles_pay()
    monkeypatch.setattr(blas, "_libraries", lambda: SimpleNamespace(lib_controllers=[]))  # Accelerate, on a Mac
    assert threads() == 1
    assert not blas.tiles_pay()


# -- the cores of several ranks


class Machine(threading.local):
    """What each rank sees: its machine's name, the cores that it may run on, and a BLAS of its own."""

    name, cores = "here", range(8)
    num_threads = 64

    @property
    def lib_controllers(self):
        return [self]

    def limit(self, limits):
        self.num_threads = limits


@pytest.fixture
def machine(monkeypatch):
    machine = Machine()
    monkeypatch.setattr(blas, "_libraries", lambda: machine)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(machine.cores), raising=False)
    monkeypatch.setattr(platform, "node", lambda: machine.name)
    for variable in THREAD_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    return machine


def shares(machine, cores, names=None):
    """Return the number of threads that each rank takes, of the cores that a launcher has bound it to."""

    def share(ranks):
        machine.cores = cores[ranks.number]
        machine.name = "here" if names is None else names[ranks.number]
        return share_cores(ranks)

    return on_ranks(len(cores), share)


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        ([range(8)] * 2, [4, 4]),
        ([range(8)] * 3, [2, 2, 2]),  # not bound
        ([range(4), range(4, 8)], [4, 4]),  # bound apart
        ([range(4), range(4), range(4, 8)], [2, 2, 4]),
        ([range(8), range(4), range(4, 8)], [2, 2, 2]),
        ([range(1)] * 3, [1, 1, 1]),  # more ranks than cores
    ],
    ids=str,
)
def test_ranks_share_the_cores_that_they_may_run_on(machine, cores, expected):
    assert shares(machine, cores) == expected


def test_ranks_on_other_machines_take_nothing_away(machine):
    assert shares(machine, [range(8)] * 3, names="aab") == [4, 4, 8]


@pytest.mark.parametrize("variable", THREAD_VARIABLES)
def test_the_number_in_the_environment_takes_precedence(machine, variable, monkeypatch):
    monkeypatch.setenv(variable, "64")
    assert shares(machine, [range(8)] * 2) == [64, 64]


def test_where_cores_cannot_be_asked_for_all_count(machine, monkeypatch):
    """As on a Mac."""
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert shares(machine, [None] * 3) == [2, 2, 2]


def test_alone_a_process_has_all_of_its_cores(machine):
    assert share_cores(ALONE) == 8


# -- products


@pytest.mark.parametrize(("B", "K", "N"), SIZES)
@pytest.mark.parametrize("T", [FEW_PRODUCTS - 1, FEW_PRODUCTS])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("tiles", [False, True])
def test_the_product_is_numpys(B, K, N, T, transposed, tiles, monkeypatch):
    monkeypatch.setattr(blas, "tiles_pay", lambda: tiles)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((T, B, K + 3))[..., :K]  # rows that do not touch
    W = rng.standard_normal((N, K)).T if transposed else rng.standard_normal((K, N))
    out = np.empty((B, N))
    prepared = tiled(W, out, T, Workspace(np, "float64"))
    for t in (0, T - 1):
        matmul(x[t], prepared, out)
        assert_close({"out": out}, {"out": x[t] @ W}, 1e-12)


def test_a_few_products_do_not_copy_the_matrix():
    W, out = np.ones((128, 512)), np.empty((25, 512))
    assert np.shares_memory(tiled(W, out, FEW_PRODUCTS - 1, Workspace(np, "float64")).tiles, W)
    assert not np.shares_memory(tiled(W, out, FEW_PRODUCTS, Workspace(np, "float64")).tiles, W)


@given(st.integers(1, 60), st.integers(1, 700), st.integers(1, 700))
def test_tiles_cut_evenly_into_small_products(B, quarter, N):
    K = 4 * quarter
    down, across = blas._tiles(B, K, N)
    assert K % down == N % across == 0
    if (down, across) != (1, 1):
        assert B * (K // down) * (N // across) <= SMALL
        assert N // across >= NARROWEST_TILE


def test_a_matrix_that_cannot_be_cut_stays_whole():
    assert blas._tiles(25, 211, 4 * 211) == (1, 1)
    assert blas._tiles(25, 128, 512) == (1, 2)
    assert blas._tiles(25, 2048, 512) == (2, 16)
