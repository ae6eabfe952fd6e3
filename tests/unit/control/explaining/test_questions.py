"""The words of a question: what they mean, and which are refused."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lbctl.control.explaining.arrival import STRANGER, Arrivals, NetworkKernel, Way
from lbctl.control.explaining.names import rule_for
from lbctl.control.explaining.questions import (
    IcmpError,
    Place,
    Protocol,
    read_flags,
    read_place,
    read_question,
)
from lbctl.errors import LbctlError, NotFound, UsageError
from lbctl.model import Pool
from lbctl.switching.nics import AttachedNic

CLIENT, VIP = "198.51.100.7:40000", "203.0.113.10:80"
ETH0, ETH1 = (
    AttachedNic(f"eth{n}", 2 + n, "native", "", n, bytes([2, 0, 0, 0, 0, n])) for n in (0, 1)
)
FAR, NEAR = ip_address("198.51.100.7"), ip_address("10.0.1.11")


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("198.51.100.7", "198.51.100.7", None),
        ("198.51.100.7:80", "198.51.100.7", 80),
        ("2001:db8::7", "2001:db8::7", None),
        ("[2001:db8::7]", "2001:db8::7", None),
        ("[2001:db8::7]:65535", "2001:db8::7", 65535),
    ],
)
def test_places(text, address, port):
    """
    With a port and without; IPv6 with a port has brackets.
    """
    assert Place(ip_address(address), port) == read_place(text, "source")


@pytest.mark.parametrize(
    "text", ["", "x", "198.51.100.7:", "198.51.100.7:x", "198.51.100.7:0", "198.51.100.7:65536",
             "[198.51.100.7", "fe80::1%eth0", "::ffff:198.51.100.7", "198.51.100.7:80/tcp"]
)  # fmt: skip
def test_what_is_no_place(text):
    """
    It is named, and how it is written right.
    """
    with pytest.raises(UsageError, match="source: '"):
        read_place(text, "source")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("SYN", 2),
        ("syn,ack", 18),
        ("FIN+ACK", 17),
        ("ack ack", 16),
        ("none", 0),
        ("URG|PSH", 40),
        ("SA", 18),
        ("fpa", 25),
    ],
)
def test_flags(text, value):
    """
    Names in any order and case, or letters.
    """
    assert value == read_flags(text)


@pytest.mark.parametrize(
    ("words", "more", "text"),
    [
        (("tcp", CLIENT, "203.0.113.10"), {}, "has no port; write 203.0.113.10:PORT"),
        (("udp", CLIENT, "203.0.113.10"), {}, "has no port"),
        (("tcp", CLIENT, "[2001:db8::1]:80"), {}, "one is IPv4 and the other IPv6"),
        (("icmp", CLIENT, "203.0.113.10"), {}, "a ping has no ports"),
        (("icmp", "198.51.100.7", "203.0.113.10"), {"flags": "SYN"}, "no flags"),
        (("udp", CLIENT, VIP), {"flags": "SYN"}, "only TCP packets have them"),
        (("tcp", CLIENT, VIP), {"flags": "SIN"}, "'SIN' is none of FIN, SYN"),
        (("tcp", CLIENT, VIP), {"length": 39}, "must be 40 to 3506 bytes, not 39"),
        (("tcp", CLIENT, VIP), {"length": 9000}, "must be 40 to 3506 bytes, not 9000"),
        (("tcp", CLIENT, VIP), {"length": 99, "error": IcmpError.TOO_BIG}, "the one that it has"),
    ],
)
def test_words_that_contradict_each_other(words, more, text):
    """
    Refused with what is wrong.
    """
    with pytest.raises(UsageError, match=text):
        read_question(Protocol(words[0]), *words[1:], **more)


def test_a_client_without_a_port_gets_one():
    """
    As its own system would give it.
    """
    assert 50_000 == read_question(Protocol.TCP, "198.51.100.7", VIP).source_port


class Kernel:
    """Everybody far is behind a router of eth0, everybody near on eth1; eth9 is not attached."""

    ways = {  # noqa: RUF012 - nobody changes it
        FAR: Way(2, "198.51.100.1"),
        NEAR: Way(3, "10.0.1.11"),
        ip_address("10.9.9.9"): Way(9, "10.9.9.9"),
    }

    def way_to(self, address):
        """Tell a way."""
        return self.ways.get(address)

    def mac_of(self, way):
        """Know the router only."""
        return b"router" if way.neighbor == "198.51.100.1" else None


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        (FAR, None, (ETH0, b"router", "198.51.100.1")),
        (NEAR, None, (ETH1, STRANGER, "")),
        (FAR, "eth1", (ETH1, STRANGER, "")),
        (ip_address("10.9.9.9"), None, (ETH0, STRANGER, "")),
        (ip_address("192.0.2.1"), None, (ETH0, STRANGER, "")),
    ],
    ids=["routed", "no MAC", "another NIC", "a NIC of others", "no route"],
)
def test_how_it_comes_in(source, name, expected):
    """
    By the NIC that was named, or that leads back, or the first; from who hands it over.
    """
    assert expected == Arrivals([ETH0, ETH1], Kernel()).of(source, name)


def test_a_frame_comes_in_where_its_mac_is():
    """
    Before the route of its sender counts.
    """
    arrivals = Arrivals([ETH0, ETH1], Kernel())

    assert ETH1 == arrivals.nic(None, FAR, ETH1.mac.hex(":"))
    assert ETH0 == arrivals.nic(None, FAR, "02:00:00:00:00:77")
    assert ETH0 == arrivals.nic("eth0", NEAR, ETH1.mac.hex(":"))


def test_no_nic():
    """
    None of that name, and none at all.
    """
    with pytest.raises(NotFound, match="NIC 'eth7' is not attached"):
        Arrivals([ETH0], Kernel()).nic("eth7")
    with pytest.raises(LbctlError, match="no NIC is attached"):
        Arrivals([], Kernel()).of(FAR)


def test_this_host_is_no_way():
    """
    The kernel is asked; what it would deliver to itself comes in by no NIC.
    """
    assert NetworkKernel().way_to(ip_address("127.0.0.1")) is None


@pytest.mark.parametrize(
    ("client", "port", "pool"),
    [
        ("198.51.100.7", 80, "one"),
        ("198.51.100.8", 80, "net"),
        ("198.51.100.7", 443, "port"),
        ("192.0.2.1", 80, "all"),
        ("2001:db8::1", 80, None),
    ],
)
def test_which_rule_counts(client, port, pool):
    """
    One for the port before others; then the longest prefix; 0.0.0.0/0 is for IPv4 alone.
    """
    rules = [
        {"clients": "0.0.0.0/0", "pool": "all"},
        {"clients": "198.51.100.0/24", "pool": "net"},
        {"clients": "198.51.100.7/32", "pool": "one"},
        {"port": 443, "pool": "port"},
    ]
    web = Pool.model_validate({"name": "web", "vips": ["203.0.113.10:*/tcp"], "rules": rules})
    rule = rule_for(web, ip_address(client), port)

    assert pool == (rule.pool if rule else None)
