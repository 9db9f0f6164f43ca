"""Simulated links between network namespaces, as far as they can be tested without root."""

import os
import socket
import struct
import subprocess
import threading

import pytest

from benchmarks.scaling import links
from benchmarks.scaling.network import ENTER, bytes_at_once, sent_bytes
from benchmarks.scaling.wire import AROUND, VNET_HEADER, Cables, Switch, address, bytes_on_the_wire


def packet(receiver: int, length: int = 40, headers: int = 0, payload: int = 0) -> bytes:
    """Return an IP packet after the kernel's header, which gives the payload of its segments if there are several."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, length, 0, 0, 64, 6, 0, b"", socket.inet_aton(address(receiver)))
    return VNET_HEADER.pack(0, 1 if payload else 0, headers, payload, 0, 0) + ip.ljust(length, b"x")


def test_a_packet_has_ethernet_around_it():
    assert bytes_on_the_wire(packet(0, length=1500)) == 1500 + AROUND


def test_a_large_packet_counts_as_its_segments():
    """Of 3000 bytes of payload, 1448 fit in a segment: three segments, each with headers of 52."""
    assert bytes_on_the_wire(packet(0, length=3052, headers=52, payload=1448)) == 3000 + 3 * (52 + AROUND)


def test_packets_wait_for_the_cable_of_the_sender():
    cables = Cables(2, rate=8e6, delay=0.5)  # a byte takes a microsecond
    assert cables.arrival(10.0, 0, 1, 1000) == pytest.approx(10.001 + 0.5)
    assert cables.arrival(10.0, 0, 1, 1000) == pytest.approx(10.002 + 0.5)
    assert cables.arrival(10.0, 1, 0, 1000) == pytest.approx(10.001 + 0.5)  # the other direction
    assert cables.arrival(20.0, 0, 1, 1000) == pytest.approx(20.001 + 0.5)


def test_packets_of_two_senders_wait_for_the_cable_of_the_receiver():
    cables = Cables(3, rate=8e6, delay=0.0)
    assert cables.arrival(10.0, 0, 2, 1000) == pytest.approx(10.001)
    assert cables.arrival(10.0, 1, 2, 1000) == pytest.approx(10.002)


def test_without_a_limit_there_is_only_the_delay():
    assert Cables(2, rate=float("inf"), delay=0.25).arrival(10.0, 0, 1, 10**6) == 10.25


def test_the_switch_passes_packets_to_their_receivers():
    ends = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(3)]
    stop, stopped = os.pipe()
    switch = Switch([inner.fileno() for _, inner in ends], Cables(3, rate=1e9, delay=1e-3))
    thread = threading.Thread(target=switch.run, args=(stop,))
    thread.start()
    try:
        ends[0][0].send(packet(2))
        ends[0][0].send(b"\0" * VNET_HEADER.size + b"\x60" + b"\0" * 40)  # IPv6, which goes nowhere
        ends[1][0].send(packet(0))
        for outer, _ in ends:
            outer.settimeout(10)
        assert ends[2][0].recv(1 << 16) == packet(2)
        assert ends[0][0].recv(1 << 16) == packet(0)
    finally:
        os.close(stopped)
        thread.join()
        os.close(stop)
        for outer, inner in ends:
            outer.close()
            inner.close()


def test_the_bytes_of_a_device():
    text = """Inter-|   Receive                                       |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls
    lo:       0       0    0    0    0     0          0         0        1       0    0    0    0     0
 link0: 1234567    3292    0    0    0     0          0         0  7654321    3373    0    0    0     0
"""
    assert sent_bytes(text) == 7654321


def test_slow_links_take_small_portions():
    assert [bytes_at_once(rate) for rate in (1e8, 3e8, 1e9, float("inf"))] == [16000, 37500, 65536, 65536]


def test_an_address_without_a_namespace():
    done = subprocess.run(
        [ENTER, "10.77.0.9", "true"], env=os.environ | {"NAMESPACES": "10.77.0.1=1"}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == "enter.sh: no network namespace has the address 10.77.0.9\n"


def test_without_root_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(links.os, "geteuid", lambda: 1000, raising=False)
    monkeypatch.setattr("sys.argv", ["links"])
    with pytest.raises(SystemExit, match=r"^simulated links need Linux, root and /dev/net/tun: run this as root"):
        links.main()
    assert links.measure(quick=True) == {"not_run": links.obstacle()}


def test_a_program_that_is_missing(monkeypatch):
    monkeypatch.setattr(links.sys, "platform", "linux")
    monkeypatch.setattr(links.os, "geteuid", lambda: 0, raising=False)
    monkeypatch.setattr(links.Path, "exists", lambda self: True)
    monkeypatch.setattr(links.shutil, "which", lambda name: None if name == "nsenter" else f"/bin/{name}")
    assert links.obstacle().startswith("simulated links need nsenter: install iproute2, util-linux, procps")
    monkeypatch.setattr(links.shutil, "which", lambda name: f"/bin/{name}")
    assert links.obstacle() is None


def test_ranks_without_a_core_of_their_own_sleep():
    rows = links.plan(cores=2, quick=False)
    assert {row["ranks"]: row["sleeps"] for row in rows} == {2: False, 3: True, 4: True}
    assert {(row["rate"], row["delay"]) for row in rows} == {(r, d) for r in links.RATES for d in links.DELAYS}
    assert not any(row["sleeps"] for row in links.plan(cores=4, quick=False))


def test_ranks_that_fail_leave_a_note(monkeypatch):
    def fail(*args):
        raise SystemExit("the ranks failed")

    monkeypatch.setattr(links, "Network", fail)
    row = links.plan(cores=2, quick=True)[0]
    work = links.Work(parameters=1000, update=1e-9, add=1e-9, times={25: 0.01, 50: 0.02})
    found = links.run(row, links.Link(latency=1e-3, bandwidth=1e6), work, budget=1.0)
    assert found["not_run"] == "the ranks failed"
    assert found["predicted"]["compute"] == 0.01
    assert "error" not in found
