"""Stage parse: what is odd is the kernel's, unless it is for a VIP: then it has a name."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import (
    ICMPv6ND_NS,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import ARP, GRE, LLC, SNAP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.packet import Raw

from lbctl.shared.abi import Verdict
from tests.packets.world import BOTH, DNS4, DNS6, WEB4, WEB6
from tests.support import frames
from tests.support.frames import FROM_CLIENT
from tests.support.progrun import dropped, passed, sent

MALFORMED, OPTIONS = Verdict.DROP_MALFORMED, Verdict.DROP_OPTIONS
FRAGMENT, NO_SERVICE = Verdict.DROP_FRAGMENT, Verdict.DROP_NO_SERVICE
CLIENT4, CLIENT6 = "198.51.100.7", "2001:db8:c::7"
SERVED4, LOCAL4, UNKNOWN4 = "203.0.113.10", "203.0.113.11", "203.0.113.99"
SERVED6, LOCAL6, UNKNOWN6 = "2001:db8::10", "2001:db8::11", "2001:db8::99"
SYN = TCP(sport=40000, dport=80, flags="S")
ASK = UDP(sport=40000, dport=53)
TEXT = Raw(b"x" * 64)

# Behind the IPv4 header, and fields of it; what becomes of it if it is for a VIP.
ODD4 = {
    "a first fragment": ({"flags": "MF"}, SYN / TEXT, FRAGMENT),
    "a middle fragment": ({"flags": "MF", "frag": 10, "proto": 6}, TEXT, FRAGMENT),
    "a last fragment": ({"frag": 20, "proto": 6}, TEXT, FRAGMENT),
    "a first fragment of UDP": ({"flags": "MF"}, ASK / TEXT, FRAGMENT),
    "a fragment of ping": ({"flags": "MF"}, ICMP() / TEXT, FRAGMENT),
    "a tiny fragment": ({"flags": "MF", "proto": 6}, Raw(b"\x9c\x40\0\x50\0\0\0\0"), FRAGMENT),
    "an option": ({"options": [IPOption_Router_Alert()]}, SYN, OPTIONS),
    "an option before UDP": ({"options": [IPOption_Router_Alert()]}, ASK, OPTIONS),
    "an option before ping": ({"options": [IPOption_Router_Alert()]}, ICMP(), OPTIONS),
    "a header of 60 bytes": ({"ihl": 15, "options": []}, TEXT, OPTIONS),
    "a header of 16 bytes": ({"ihl": 4}, SYN, MALFORMED),
    "version 6 in IPv4": ({"version": 6}, SYN, MALFORMED),
    "version 5": ({"version": 5}, SYN, MALFORMED),
    "a length of nothing": ({"len": 0}, SYN, MALFORMED),
    "a length below the header": ({"len": 19}, SYN, MALFORMED),
    "a length without the ports": ({"len": 20}, SYN, MALFORMED),
    "a length within the TCP header": ({"len": 39}, SYN, MALFORMED),
    "a length within the UDP header": ({"len": 27}, ASK, MALFORMED),
    "a length beyond the frame": ({"len": 41}, SYN, MALFORMED),
    "a length of 64 KB": ({"len": 65535}, SYN, MALFORMED),
    "SCTP": ({"proto": 132}, TEXT, NO_SERVICE),
    "ESP": ({"proto": 50}, TEXT, NO_SERVICE),
    "GRE": ({}, GRE() / IP(dst=SERVED4) / SYN, NO_SERVICE),
    "IPIP": ({}, IP(dst=SERVED4) / SYN, NO_SERVICE),
    "IPv6 in IPv4": ({}, IPv6(dst=SERVED6) / SYN, NO_SERVICE),
    "ICMPv6 in IPv4": ({"proto": 58}, Raw(b"\x80\0\0\0\0\0\0\0"), NO_SERVICE),
}
ODD6 = {
    "a first fragment": ({}, IPv6ExtHdrFragment(m=1) / SYN / TEXT, FRAGMENT),
    "a middle fragment": ({}, IPv6ExtHdrFragment(m=1, offset=9, nh=6) / TEXT, FRAGMENT),
    "a last fragment": ({}, IPv6ExtHdrFragment(offset=20, nh=6) / TEXT, FRAGMENT),
    "an atomic fragment": ({}, IPv6ExtHdrFragment() / SYN, FRAGMENT),
    "hop-by-hop options": ({}, IPv6ExtHdrHopByHop() / SYN, OPTIONS),
    "destination options": ({}, IPv6ExtHdrDestOpt() / ASK, OPTIONS),
    "a routing header": ({}, IPv6ExtHdrRouting(addresses=[CLIENT6]) / SYN, OPTIONS),
    "an authentication header": ({"nh": 51}, TEXT, OPTIONS),
    "a mobility header": ({"nh": 135}, TEXT, OPTIONS),
    "version 4 in IPv6": ({"version": 4}, SYN, MALFORMED),
    "a length of nothing": ({"plen": 0}, SYN, MALFORMED),
    "a length within the TCP header": ({"plen": 19}, SYN, MALFORMED),
    "a length within the UDP header": ({"plen": 7}, ASK, MALFORMED),
    "a length beyond the frame": ({"plen": 21}, SYN, MALFORMED),
    "a length of 64 KB": ({"plen": 65535}, SYN, MALFORMED),
    "no next header": ({"nh": 59}, TEXT, NO_SERVICE),
    "SCTP": ({"nh": 132}, TEXT, NO_SERVICE),
    "IPv4 in IPv6": ({}, IP(dst=SERVED4) / SYN, NO_SERVICE),
    "ICMP in IPv6": ({"nh": 1}, Raw(b"\x08\0\0\0\0\0\0\0"), NO_SERVICE),
}
ODD_TRANSPORT = {
    "TCP with a header of 16 bytes": TCP(sport=40000, dport=80, dataofs=4),
    "TCP with a header beyond the packet": TCP(sport=40000, dport=80, dataofs=6),
    "UDP shorter than its header": UDP(sport=40000, dport=53, len=7),
    "UDP longer than the packet": UDP(sport=40000, dport=53, len=9),
    "UDP of length 0": UDP(sport=40000, dport=53, len=0),
    "half a TCP header": Raw(bytes(SYN)[:10]),
    "half a UDP header": Raw(bytes(ASK)[:4]),
}
for name, layer in ODD_TRANSPORT.items():
    number = 6 if "TCP" in name else 17
    ODD4[name] = ({"proto": number}, layer, MALFORMED)
    ODD6[name] = ({"nh": number}, layer, MALFORMED)


@pytest.fixture(scope="module")
def served(machines):
    """
    A switch with services of both families; LOCAL4 and LOCAL6 are its own addresses too.
    """
    switch = machines()
    switch.reset()
    switch.publish(
        *(switch.service(t.service, [t.server]) for t in (WEB4, WEB6, DNS4, DNS6)),
        switch.service(f"{LOCAL4}:80/tcp", [WEB4.second]),
        switch.service(f"[{LOCAL6}]:80/tcp", [WEB6.second]),
        local=[LOCAL4, LOCAL6],
    )
    return switch


def odd(name, destination):
    """Build the odd frame of that name."""
    if ":" in destination:
        fields, rest, _ = ODD6[name]
        return frames.ethernet(FROM_CLIENT, IPv6(src=CLIENT6, dst=destination, **fields) / rest)
    fields, rest, _ = ODD4[name]
    return frames.ethernet(FROM_CLIENT, IP(src=CLIENT4, dst=destination, **fields) / rest)


@pytest.mark.parametrize("name", ODD4)
def test_odd_ipv4(served, name):
    """
    Dropped by name if for a VIP; the kernel's if the address is its own, or none of ours.
    """
    assert dropped(ODD4[name][2]) == served.run(odd(name, SERVED4))
    for destination in (LOCAL4, UNKNOWN4):
        frame = odd(name, destination)
        assert passed(frame) == served.run(frame)


@pytest.mark.parametrize("name", ODD4)
def test_odd_replies(served, name):
    """
    What a server sends that cannot be told to be a reply is the kernel's, untouched.
    """
    fields, rest, _ = ODD4[name]
    packet = IP(src=frames.split(WEB4.server)[0], dst=CLIENT4, **fields) / rest
    frame = frames.ethernet(frames.from_server(WEB4.server), packet)

    assert passed(frame) == served.reply(frame)


@pytest.mark.parametrize("name", ODD6)
def test_odd_ipv6(served, name):
    """
    The same over IPv6.
    """
    assert dropped(ODD6[name][2]) == served.run(odd(name, SERVED6))
    for destination in (LOCAL6, UNKNOWN6):
        frame = odd(name, destination)
        assert passed(frame) == served.run(frame)


IPV4_SYN = IP(src=CLIENT4, dst=SERVED4) / SYN
NOT_IP = {
    "ARP": ARP(op="who-has", pdst=SERVED4, psrc=CLIENT4),
    "ARP's answer": ARP(op="is-at", psrc=CLIENT4, pdst=SERVED4),
    "a VLAN": Dot1Q(vlan=5) / IPV4_SYN,
    "a priority tag": Dot1Q(vlan=0, prio=5) / IPV4_SYN,
    "a VLAN in a VLAN": Dot1AD(vlan=5) / Dot1Q(vlan=6) / IPV4_SYN,
    "IPv6 neighbour discovery of a VIP": IPv6(src=CLIENT6, dst=SERVED6, hlim=255)
    / ICMPv6ND_NS(tgt=SERVED6),
    "only half an IPv4 header": Raw(bytes(IPV4_SYN)[:19]),
}


@pytest.mark.parametrize("name", NOT_IP)
def test_not_ours(served, name):
    """
    Nothing of it is for us to judge.
    """
    frame = frames.ethernet(FROM_CLIENT, NOT_IP[name])

    assert passed(frame) == served.run(frame)


@pytest.mark.parametrize("kind", [0x0800, 0x86DD, 0x88CC, 0x8847, 0x8863, 0x0000, 0xFFFF])
def test_a_bare_ethernet_header(served, kind):
    """
    Fourteen bytes, the least that a frame can have.
    """
    frame = bytes(Ether(src=FROM_CLIENT.source, dst=FROM_CLIENT.destination, type=kind))

    assert passed(frame) == served.run(frame)


def test_ieee_802_3(served):
    """
    A length where the type should be: spanning tree and its kin.
    """
    header = Dot3(src=FROM_CLIENT.source, dst=FROM_CLIENT.destination)
    frame = bytes(header / LLC() / SNAP() / IPV4_SYN)

    assert passed(frame) == served.run(frame)


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        (CLIENT6, f"::ffff:{SERVED4}"),
        (f"::ffff:{CLIENT4}", SERVED6),
        (f"::ffff:{CLIENT4}", f"::ffff:{SERVED4}"),
    ],
)
@pytest.mark.parametrize("layer", [SYN, ASK, Raw(b"")], ids=["TCP", "UDP", "nothing"])
def test_mapped_addresses_on_the_wire(served, source, destination, layer):
    """
    In the tables ::ffff:203.0.113.10 means IPv4; in an IPv6 packet it is nobody's address.
    """
    frame = frames.ethernet(FROM_CLIENT, IPv6(src=source, dst=destination) / layer)

    assert passed(frame) == served.run(frame)


@BOTH
def test_every_truncation(served, talk):
    """
    Cut after the IP header: malformed; cut within it: nobody knows whose.  Never to a server.
    """
    served.forget()
    whole = talk.asks(*talk.start, payload=b"payload")
    header = 34 if "." in talk.vip else 54
    for length in range(14, len(whole)):
        frame = whole[:length]
        expected = passed(frame) if length < header else dropped(MALFORMED)

        assert expected == served.run(frame), length


@BOTH
def test_every_truncation_with_honest_lengths(served, talk):
    """
    The IP header says how much there is: enough is what holds the transport header.
    """
    served.forget()
    whole = talk.asks(*talk.start, payload=b"payload")
    header = 34 if "." in talk.vip else 54
    for length in range(header, len(whole)):
        frame = frames.redo(whole[:length], IP, IPv6)
        ran = served.run(frame)
        if talk.protocol == "tcp" and length >= header + 20:
            assert ran.verdict in (Verdict.TO_BACKEND, Verdict.TO_BACKEND_NEW), length
            assert len(ran.frame) == length
        else:
            assert dropped(MALFORMED) == ran, length


def test_the_smallest_packets(served):
    """
    Bare headers, and a UDP datagram with nothing in it.
    """
    served.forget()
    for talk in (WEB4, WEB6, DNS4, DNS6):
        assert sent(talk.asked(*talk.start), Verdict.TO_BACKEND_NEW) == served.run(
            talk.asks(*talk.start)
        )


def test_a_program_without_ipv6_leaves_it_to_the_kernel(machines):
    """
    Nothing of it is even parsed.
    """
    switch = machines(("nat",))
    switch.reset()
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    frame = WEB6.asks("S")

    assert passed(frame) == switch.run(frame)
