"""
The wires: a guest's virtio NICs, joined by bridges in a network namespace of their own.

The plan is the test bed's, so that the same tests run on them: a NIC for each end of each cable,
known by its MAC on both sides.  The switch's have a queue for each processor to receive by, and
as many again that XDP sends by.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from lbctl.testbed.plan import Plan
from tests.system.kernels.machine import CPUS, Nics

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAN = Plan("virtio", clients=2, backends=2)
QUEUES = 2 * CPUS


class Wire(NamedTuple):
    """One end of a cable: whose NIC, in which network."""

    number: int
    role: str
    bridge: str

    @property
    def mac(self) -> str:
        """The NIC's address."""
        return f"52:54:00:00:00:{self.number:02x}"

    @property
    def tap(self) -> str:
        """The host's end."""
        return f"tap{self.number}"


def wires(plan: Plan = PLAN) -> list[Wire]:
    """All of them, in an order that host and guest agree on."""
    ends = [("switch", net) for net in plan.nets]
    ends += [(host.role, host.net) for host in plan.hosts]
    return [Wire(i, role, f"{net.side}{net.number}") for i, (role, net) in enumerate(ends, 1)]


@contextmanager
def plugged_in() -> Iterator[Nics]:
    """The bridges, for a while."""
    namespace = f"lbctl-kernels-{os.getpid()}"
    _run("ip", "netns", "add", namespace)
    try:
        within = ["ip", "netns", "exec", namespace]
        for bridge in sorted({wire.bridge for wire in wires()}):
            _run(*within, "ip", "link", "add", bridge, "type", "bridge", "mcast_snooping", "0")
            _run(*within, "ip", "link", "set", bridge, "up")
        for wire in wires():
            many = ["multi_queue"] if wire.role == "switch" else []
            _run(*within, "ip", "tuntap", "add", wire.tap, "mode", "tap", *many)
            _run(*within, "ip", "link", "set", wire.tap, "master", wire.bridge, "up")
        yield Nics(within, [word for wire in wires() for word in _nic(wire)])
    finally:
        _run("ip", "netns", "delete", namespace)


def _nic(wire: Wire) -> list[str]:
    """The emulator's options for one NIC."""
    many = wire.role == "switch"
    queues = f",queues={QUEUES}" if many else ""
    vectors = f",mq=on,vectors={2 * QUEUES + 2}" if many else ""
    name = f"wire{wire.number}"
    return [
        *("-netdev", f"tap,id={name},ifname={wire.tap},script=no,downscript=no{queues}"),
        *("-device", f"virtio-net-pci,netdev={name},mac={wire.mac}{vectors}"),
    ]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
