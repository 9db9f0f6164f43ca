"""A simulated network: carries the packets of several network namespaces at a given rate and with a given delay.

``python -m benchmarks.scaling.wire --rate BITS_PER_SECOND --delay SECONDS PID ...`` gives the namespace of each process
a network device and passes packets between them, like cables that all end in one switch. It prints a line when they are
up, runs until its standard input closes, and then prints the seconds of CPU time that it took. It needs root.

Every cable is full-duplex. A packet occupies the sender's cable for as long as its bytes take at that rate, then the
receiver's, and arrives `delay` later. These times are computed, not waited for one by one: when this process wakes up
late, the next packets catch up. (The kernel's token bucket, ``tc ... tbf``, either lets the first packets through
unlimited or, with a small bucket, loses what it cannot send while its timer is late.) The kernel hands over up to 64 KB
at a time, which it would have cut into segments; here they count as the segments that they would be.
"""

import argparse
import contextlib
import ctypes
import fcntl
import heapq
import itertools
import os
import select
import struct
import sys
import time
from pathlib import Path

DEVICE = "link0"
SUBNET = "10.77.0.0/24"
AROUND = 38
"""Bytes that Ethernet adds to each packet: header, checksum, preamble and gap."""

AHEAD = 0.5e-3
"""Seconds by which packets are taken before their cable is free; the others wait in the sender, as for a real card."""

VNET_HEADER = struct.Struct("=BBHHHH")  # flags, kind of segments, length of their headers, size of their payload, ...
_SET_DEVICE, _SET_OFFLOAD, _SET_HEADER = 0x400454CA, 0x400454D0, 0x400454D8  # linux/if_tun.h
_TUN, _NO_INFO, _VNET = 0x0001, 0x1000, 0x4000
_CHECKSUM, _SEGMENTS = 0x01, 0x02
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET


def address(port: int) -> str:
    """Return the IP address of a namespace."""
    return f"10.77.0.{port + 1}"


def bytes_on_the_wire(packet: bytes) -> int:
    """Return how many bytes a packet occupies on the cable, for a packet with the header that the kernel adds."""
    _, _, headers, payload, _, _ = VNET_HEADER.unpack_from(packet)
    length = len(packet) - VNET_HEADER.size
    if not payload:
        return length + AROUND
    segments = -(-(length - headers) // payload)
    return length - headers + segments * (headers + AROUND)


class Cables:
    """When packets arrive: the occupation of the cable of each port.

    Parameters
    ----------
    ports : int
        Number of cables.
    rate : float
        Bits per second in each direction of a cable; infinity for no limit.
    delay : float
        Seconds from port to port, in addition.
    """

    def __init__(self, ports: int, rate: float, delay: float):
        self.free_up = [0.0] * ports
        self._free_down = [0.0] * ports
        self._seconds_per_byte = 8 / rate
        self._delay = delay

    def arrival(self, now: float, sender: int, receiver: int, size: int) -> float:
        """Return when a packet of `size` bytes arrives that is sent now."""
        seconds = size * self._seconds_per_byte
        self.free_up[sender] = max(now, self.free_up[sender]) + seconds
        # the switch passes a packet on while it comes in: an idle cable behind it costs no time of its own
        self._free_down[receiver] = max(self.free_up[sender], self._free_down[receiver] + seconds)
        return self._free_down[receiver] + self._delay


def open_device(pid: int, port: int) -> int:
    """Make the network device in the namespace of a process; return its file descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/proc/{pid}/ns/net").open(encoding="utf-8") as namespace:
        if libc.setns(namespace.fileno(), _NEW_NETWORK):
            raise OSError(ctypes.get_errno(), f"cannot enter the network namespace of process {pid}")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _SET_DEVICE, struct.pack("16sH22x", DEVICE.encode(), _TUN | _NO_INFO | _VNET))
    fcntl.ioctl(device, _SET_HEADER, struct.pack("i", VNET_HEADER.size))
    fcntl.ioctl(device, _SET_OFFLOAD, _CHECKSUM | _SEGMENTS)
    return device


class Switch:
    """Passes packets on between network devices.

    Parameters
    ----------
    devices : list of int
        File descriptor of the device of each port.
    cables : Cables
        When packets arrive.
    """

    def __init__(self, devices: list[int], cables: Cables):
        self._devices, self._cables = devices, cables
        self._under_way: list[tuple[float, int, int, bytes]] = []  # arrival, number, receiver, packet
        self._numbers = itertools.count()

    def run(self, stop: int) -> None:
        """Pass packets on until the file descriptor `stop` is readable."""
        while True:
            self._deliver()
            open_for, wait = self._next(time.monotonic())
            readable, _, _ = select.select([*open_for, stop], [], [], wait)
            if stop in readable:
                return
            for device in readable:
                self._take(device)

    def _deliver(self) -> None:
        """Hand over the packets that have arrived."""
        while self._under_way and self._under_way[0][0] <= time.monotonic():
            _, _, receiver, packet = heapq.heappop(self._under_way)
            os.write(self._devices[receiver], packet)

    def _next(self, now: float) -> tuple[list[int], float | None]:
        """Return the devices to take packets from, and the seconds until there is something else to do."""
        free = dict(zip(self._devices, self._cables.free_up, strict=True))
        open_for = [device for device, when in free.items() if when <= now + AHEAD]
        events = [when - AHEAD for when in free.values() if when > now + AHEAD]
        events += [self._under_way[0][0]] if self._under_way else []
        return open_for, max(0.0, min(events) - now) if events else None

    def _take(self, device: int) -> None:
        """Take a packet that a device sends."""
        packet = os.read(device, 1 << 17)
        header = packet[VNET_HEADER.size : VNET_HEADER.size + 20]
        receiver = header[19] - 1  # the last byte of the destination's address
        if header[0] >> 4 == 4 and 0 <= receiver < len(self._devices):
            sender, size = self._devices.index(device), bytes_on_the_wire(packet)
            when = self._cables.arrival(time.monotonic(), sender, receiver, size)
            heapq.heappush(self._under_way, (when, next(self._numbers), receiver, packet))


def main() -> None:
    """Carry packets between the namespaces of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=float("inf"), help="bits per second (default: no limit)")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds (default: %(default)s)")
    parser.add_argument("pid", nargs="+", type=int, help="a process in each namespace")
    args = parser.parse_args()
    devices = [open_device(pid, port) for port, pid in enumerate(args.pid)]
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # ahead of ranks that wait for packets
    print("up", flush=True)
    before = time.process_time()
    Switch(devices, Cables(len(devices), args.rate, args.delay)).run(sys.stdin.fileno())
    with contextlib.suppress(BrokenPipeError):  # whoever started this was killed
        print(time.process_time() - before, flush=True)


if __name__ == "__main__":
    main()
