"""Network namespaces that stand for machines, joined by the simulated cables of :mod:`benchmarks.scaling.wire`."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.scaling.sides import MPIEXEC, OVER_TCP
from benchmarks.scaling.wire import DEVICE, SUBNET, address

ROOT = Path(__file__).parent.parent.parent
ENTER = Path(__file__).parent / "enter.sh"


BRING_UP = (
    "sysctl -qw net.ipv6.conf.all.disable_ipv6=1",
    "ip link set lo up",
    f"ip address add {{ip}}/24 dev {DEVICE}",
    f"ip link set {DEVICE} gso_max_size {{at_once}} up",
    # cubic is Linux's own choice, which a distribution may have changed
    f"ip route change {SUBNET} dev {DEVICE} src {{ip}} congctl cubic",
)
"""Commands that bring up the devices of a namespace."""

# a launcher that is killed cannot stop its ranks; but with the first process of a namespace, the kernel ends all others
DIE_TOGETHER = ("setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child")


class Network:
    """Machines that are network namespaces of this one; use it in a ``with`` statement.

    Each namespace is kept alive by a process that waits for its standard input to close. So however this program ends,
    even by SIGKILL, the kernel removes all of them.

    Parameters
    ----------
    machines : int
        Number of namespaces for ranks; the launcher has another one.
    rate : float
        Bits per second of each cable, in each direction; infinity for no limit.
    delay : float
        Seconds from machine to machine, in addition.

    Attributes
    ----------
    cpu_seconds : float
        What the simulation of the cables took, after the ``with`` statement.
    """

    def __init__(self, machines: int, rate: float = math.inf, delay: float = 0.0):
        self.machines = machines
        self._rate, self._delay = rate, delay
        self._keepers: list[subprocess.Popen] = []
        self._wire: subprocess.Popen | None = None
        self.cpu_seconds = 0.0

    def __enter__(self) -> "Network":
        try:
            for _ in range(self.machines + 1):
                self._keepers.append(_keeper())
            self._wire = self._start_wire()
            for port, keeper in enumerate(self._keepers):
                settings = {"ip": address(port), "at_once": bytes_at_once(self._rate)}
                _inside(keeper.pid, *(command.format(**settings) for command in BRING_UP))
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if self._wire is not None:
            answer, _ = self._wire.communicate()
            self.cpu_seconds = float(answer or 0)
        for keeper in self._keepers:
            keeper.stdin.close()
            keeper.wait()

    def run(self, command: Sequence[str], timeout: float = 120, **environment: str) -> Any:
        """Start one rank per machine with MPICH; return what the first one prints, as JSON.

        Raises
        ------
        SystemExit
            The command failed.
        """
        hosts = [address(port) for port in range(self.machines)]
        pairs = " ".join(f"{address(port)}={keeper.pid}" for port, keeper in enumerate(self._keepers))
        launcher = ["-launcher", "rsh", "-launcher-exec", str(ENTER), "-localhost", address(self.machines)]
        start = [str(MPIEXEC), *launcher, "-hosts", ",".join(hosts), "-n", str(self.machines), *command]
        inside = [*DIE_TOGETHER, "nsenter", "--target", str(self._keepers[-1].pid), "--net", *start]
        env = os.environ | OVER_TCP | {"UCX_NET_DEVICES": DEVICE, "NAMESPACES": pairs} | environment
        done = subprocess.run(inside, cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed on {self.machines} ranks:\n{done.stderr}{done.stdout}")
        return json.loads(done.stdout)

    def bytes_sent(self) -> list[int]:
        """Return how many bytes each machine has sent through its cable."""
        return [sent_bytes(Path(f"/proc/{k.pid}/net/dev").read_text(encoding="utf-8")) for k in self._keepers[:-1]]

    def _wait(self) -> None:
        """Wait until the devices are up, which the kernel may notice late: MPICH leaves out those that are down."""
        for keeper in self._keepers[:-1]:
            command = ["nsenter", "--target", str(keeper.pid), "--net", "ip", "-brief", "link", "show", DEVICE]
            while "LOWER_UP" not in subprocess.run(command, capture_output=True, text=True, check=True).stdout:
                time.sleep(0.01)

    def _start_wire(self) -> subprocess.Popen:
        options = ["--rate", str(self._rate), "--delay", str(self._delay)]
        command = [sys.executable, "-m", "benchmarks.scaling.wire", *options, *(str(k.pid) for k in self._keepers)]
        wire = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        if wire.stdout.readline() != "up\n":
            raise SystemExit("the simulated network did not start; the message above says why")
        return wire


def bytes_at_once(rate: float) -> int:
    """Return how many bytes of a message the kernel may hand over at once: a millisecond's, within what it can do.

    TCP itself aims at that. Larger portions would stand in the way of those for other receivers; smaller ones would
    keep the simulation too busy.
    """
    return int(min(65536, max(16000, rate / 8 * 1e-3)))


def sent_bytes(devices: str) -> int:
    """Return the bytes that our device has sent, from the text of /proc/PID/net/dev."""
    line = next(line for line in devices.splitlines() if line.strip().startswith(DEVICE))
    return int(line.split(":")[1].split()[8])


def _keeper() -> subprocess.Popen:
    """Start a process in a network namespace of its own."""
    keeper = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, start_new_session=True)
    own = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{keeper.pid}/ns/net") == own:
        if keeper.poll() is not None:
            raise SystemExit("cannot make a network namespace")
        time.sleep(0.001)
    return keeper


def _inside(pid: int, *commands: str) -> None:
    """Run commands in the network namespace of a process."""
    for command in commands:
        subprocess.run(["nsenter", "--target", str(pid), "--net", *command.split()], check=True)
