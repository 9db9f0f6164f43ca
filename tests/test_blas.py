from types import SimpleNamespace

import numpy as np
import pytest
from helpers import assert_close
from hypothesis import given
from hypothesis import strategies as st

from minigrid.backend import Workspace, blas
from minigrid.backend.blas import FEW_PRODUCTS, NARROWEST_TILE, SMALL, matmul, one_thread, threads, tiled

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
