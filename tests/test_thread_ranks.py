"""The communicator that stands in for MPI: are its mistakes those of MPI, and are they noticed at once?"""

import time

import numpy as np
import pytest
from thread_ranks import DesertedError, on_ranks


def test_what_is_exchanged():
    def exchange(ranks):
        comm, number = ranks.comm, ranks.number
        received = np.empty((3, number + 1))
        comm.Alltoallv([np.arange(6.0) + 10 * number, [1, 2, 3]], [received, [number + 1] * 3])
        whole, own = np.empty(6), np.full(number + 1, float(number))
        comm.Alltoallv([own, ([number + 1] * 3, [0] * 3)], [whole, [1, 2, 3]])
        gathered = np.empty(4) if ranks.is_first else None
        own = np.full((number % 2 + 1, 1), float(number))
        comm.Gatherv(own, None if gathered is None else [gathered, [1, 2, 1]])
        rows = np.empty((3, 2))
        comm.Allgather(np.array([number, -number], float), rows)
        objects = comm.allgather(number), comm.gather(str(number)), comm.bcast({"rank": number})
        return received.tolist(), whole.tolist(), gathered is not None and gathered.tolist(), rows.tolist(), objects

    slices = [[[0], [10], [20]], [[1, 2], [11, 12], [21, 22]], [[3, 4, 5], [13, 14, 15], [23, 24, 25]]]
    for number, found in enumerate(on_ranks(3, exchange)):
        received, whole, gathered, rows, objects = found
        assert received == slices[number]
        assert whole == [0, 1, 1, 2, 2, 2]
        assert gathered == ([0, 1, 1, 2] if number == 0 else False)
        assert rows == [[0, 0], [1, -1], [2, -2]]
        assert objects == ([0, 1, 2], ["0", "1", "2"] if number == 0 else None, {"rank": 0})


def test_a_rank_that_fails_ends_those_that_wait():
    def fail(ranks):
        if ranks.number == 2:
            raise ZeroDivisionError
        ranks.comm.allgather(0)

    start = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        on_ranks(3, fail)
    assert time.monotonic() - start < 10


def test_a_rank_that_leaves_ends_those_that_wait():
    with pytest.raises(DesertedError, match=r"^rank [01] waits in bcast, and only ranks "):
        on_ranks(3, lambda ranks: None if ranks.number == 2 else ranks.comm.bcast(None))


def test_a_rank_may_leave_when_all_have_come():
    def leave(ranks):
        time.sleep(0.01 * ranks.number)
        return ranks.any(ranks.number == 1)

    for _ in range(20):
        assert on_ranks(3, leave) == [True] * 3


def test_ranks_that_do_different_things():
    with pytest.raises(AssertionError, match=r"the ranks do different things: \['bcast', 'allgather'\]"):
        on_ranks(2, lambda ranks: ranks.comm.bcast(0) if ranks.is_first else ranks.comm.allgather(0))


def test_ranks_that_disagree_on_lengths():
    def exchange(ranks):
        received = np.empty((2, 2 - ranks.number))
        ranks.comm.Alltoallv([np.zeros(3), [1, 2]], [received, [2 - ranks.number] * 2])

    with pytest.raises(AssertionError, match="disagree"):
        on_ranks(2, exchange)


def test_arrays_on_a_gpu_are_for_gpu_aware_mpi_only(fake_cupy):
    def exchange(ranks):
        whole, own = fake_cupy.asarray([5.0, 5.0]), fake_cupy.asarray([1.0]) * ranks.number
        ranks.comm.Alltoallv([own, ([1, 1], [0, 0])], [whole, [1, 1]])
        return fake_cupy.asnumpy(whole).tolist()

    assert on_ranks(2, exchange, gpu_aware=True) == [[0, 1], [0, 1]]
    with pytest.raises(AssertionError, match="MPI cannot read an array on a GPU"):
        on_ranks(2, exchange)


def test_numpy_is_as_strict_in_every_rank_as_it_was_outside():
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        on_ranks(2, lambda ranks: np.ones(1) / (1 - ranks.number))
