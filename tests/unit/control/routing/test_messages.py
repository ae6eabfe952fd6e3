"""
The kernel's messages, byte by byte: what is read from them, and what is left out.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address, ip_network

import pytest
from pyroute2.netlink.rtnl.marshal import MarshalRtnl

from lbctl.control.routing.messages import record_of
from lbctl.control.routing.records import Hop, Kind, Link, Neighbor, Nud, Route

V4, V6 = socket.AF_INET, socket.AF_INET6
MAC = bytes.fromhex("020000000001")
MAIN, LOCAL, UNICAST = 254, 255, 1


def attribute(kind, value):
    """One attribute, padded to four bytes."""
    value = struct.pack("=I", value) if isinstance(value, int) else value
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def route_message(*attributes, family=V4, bits=24, table=MAIN, kind=UNICAST, flags=0, **other):
    """A route as the kernel tells it."""
    source_bits, tos = other.get("source_bits", 0), other.get("tos", 0)
    head = struct.pack("=8BI", family, bits, source_bits, tos, table, 0, 0, kind, flags)
    return head + b"".join(attributes)


def read(kind, data):
    """The record of a message, as pyroute2 hands it over."""
    data = struct.pack("=IHHII", 16 + len(data), kind, 0, 0, 0) + data
    (message,) = MarshalRtnl().parse(data)
    return record_of(message)


DESTINATION = attribute(1, ip_address("192.0.2.0").packed)
GATEWAY = attribute(5, ip_address("10.0.0.254").packed)
OUT = attribute(4, 7)
PREFIX = ip_network("192.0.2.0/24")


def test_a_route_has_its_gateway_metric_and_mtu():
    """
    The metrics are nested.
    """
    metrics = attribute(8, attribute(2, 1400))
    data = route_message(DESTINATION, GATEWAY, OUT, attribute(6, 100), metrics)

    hop = Hop(7, ip_address("10.0.0.254"))
    assert Route(PREFIX, (hop,), metric=100, mtu=1400) == read(Kind.ROUTE, data)


def test_a_default_route_has_no_destination():
    """
    In either family.
    """
    for family, prefix in ((V4, "0.0.0.0/0"), (V6, "::/0")):
        data = route_message(OUT, family=family, bits=0)
        assert Route(ip_network(prefix), (Hop(7, None),)) == read(Kind.ROUTE, data)


def test_a_multipath_route_has_all_its_hops():
    """
    With their flags: 16 is without carrier, 1 is passed over by the kernel.
    """
    first = struct.pack("=HBBi", 8 + len(GATEWAY), 16, 0, 7) + GATEWAY
    second = struct.pack("=HBBi", 8, 1, 0, 8)
    data = route_message(DESTINATION, attribute(9, first + second))

    hops = (Hop(7, ip_address("10.0.0.254"), carrier=False), Hop(8, None, dead=True))
    assert hops == read(Kind.ROUTE, data).hops


def test_an_ipv6_gateway_of_an_ipv4_route_is_read():
    """
    Its family stands before it.
    """
    via = attribute(18, struct.pack("=H", V6) + ip_address("fe80::1").packed)

    assert (
        ip_address("fe80::1")
        == read(Kind.ROUTE, route_message(DESTINATION, OUT, via)).hops[0].gateway
    )


def test_an_encapsulating_route_says_so():
    """
    No switching processor can follow it.
    """
    data = route_message(DESTINATION, OUT, attribute(21, struct.pack("=H", 1)))

    assert read(Kind.ROUTE, data).hops[0].encapsulated


@pytest.mark.parametrize(
    "kind", [6, 7, 8, 9], ids=["blackhole", "unreachable", "prohibit", "throw"]
)
def test_a_forbidding_route_has_no_hops(kind):
    """
    IPv6 names a device all the same.
    """
    assert () == read(Kind.ROUTE, route_message(DESTINATION, OUT, kind=kind)).hops


def test_local_routes_are_marked():
    """
    They tell the addresses of the switch itself.
    """
    data = route_message(DESTINATION, OUT, table=LOCAL, kind=2)

    assert read(Kind.ROUTE, data).local


LEFT_OUT = {
    "another table": {"table": 100},
    "another table, by number": {"attributes": [attribute(15, 1000)], "table": 252},
    "cached": {"flags": 0x200},
    "broadcast": {"table": LOCAL, "kind": 3},
    "multicast": {"kind": 5},
    "by source": {"source_bits": 64},
    "by type of service": {"tos": 16},
    "another family": {"family": 28},
}


@pytest.mark.parametrize("what", LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_no_route_of_ours_is_left_out(what):
    """
    See LEFT_OUT.
    """
    what = dict(what)
    attributes = what.pop("attributes", [])

    assert read(Kind.ROUTE, route_message(DESTINATION, OUT, *attributes, **what)) is None


def link_message(flags, family=0, kind=1):
    """A NIC as the kernel tells it."""
    head = struct.pack("=BxHiII", family, kind, 3, flags, 0)
    return head + attribute(3, b"eth0\0") + attribute(1, MAC) + attribute(4, 1500)


@pytest.mark.parametrize(("flags", "up"), [(0x10001, True), (1, False), (0x10000, False)])
def test_a_link_is_up_with_a_carrier_only(flags, up):
    """
    The administrator's wish alone moves no packet.
    """
    assert Link(3, "eth0", MAC, 1500, up) == read(Kind.LINK, link_message(flags))


def test_a_bridges_ports_and_loopback_have_no_say():
    """
    A bridge tells of a port that leaves as if the NIC were gone.
    """
    assert read(Kind.LINK, link_message(0x10001, family=7)) is None
    assert b"" == read(Kind.LINK, link_message(0x10009, kind=772)).mac


def test_only_ethernet_has_a_mac():
    """
    A tunnel's address is as long as it likes.
    """
    assert b"" == read(Kind.LINK, link_message(0x10001, kind=776)).mac


def neighbor_message(state, family=V4, address="10.0.0.9"):
    """A neighbor as the kernel tells it."""
    head = struct.pack("=BxxxiHBB", family, 3, state, 0, 1)
    return head + attribute(1, ip_address(address).packed) + attribute(2, MAC)


@pytest.mark.parametrize("state", Nud)
def test_a_neighbor_has_a_mac_only_while_the_kernel_would_use_it(state):
    """
    The kernel still tells the last MAC of one that failed.
    """
    neighbor = read(Kind.NEIGHBOR, neighbor_message(state))

    usable = state not in (Nud.NONE, Nud.INCOMPLETE, Nud.FAILED)
    assert Neighbor(3, ip_address("10.0.0.9"), MAC if usable else b"", state) == neighbor


def test_a_bridges_forwarding_entries_are_no_neighbors():
    """
    They come by the same messages.
    """
    assert read(Kind.NEIGHBOR, neighbor_message(Nud.REACHABLE, family=7)) is None


def test_a_message_of_another_kind_is_no_record():
    """
    Addresses and next-hop objects are told of, too.
    """
    address = struct.pack("=BBBBi", V4, 24, 0, 0, 3) + attribute(1, ip_address("10.0.0.9").packed)

    assert read(Kind.ADDRESS, address) is None
    assert read(Kind.NEXT_HOP, bytes(8)) is None
