"""
Pings on a real wire, with the sockets that an ordinary and a privileged process may have.
"""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import pytest

from lbctl.control.health.check import look
from lbctl.control.health.target import Target
from lbctl.model import IcmpCheck, SocketAddress
from lbctl.testbed import namespaces
from tests.support.wire import Wire, wire

__all__ = ["wire"]

HOSTS = ["192.0.2.2", "2001:db8::2"]
GONE = ["192.0.2.3", "2001:db8::3"]
PATIENT = IcmpCheck(interval=20, timeout=20)


@pytest.fixture(params=["0 0", "1 0"], ids=["datagram", "raw"])
def switch(request, wire: Wire) -> str:
    """The name of a namespace in which root may or may not have ICMP datagram sockets."""
    wire.cable("switch", "int0", "server", "eth0")
    wire.ip("switch", "address add 192.0.2.1/24 dev int0", "address add 2001:db8::1/64 dev int0")
    wire.ip(
        "server", *(f"address add {host}/{24 if '.' in host else 64} dev eth0" for host in HOSTS)
    )
    name = wire.namespace("switch")
    namespaces.sysctl(name, {"net.ipv4.ping_group_range": request.param})
    return name


def seen(switch, *hosts, check=PATIENT):
    """What checks from there find, all at once."""
    targets = [Target("web", SocketAddress(ip_address(host), 80), check) for host in hosts]

    async def main():
        return await asyncio.gather(*map(look, targets))

    return namespaces.call(switch, lambda: asyncio.run(main()))


@pytest.mark.parametrize("host", [*HOSTS, "127.0.0.1", "::1"])
def test_a_host_that_answers_is_well(switch, host):
    """
    On loopback the socket sees its own request as well.
    """
    (outcome,) = seen(switch, host)

    assert outcome.ok, outcome


def test_replies_are_not_mixed_up(switch):
    """
    Many pings to the same hosts at the same time.
    """
    assert {True} == {outcome.ok for outcome in seen(switch, *HOSTS * 50)}


@pytest.mark.parametrize("host", GONE)
def test_a_host_that_is_not_there_is_not(switch, host):
    """
    Nobody answers for it.
    """
    (outcome,) = seen(switch, host, check=IcmpCheck(timeout=0.1))

    assert (False, "no answer in 100 ms") == (outcome.ok, outcome.reason)
