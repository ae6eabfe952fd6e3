"""The records: checksums worked out in advance, flags, and who must be recognised."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from lbctl.errors import LbctlError
from lbctl.model import Protocol, SocketAddress, State, Timeouts, Vip
from lbctl.shared import abi, records
from lbctl.shared.abi import BackendState, Role, ServiceFlag
from tests.unit.shared.fakes import Shared, service

hosts4 = st.integers(1, 2**32 - 2).map(IPv4Address).map(str)
hosts6 = st.integers(1, 2**128 - 2).map(IPv6Address).filter(lambda a: not a.ipv4_mapped).map(str)
pairs = st.tuples(hosts4, hosts4) | st.tuples(hosts6, hosts6)
ports = st.integers(1, 65535)


def add(checksum, difference):
    """Change a checksum by a difference: RFC 1624, equation 3, in host order."""
    total = (~checksum & 0xFFFF) + difference
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def swapped(value):
    """The difference as the network writes it: it is kept as it lies in memory."""
    return int.from_bytes(value.to_bytes(2, "little"))


def checksums(source, target, port, layer, payload):
    """Let scapy work out the checksums of IPv4 (0 for IPv6) and of the transport header."""
    ip = IPv6 if ":" in target else IP
    packet = ip(src=source, dst=target) / layer(sport=1024, dport=port) / Raw(payload)
    packet = ip(bytes(packet))
    return getattr(packet, "chksum", 0), packet[layer].chksum


@given(pairs, ports, ports, st.sampled_from([TCP, UDP]), st.binary(max_size=5))
@settings(max_examples=50)
def test_differences_are_scapys(pair, vip_port, port, layer, payload):
    """
    What the packet's checksums change by when the VIP becomes the server.
    """
    vip, server = pair
    client = "198.51.100.7" if "." in vip else "2001:db8::7"
    row = np.zeros(1, abi.BACKEND)[0]
    address = SocketAddress(ip_address(server), port)
    records.write(
        row,
        Vip(ip_address(vip), vip_port, Protocol.TCP),
        records.ServiceBackend(address, State.ACTIVE, 1),
    )
    before = checksums(client, vip, vip_port, layer, payload)
    after = checksums(client, server, port, layer, payload)

    if "." in vip:
        assert after[0] == add(before[0], swapped(int(row["sum_address"])))
    changed = add(before[1], swapped(int(row["sum_transport"])))
    assert after[1] == (0xFFFF if layer is UDP and not changed else changed)


@given(st.binary(min_size=4, max_size=16).filter(lambda b: len(b) % 2 == 0), st.data())
def test_a_difference_is_undone_by_its_complement(old, data):
    """
    That is how replies are rewritten: lb_sum_negate.
    """
    new = data.draw(st.binary(min_size=len(old), max_size=len(old)))
    there, back = records.difference(old, new), records.difference(new, old)

    assert 0 <= there <= 0xFFFF
    assert (there + back) % 0xFFFF == 0
    assert (~there & 0xFFFF) % 0xFFFF == back % 0xFFFF


FLAGS = {
    "nat": (service("203.0.113.10:80/tcp", "10.0.1.11:80"), ServiceFlag.UNKNOWN_RESET),
    "dsr": (
        service("203.0.113.10:80/tcp", "10.0.1.11:80", forward="dsr", unknown="drop"),
        ServiceFlag.DSR,
    ),
    "hash": (
        service("203.0.113.10:80/tcp", "10.0.1.11:80", unknown="hash"),
        ServiceFlag.UNKNOWN_HASH,
    ),
    "any port": (
        service("203.0.113.10:*/tcp", "10.0.1.11:0", unknown="drop"),
        ServiceFlag.ANY_PORT,
    ),
    "several": (
        service("203.0.113.10:80/tcp", "10.0.1.11:80", "10.0.1.12:80", unknown="drop"),
        ServiceFlag.MULTIPLE,
    ),
    "several, one in use": (
        service("203.0.113.10:80/tcp", "10.0.1.11:80", "10.0.1.12:80", slots=[1], unknown="drop"),
        0,
    ),
    "several, one with a single slot": (
        service("203.0.113.10:80/tcp", "10.0.1.1:1", "10.0.1.2:1", slots=[0] * 65536 + [1]),
        ServiceFlag.MULTIPLE | ServiceFlag.UNKNOWN_RESET,
    ),
    "nobody": (service("203.0.113.10:80/tcp", unknown="drop"), 0),
}


@pytest.mark.parametrize("name", FLAGS)
def test_flags(name):
    """
    What a packet must know of its service.
    """
    one, expected = FLAGS[name]

    assert expected == records.flags(one)


def published(*services, local=()):
    """Publish services; returns the directory as {(address, port, protocol): row}."""
    shared = Shared()
    shared.configuration.publish(services, Timeouts(), 1, local)
    rows = shared.tables["services"]
    found = {}
    for row in rows[rows["role"] != Role.NONE]:
        number = int(row["address"][3]), int(row["port"]), int(row["protocol"])
        found[str(IPv4Address(number[0])), *number[1:]] = row
    return found


def test_who_is_recognised():
    """
    The service, its address, and those who answer: servers by NAT, once each.
    """
    found = published(
        service("203.0.113.10:80/tcp", "10.0.1.11:8080", "10.0.1.12:8080"),
        service("203.0.113.10:443/tcp", "10.0.1.11:8080"),
        service("203.0.113.20:80/udp", "10.0.1.13:80", forward="dsr"),
        local=[IPv4Address("203.0.113.20")],
    )

    assert {key: Role(int(row["role"])) for key, row in found.items()} == {
        ("203.0.113.10", 80, 6): Role.SERVICE,
        ("203.0.113.10", 443, 6): Role.SERVICE,
        ("203.0.113.20", 80, 17): Role.SERVICE,
        ("203.0.113.10", 0, 0): Role.ADDRESS,
        ("203.0.113.20", 0, 0): Role.ADDRESS,
        ("10.0.1.11", 8080, 6): Role.BACKEND,
        ("10.0.1.12", 8080, 6): Role.BACKEND,
    }
    flags = {key: int(row["flags"]) for key, row in found.items()}
    assert flags["203.0.113.20", 0, 0] == ServiceFlag.LOCAL
    assert flags["203.0.113.10", 0, 0] == 0
    shared = {key for key, value in flags.items() if value & ServiceFlag.SHARED}
    assert ("10.0.1.11", 8080, 6) in shared
    assert ("10.0.1.12", 8080, 6) not in shared
    assert {("203.0.113.10", 80, 6), ("203.0.113.10", 443, 6)} <= shared
    assert ("203.0.113.20", 80, 17) not in shared


@pytest.mark.parametrize(
    ("vips", "message"),
    [
        ({"203.0.113.10:80/tcp": "10.0.1.11:80", "10.0.1.11:80/tcp": "10.0.1.12:80"}, "cannot be"),
        ({"203.0.113.10:*/tcp": "10.0.1.11:0", "203.0.113.20:80/tcp": "10.0.1.11:80"}, "`\\*` mus"),
    ],
)
def test_contradictions(vips, message):
    """
    Found before anything is written.
    """
    with pytest.raises(LbctlError, match=message):
        published(*(service(vip, server) for vip, server in vips.items()))


def test_what_is_no_contradiction():
    """
    Other protocols, other ports, and direct return, which has no replies.
    """
    found = published(
        service("203.0.113.10:*/tcp", "10.0.1.11:0"),
        service("203.0.113.10:*/udp", "10.0.1.11:0"),
        service("203.0.113.20:53/udp", "10.0.1.12:53", forward="dsr"),
        service("203.0.113.30:53/udp", "10.0.1.12:53"),
        service("10.0.1.12:80/tcp", "10.0.1.13:80"),
    )

    assert found["10.0.1.12", 53, 17]["role"] == Role.BACKEND
    assert not found["10.0.1.12", 53, 17]["flags"] & ServiceFlag.SHARED


def test_states_have_the_same_names():
    """
    A state of the model is one of the table's.
    """
    assert {"ACTIVE", "DRAINING", "DOWN"} == {
        BackendState(state).name for state in records._STATES.values()
    }
