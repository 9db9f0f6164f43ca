"""The prediction of a step on many ranks, and its agreement with what the step does."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.scaling.model import (
    GATHER,
    PAYLOAD,
    Link,
    Work,
    allgatherv,
    alltoallv,
    rounds_of_doubling,
    step_time,
    with_allreduce,
)
from benchmarks.scaling.predictions import SPEEDS, STRONG, alternatives, links, read_work, scaling
from minigrid.training.distributed import DistributedStep

LINK = Link(latency=1e-3, bandwidth=4e6, gap=1e-5)
WORK = Work(parameters=1_000_000, update=2e-9, add=1e-9, times={1: 0.01, 5: 0.02, 10: 0.04})


def test_one_rank_exchanges_nothing():
    alone = step_time(WORK, LINK, 1, batch=10)
    assert alone.exchange == 0
    assert alone.total == pytest.approx(0.04 + 2e-3) == WORK.alone(10)


def test_a_step_of_two_ranks():
    """Half of 4 MB takes half a second, and half of a million sums half a millisecond."""
    step = step_time(WORK, LINK, 2, batch=10, gather="alltoallv")
    assert step == pytest.approx((0.02, 1e-3 + 1e-5 + 0.5 + 0.5e-3, 1e-3, 1e-3, 1e-3 + 1e-5 + 0.5))
    assert step.total == pytest.approx(step.compute + step.exchange + step.update)


def test_the_last_rank_has_the_most_columns():
    assert step_time(WORK, LINK, 3, batch=10).compute == WORK.gradients(4)


@pytest.mark.parametrize(("columns", "seconds"), [(1, 0.01), (3, 0.015), (5, 0.02), (6, 0.024), (20, 0.08)])
def test_the_time_changes_linearly_between_measured_columns(columns, seconds):
    assert WORK.gradients(columns) == pytest.approx(seconds)


@pytest.mark.parametrize(("ranks", "latencies"), [(2, 1), (32, 1), (33, 2), (256, 8)])
def test_alltoallv_sends_to_32_ranks_at_a_time(ranks, latencies):
    assert alltoallv(LINK, 0, ranks) == pytest.approx(latencies * 1e-3 + (ranks - 1) * 1e-5)


@pytest.mark.parametrize(
    ("size", "ranks", "rounds"),
    [
        (1 << 20, 2, 16),  # 512 KiB in pieces of 32
        (1 << 20, 4, 3 * 8),
        (1 << 20, 3, 2 * 11),  # 341.3 KiB: 11 pieces
        ((1 << 19) - 1, 4, 2),  # doubling
        (1 << 19, 4, 3 * 4),
        ((1 << 19) - 1, 3, 2 * 6),  # not a power of 2
    ],
)
def test_allgatherv_waits_for_each_piece(size, ranks, rounds):
    seconds = size * (ranks - 1) / ranks / LINK.bandwidth
    assert allgatherv(LINK, size, ranks) == pytest.approx(rounds * 1e-3 + seconds)


def test_rounds_of_doubling():
    assert [rounds_of_doubling(n) for n in (1, 2, 3, 4, 5, 8, 256)] == [0, 1, 2, 2, 3, 3, 8]


def test_allreduce_sends_whole_vectors_and_updates_everything():
    """Of 4 MB, three quarters go out twice; three quarters of a million numbers are added."""
    seconds = 0.015 + 4 * 1e-3 + 2 * 0.75 + 0.75e-3 + 2e-3
    assert with_allreduce(WORK, LINK, 4, batch=12) == pytest.approx(seconds)
    assert with_allreduce(WORK, LINK, 1, batch=10) == WORK.alone(10)


def test_a_link_is_no_faster_than_the_software():
    fast = Link(latency=1e-5, bandwidth=1e9)
    assert fast.limited(1e11).bandwidth == 1e9
    slow = fast.limited(8e6, delay=1e-3)
    assert (slow.latency, slow.bandwidth) == pytest.approx((1.01e-3, 1e6 * PAYLOAD))


@pytest.fixture
def results():
    link = {"latency": 5e-5, "bandwidth": 5e8, "gap": 3e-5}
    direct = {"latency": 1e-5, "bandwidth": 2e9, "gap": 7e-6}
    work = {"parameters": 1000, "update": 2e-9, "add": 1e-9, "times": {"1": 0.01, "256": 2.0}}
    return {"model": {"simulated": link, "direct": direct, "work": {"grid:2x128": work}}}


def test_predictions_take_the_latency_of_a_link_and_the_gap_of_the_kernel(results):
    found = links(results)
    assert list(found) == list(SPEEDS)
    assert found["1 Gbit/s"] == Link(5e-5, 1e9 / 8 * PAYLOAD, 7e-6)
    assert found["100 Gbit/s"] == Link(5e-5, 1e11 / 8 * PAYLOAD, 7e-6)  # not what TCP reaches


def test_efficiencies(results):
    work = read_work(results["model"]["work"]["grid:2x128"])
    link = links(results)["10 Gbit/s"]
    strong = next(scaling(work, link, strong=True))
    assert strong.efficiency == pytest.approx(work.alone(STRONG) / (2 * step_time(work, link, 2, STRONG).total))
    weak = list(scaling(work, link, strong=False))[-1]
    assert (weak.ranks, weak.seconds) == (256, step_time(work, link, 256, 50 * 256).total)
    assert weak.efficiency == pytest.approx(work.alone(50) / weak.seconds)


def test_the_alternatives_differ_in_their_exchange_only(results):
    work, link = read_work(results["model"]["work"]["grid:2x128"]), links(results)["1 Gbit/s"]
    found = alternatives(work, link, 16)
    assert found.alltoallv == step_time(work, link, 16, STRONG, "alltoallv").total
    assert found.allgatherv == step_time(work, link, 16, STRONG, "allgatherv").total
    assert found.allreduce == with_allreduce(work, link, 16, STRONG)


def test_the_model_knows_how_the_step_exchanges_parameters():
    """A communicator that notes what is called stands in for MPI."""
    called = []

    class Communicator:
        def __getattr__(self, name):
            return lambda *args: called.append(name.lower())

    step = object.__new__(DistributedStep)
    step.ranks = SimpleNamespace(comm=Communicator(), count=2, gpu_aware=False)
    step._own_slice, step._sizes = slice(0, 2), [2, 2]
    step._gather_slices(np.zeros(4, np.float32))
    assert called == [GATHER]
