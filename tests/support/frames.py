"""
Frames: what tests put on the wire, built with scapy and nothing of lbctl's.

A place is written as people write it, "198.51.100.7:40000" or "[2001:db8::7]:40000"; its family
chooses the headers.  Lengths and checksums are scapy's unless a test says otherwise, so a frame
built from what it should be is what a frame must be compared with, byte for byte.
"""

from __future__ import annotations

from functools import wraps
from typing import NamedTuple

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

# The drawing behind all tests of tests/packets:
#
#   clients -- router [fe] ---- [a0] switch [a1] ---- servers, 02:00:00:00:01:<last byte>
#                                       | [a2]
#                              programs on the switch [b0]
ROUTER = "02:00:00:00:00:fe"
OUTSIDE_MAC = "02:00:00:00:00:a0"
INSIDE_MAC = "02:00:00:00:00:a1"
END_MAC = "02:00:00:00:00:a2"  # the switch's end of a pseudo interface, and the programs' end
PROGRAM_MAC = "02:00:00:00:00:b0"


class Way(NamedTuple):
    """Who sends a frame to whom."""

    source: str
    destination: str

    def back(self):
        """The same hop in the other direction."""
        return Way(self.destination, self.source)


FROM_CLIENT = Way(ROUTER, OUTSIDE_MAC)
TO_CLIENT = FROM_CLIENT.back()
TO_PROGRAM = Way(END_MAC, PROGRAM_MAC)
FROM_PROGRAM = TO_PROGRAM.back()


def server_mac(place):
    """Tell a server's MAC: it ends as its address does."""
    host, _ = split(place)
    return f"02:00:00:00:01:{int(host.rpartition(':')[2].rpartition('.')[2], 16):02x}"


def to_server(place):
    """Tell the way of frames that leave the switch for a server."""
    return Way(INSIDE_MAC, server_mac(place))


def from_server(place):
    """Tell the way of frames that a server sends."""
    return to_server(place).back()


def split(place):
    """Split "[2001:db8::7]:40000" into host and port; a bare host has port 0."""
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        return host, int(port.removeprefix(":") or 0)
    if place.count(":") > 1:
        return place, 0
    host, _, port = place.partition(":")
    return host, int(port or 0)


def place(host, port):
    """Write host and port as one: the opposite of `split`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def at_port(where, port):
    """Write the same host with another port."""
    return place(split(where)[0], port)


def network(source, destination, ttl=64, **fields):
    """The IP header between two places, as a layer of scapy."""
    (src, _), (dst, _) = split(source), split(destination)
    if ":" in dst:
        return IPv6(src=src, dst=dst, hlim=ttl, **fields)
    return IP(src=src, dst=dst, ttl=ttl, **fields)


def remembered(build):
    """Build each frame once: scapy takes half a millisecond, and tests say the same again."""
    known = {}

    @wraps(build)
    def recall(*args, **fields):
        key = repr((args, sorted(fields.items())))
        if key not in known:
            known[key] = build(*args, **fields)
        return known[key]

    return recall


@remembered
def tcp(source, destination, flags="S", payload=b"", **fields):
    """A TCP frame; *fields*: of its header, or way, ttl, ip as in `envelope`."""
    outer = envelope(source, destination, fields)
    header = TCP(sport=split(source)[1], dport=split(destination)[1], flags=flags, **fields)
    return bytes(outer / header / Raw(payload))


@remembered
def udp(source, destination, payload=b"", **fields):
    """A UDP frame; *fields*: of its header, or way, ttl, ip as in `envelope`."""
    outer = envelope(source, destination, fields)
    header = UDP(sport=split(source)[1], dport=split(destination)[1], **fields)
    return bytes(outer / header / Raw(payload))


@remembered
def echo(source, destination, payload=b"", **fields):
    """An echo request, or its reply; *fields*: id, seq, or way, ttl, ip as in `envelope`."""
    outer, reply = envelope(source, destination, fields), fields.pop("reply", False)
    if IPv6 in outer:
        kind = ICMPv6EchoReply if reply else ICMPv6EchoRequest
        return bytes(outer / kind(data=payload, **fields))
    return bytes(outer / ICMP(type=0 if reply else 8, **fields) / Raw(payload))


def envelope(source, destination, fields):
    """
    The headers in front, as layers of scapy.

    Taken out of *fields*: the hop, `way`; the hop limit, `ttl`; the rest of the IP header, `ip`.
    """
    way, ttl = fields.pop("way", FROM_CLIENT), fields.pop("ttl", 64)
    outer = Ether(src=way.source, dst=way.destination)
    return outer / network(source, destination, ttl, **fields.pop("ip", {}))


def ethernet(way, packet):
    """Put an Ethernet header before a packet of scapy and make bytes of it."""
    return bytes(Ether(src=way.source, dst=way.destination) / packet)


def destination(frame):
    """Tell where a TCP or UDP frame goes: "10.0.1.11:8080"."""
    packet = Ether(frame).payload
    return place(packet.dst, packet.payload.dport)


def redo(frame, *layers):
    """Let scapy work out lengths and checksums of *layers* of a frame anew."""
    packet = Ether(frame)
    for layer in layers or (IP, IPv6, TCP, UDP):
        if packet.haslayer(layer):
            for field in ("chksum", "len", "plen"):
                if field in packet[layer].fields:
                    packet[layer].delfieldval(field)
    return bytes(packet)
