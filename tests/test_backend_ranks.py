"""A GPU for each of the processes that train together."""

import os
import platform
import threading

import pytest
from thread_ranks import on_ranks

from minigrid import UserError
from minigrid.backend import choose_devices
from minigrid.backend.ranks import ALONE, is_agreed


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


def test_gpus_that_the_ranks_of_a_machine_name_are_taken(fake_cupy, monkeypatch):
    monkeypatch.setattr(fake_cupy.cuda.runtime, "getDeviceCount", lambda: 4)

    def chosen(ranks):
        choose_devices(ranks, "cupy", 3 - ranks.number)
        return fake_cupy.cuda.Device().id

    assert on_ranks(3, chosen) == [3, 2, 1]
