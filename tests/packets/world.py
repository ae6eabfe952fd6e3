"""The places of these tests, and what a client, the switch and a server say to each other."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from lbctl.shared.abi import Verdict
from tests.support import frames
from tests.support.progrun import sent


class Talk(NamedTuple):
    """
    A client and a server that meet at a VIP, all written "address:port".

    client --asks--> VIP ... switch --asked--> server
    client <--heard-- ... switch <--says-- server
    """

    client: str
    vip: str
    server: str
    second: str = ""  # another server of the same VIP
    build: object = frames.tcp
    protocol: str = "tcp"

    def asks(self, *args, **fields):
        """What the client sends, as it comes in."""
        return self.build(self.client, self.vip, *args, **fields)

    def asked(self, *args, server=None, ttl=64, **fields):
        """What the server then gets, after NAT."""
        server = server or self.server
        way = frames.to_server(server)
        return self.build(self.client, server, *args, way=way, ttl=ttl - 1, **fields)

    def says(self, *args, server=None, **fields):
        """What the server sends, as it comes in."""
        server = server or self.server
        return self.build(server, self.client, *args, way=frames.from_server(server), **fields)

    def heard(self, *args, ttl=64, way=frames.TO_CLIENT, **fields):
        """What the client then gets: it comes from the VIP."""
        return self.build(self.vip, self.client, *args, way=way, ttl=ttl - 1, **fields)

    @property
    def service(self):
        """The VIP as a service names it: with its protocol."""
        return f"{self.vip}/{self.protocol}"

    @property
    def start(self):
        """The flags of a first packet: none for UDP."""
        return ("S",) if self.protocol == "tcp" else ()

    def asks_from(self, port):
        """The same, but the client uses another port."""
        return self._replace(client=frames.at_port(self.client, port))

    def asks_as(self, last):
        """The same, but the client's address ends in another byte or word."""
        host, port = frames.split(self.client)
        cut = host.rstrip("0123456789abcdef")
        return self._replace(client=frames.place(f"{cut}{last}", port))

    def at_vip(self, last):
        """The same, but the VIP's address ends in another byte or word."""
        host, port = frames.split(self.vip)
        cut = host.rstrip("0123456789abcdef")
        return self._replace(vip=frames.place(f"{cut}{last}", port))


WEB4 = Talk("198.51.100.7:40000", "203.0.113.10:80", "10.0.1.11:8080", "10.0.1.12:8080")
WEB6 = Talk(
    "[2001:db8:c::7]:40000", "[2001:db8::10]:80", "[2001:db8:1::11]:8080", "[2001:db8:1::12]:8080"
)
DNS4 = Talk(
    "198.51.100.7:40000", "203.0.113.10:53", "10.0.1.11:53", "10.0.1.12:53", frames.udp, "udp"
)
DNS6 = Talk(
    *("[2001:db8:c::7]:40000", "[2001:db8::10]:53"),
    *("[2001:db8:1::11]:5353", "[2001:db8:1::12]:5353"),
    *(frames.udp, "udp"),
)
TCP = pytest.mark.parametrize("talk", [WEB4, WEB6], ids=["IPv4", "IPv6"])
BOTH = pytest.mark.parametrize(
    "talk", [WEB4, WEB6, DNS4, DNS6], ids=["TCP-IPv4", "TCP-IPv6", "UDP-IPv4", "UDP-IPv6"]
)
FAMILIES = pytest.mark.parametrize("version", [4, 6])

ISN = 0x12345678  # the server's initial sequence number
CLIENT_ISN = 1000


def flags_of(word):
    """The TCP flags of one word of `play`."""
    return word[1:].rstrip("!")


def numbers_of(word):
    """Sequence and acknowledgement number of one word of `play`."""
    flags = flags_of(word)
    mine, other = (CLIENT_ISN, ISN) if word[0] == ">" else (ISN, CLIENT_ISN)
    if "S" in flags:
        return {"seq": mine, "ack": other + 1 if "A" in flags else 0}
    return {"seq": mine + 1, "ack": other + 1 + (word.endswith("!") << 24)}


def bare_reset(client, vip, flags, numbers, ip=None):
    """Build a reset from a VIP: a bare header, and an IP header made afresh."""
    fresh = {} if client.startswith("[") else {"id": 0, "flags": "DF"}
    seq, ack = numbers
    told = {"seq": seq, "ack": ack, "window": 0, "way": frames.TO_CLIENT}
    return frames.tcp(vip, client, flags, **told, ip=fresh | (ip or {}))


def reset(client, vip, flags, seq, ack):
    """Build the reset that answers a packet without data (RFC 9293, 3.10.7.1)."""
    if "A" in flags:
        return bare_reset(client, vip, "R", (ack, 0))
    return bare_reset(client, vip, "RA", (0, seq + ("S" in flags) + ("F" in flags)))


def play(switch, talk, words):
    """
    Run a conversation, in which every frame must arrive.

    ">S <SA >A": the client's SYN, the server's answer, the client's agreement.  With ! behind it a
    packet acknowledges what nobody sent.  For UDP the flags are left out.
    """
    for word in words.split():
        told = {"flags": flags_of(word), **numbers_of(word)} if flags_of(word) else {}
        if word[0] == ">":
            ran, out = switch.run(talk.asks(**told)), talk.asked(**told)
            assert ran in (sent(out), sent(out, Verdict.TO_BACKEND_NEW)), word
        else:
            assert sent(talk.heard(**told), Verdict.TO_CLIENT) == switch.reply(talk.says(**told))


def establish(switch, talk):
    """Open a connection, of TCP by shaking hands."""
    play(switch, talk, ">S <SA >A" if talk.protocol == "tcp" else "> <")
    assert switch.states()[talk.client] in ("established", "udp")


def where(ran):
    """Tell where a frame went to: "10.0.1.11:8080"."""
    assert ran.frame, ran
    return frames.destination(ran.frame)
