"""
The wire: throw-away namespaces and the cables between them, for tests with live traffic.

    wire.namespace("switch")                         a namespace of its own name, unique per test
    wire.cable("switch", "nic0", "client", "eth0")   a veth pair between two of them
    wire.ip("switch", "address add 198.51.100.1/24 dev nic0")

Everything is gone after the test, whatever happened in it.
"""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from lbctl.testbed import namespaces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

QUIET = {  # no waiting for duplicate addresses, no reverse path filter of the distribution's
    "net.ipv6.conf.all.accept_dad": 0,
    "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.conf.default.dad_transmits": 0,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv4.ip_forward": 0,
}


class Wire:
    """Namespaces by short names, and cables between them."""

    def __init__(self, cleanup: ExitStack) -> None:
        self._cleanup = cleanup
        self._tag = f"lbt{uuid4().hex[:8]}"
        self._names: dict[str, str] = {}

    def namespace(self, short: str) -> str:
        """The real name of a namespace, which is made when it is first asked for."""
        if short not in self._names:
            name = f"{self._tag}-{short}"
            namespaces.create(name)
            self._cleanup.callback(namespaces.delete, name)
            self._names[short] = name
            namespaces.sysctl(name, QUIET)
            namespaces.ip(name, ["link set lo up"])
        return self._names[short]

    def cable(self, one: str, nic: str, other: str, peer: str) -> None:
        """A veth pair, both ends up."""
        here, there = self.namespace(one), self.namespace(other)
        namespaces.ip(
            here,
            [f"link add {nic} type veth peer name {peer} netns {there}", f"link set {nic} up"],
        )
        namespaces.ip(there, [f"link set {peer} up"])

    def ip(self, short: str, *lines: str) -> None:
        """Have the tool of that name carry out lines inside a namespace."""
        namespaces.ip(self.namespace(short), lines)

    def run(self, short: str, *command: str) -> str:
        """Run a program inside a namespace; returns what it printed."""
        return namespaces.run(namespaces.inside(self.namespace(short), command))

    def popen(self, short: str, command: Sequence[str]) -> subprocess.Popen[str]:
        """Start a program inside a namespace; it is ended after the test."""
        process = subprocess.Popen(
            namespaces.inside(self.namespace(short), command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._cleanup.callback(_end, process)
        return process

    def defer(self, action: Callable[[], object]) -> None:
        """Do something before the namespaces go."""
        self._cleanup.callback(action)

    def mac(self, short: str, nic: str) -> bytes:
        """The MAC of a NIC."""
        text = self.run(short, "ip", "-o", "link", "show", "dev", nic)
        return bytes.fromhex(text.split("link/ether ")[1].split()[0].replace(":", ""))


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def eventually(condition: Callable[[], bool], within: float = 5.0) -> float:
    """Wait until the condition holds; returns the seconds it took, and fails after *within*."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > within:
            pytest.fail(f"did not come to hold within {within} s")
        time.sleep(0.005)
    return time.monotonic() - begin


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Namespaces and cables of one test; see the module's docstring."""
    with ExitStack() as cleanup:
        yield Wire(cleanup)
