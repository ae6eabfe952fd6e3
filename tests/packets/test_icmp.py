"""Stage icmp: ping, and errors about connections."""

from __future__ import annotations

import struct

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
)
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lbctl.shared.abi import Verdict
from tests.packets.world import DNS4, TCP, WEB4, WEB6, establish
from tests.support import frames
from tests.support.frames import FROM_CLIENT, TO_CLIENT
from tests.support.progrun import answered, dropped, passed, sent

REPLY = Verdict.ECHO_REPLY
SIZES = [0, 1, 7, 8, 56, 57, 1000, 1472]


@pytest.fixture
def served(switch):
    """
    A switch with a service of each kind.
    """
    switch.publish(*(switch.service(t.service, [t.server]) for t in (WEB4, WEB6, DNS4)))
    return switch


def pong(talk, payload=b"", **fields):
    """Build the answer to a ping."""
    ip = {"id": 0, "flags": "DF"} if talk is WEB4 else {}
    told = fields | {"ip": ip, "reply": True, "way": TO_CLIENT}
    return frames.echo(talk.vip, talk.client, payload, **told)


@TCP
@pytest.mark.parametrize("size", SIZES)
def test_ping(served, talk, size):
    """
    Any size, and any hop limit: the answer starts with a fresh one.
    """
    payload = bytes(range(256)) * 6
    fields = {"id": 0xBEEF, "seq": 3}
    for ttl in (255, 1):
        request = frames.echo(talk.client, talk.vip, payload[:size], ttl=ttl, **fields)
        for padding in (b"", b"padding"):
            reply = pong(talk, payload[:size], **fields) + padding

            assert answered(reply, REPLY) == served.run(request + padding)


@pytest.mark.parametrize("payload", [b"", b"\0", bytes(56)], ids=len)
def test_ping_of_nothing_but_zeros(served, payload):
    """
    The sum of a reply that is all zeros is the one zero that has a sign.
    """
    request = frames.echo(WEB4.client, WEB4.vip, payload, id=0, seq=0)

    assert answered(pong(WEB4, payload, id=0, seq=0), REPLY) == served.run(request)


@TCP
def test_all_checksums_of_ping(served, talk):
    """
    The identifier runs through all of its values, and the checksum with it.
    """
    request = bytearray(frames.echo(talk.client, talk.vip, id=0, seq=0x1234))
    start = 34 if talk is WEB4 else 54
    (first,) = struct.unpack_from("!H", request, start + 2)
    wrong = []
    for identity in range(0x10000):
        struct.pack_into("!H", request, start + 4, identity)
        struct.pack_into("!H", request, start + 2, minus(first, identity))
        out = served.fast(bytes(request)).frame
        # 0x8000 (ICMP) or 0x8100 (ICMPv6) less: the type goes from 8 to 0, or from 128 to 129
        expected = minus(minus(first, identity), 0xF7FF if talk is WEB4 else 0x0100)
        if talk is WEB4 and not expected:  # 0 and ffff are the same sum, unless all words are 0
            expected = 0xFFFF
        if out[start + 2 : start + 6] != struct.pack("!HH", expected, identity):
            wrong.append(identity)
        if identity % 4096 == 0:
            assert pong(talk, id=identity, seq=0x1234) == out

    assert [] == wrong
    assert {REPLY: 0x10000} == served.verdicts()


def minus(checksum, value):
    """Work out the checksum when a word of 0 becomes *value*: the complement of a sum."""
    total = (~checksum & 0xFFFF) + value
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


KERNELS4 = {
    "an answer": ICMP(type=0),
    "a timestamp": ICMP(type=13),
    "a redirect": ICMP(type=5) / IP(src=frames.split(WEB4.vip)[0]) / UDP(),
    "a ping with a code": ICMP(type=8, code=1),
    "an unknown type": ICMP(type=200),
}
KERNELS6 = {
    "a neighbour asks": ICMPv6ND_NS(tgt=frames.split(WEB6.vip)[0]),
    "a neighbour answers": ICMPv6ND_NA(tgt=frames.split(WEB6.client)[0]),
    "an answer": Raw(b"\x81\0\0\0\0\0\0\0"),
    "a ping with a code": Raw(b"\x80\1\0\0\0\0\0\0"),
    "an unknown type": Raw(b"\xc8\0\0\0\0\0\0\0"),
}


@pytest.mark.parametrize(
    ("talk", "message"),
    [(WEB4, m) for m in KERNELS4.values()] + [(WEB6, m) for m in KERNELS6.values()],
    ids=[*(f"IPv4 {k}" for k in KERNELS4), *(f"IPv6 {k}" for k in KERNELS6)],
)
def test_what_is_the_kernels(served, talk, message):
    """
    Neighbour discovery above all.
    """
    fields = {} if talk is WEB4 else {"nh": 58}
    packet = frames.network(talk.client, talk.vip, **fields) / message
    frame = frames.ethernet(FROM_CLIENT, packet)

    assert passed(frame) == served.run(frame)


@TCP
@pytest.mark.parametrize("length", [0, 1, 4, 7])
def test_too_short_for_icmp(served, talk, length):
    """
    Less than a header, whatever the frame is padded to.
    """
    fields = {"proto": 1} if talk is WEB4 else {"nh": 58}
    packet = frames.network(talk.client, talk.vip, **fields) / Raw(b"\x08\0\0\0\0\0\0"[:length])
    for padding in (b"", bytes(20)):
        frame = frames.ethernet(FROM_CLIENT, packet) + padding

        assert dropped(Verdict.DROP_MALFORMED) == served.run(frame)


# -- errors about what a server has sent as the VIP ---------------------------------------

ROUTER4, ROUTER6 = "198.51.100.254", "2001:db8:c::fe"
ERRORS4 = {
    "fragmentation needed": ICMP(type=3, code=4, nexthopmtu=1400),
    "port unreachable": ICMP(type=3, code=3),
    "time exceeded": ICMP(type=11),
    "parameter problem": ICMP(type=12, ptr=8),
}
ERRORS6 = {
    "packet too big": ICMPv6PacketTooBig(mtu=1400),
    "address unreachable": ICMPv6DestUnreach(code=3),
    "time exceeded": ICMPv6TimeExceeded(),
}


def quoted(frame, length):
    """Cut the start of a frame's IP packet, as a router quotes it."""
    header = 34 if IP in Ether(frame) else 54
    return Raw(frame[14 : header + length])


def error(talk, message, heard, length, **fields):
    """A router on the way to the client could not deliver what the client should have heard."""
    router = ROUTER6 if talk.client.startswith("[") else ROUTER4
    return frames.ethernet(
        fields.pop("way", FROM_CLIENT),
        frames.network(router, fields.pop("to", talk.vip), **fields)
        / message
        / quoted(heard, length),
    )


def cases():
    """Yield (talk, error) of both families and protocols."""
    for talk in (WEB4, DNS4):
        yield from ((talk, name, message) for name, message in ERRORS4.items())
    yield from ((WEB6, name, message) for name, message in ERRORS6.items())


@pytest.mark.parametrize(
    ("talk", "message"),
    [(talk, message) for talk, _, message in cases()],
    ids=[f"{talk.service} {name}" for talk, name, _ in cases()],
)
@pytest.mark.parametrize("length", [8, 20, 64])
def test_an_error_goes_to_the_server(served, talk, message, length):
    """
    It must know what it has sent: the quotation too has the server's address and port.
    """
    establish(served, talk)
    said = {"payload": b"y" * 100}
    if talk.protocol == "udp":  # its checksum would be in the quotation, and nobody checks it there
        said["chksum"] = 0
        length = min(length, 8)
    elif length > 8:
        length = 16  # what a quotation has of TCP before its checksum
    original = talk.says(ttl=63, **said)
    frame = error(talk, message, talk.heard(**said), length)
    expected = error(
        talk, message, original, length, to=talk.server, way=frames.to_server(talk.server), ttl=63
    )

    assert sent(expected, Verdict.TO_BACKEND_ICMP) == served.run(frame)


@TCP
def test_an_error_about_dsr(switch, talk):
    """
    The server has the VIP itself: only the hop changes.
    """
    switch.publish(switch.service(talk.service, [frames.at_port(talk.server, 80)], forward="dsr"))
    switch.run(talk.asks("S"))
    message = ICMP(type=3, code=4) if talk is WEB4 else ICMPv6PacketTooBig()
    frame = error(talk, message, talk.heard("A"), 20)
    expected = error(talk, message, talk.heard("A"), 20, way=frames.to_server(talk.server), ttl=63)

    assert sent(expected, Verdict.TO_BACKEND_ICMP) == switch.run(frame)


@TCP
def test_an_error_about_nothing(served, talk):
    """
    No connection, no service, or about something that was never balanced.
    """
    message = ICMP(type=3, code=4) if talk is WEB4 else ICMPv6PacketTooBig()
    other = talk._replace(vip=frames.at_port(talk.vip, 81))
    ping = frames.echo(talk.vip, talk.client)

    ran = served.run(error(talk, message, talk.heard("A"), 8))
    assert dropped(Verdict.DROP_NO_CONNECTION) == ran
    ran = served.run(error(talk, message, other.heard("A"), 8))
    assert dropped(Verdict.DROP_NO_SERVICE) == ran
    frame = error(talk, message, ping, 8)
    assert passed(frame) == served.run(frame)


@TCP
def test_an_error_that_quotes_too_little_or_something_else(served, talk):
    """
    Without ports there is no connection; and a packet that the VIP did not send is no news to it.
    """
    establish(served, talk)
    message = ICMP(type=3, code=4) if talk is WEB4 else ICMPv6PacketTooBig()
    for length in range(8):
        for padding in (b"", bytes(40)):
            frame = error(talk, message, talk.heard("A"), length) + padding
            assert dropped(Verdict.DROP_MALFORMED) == served.run(frame)
    forged = error(talk, message, talk.at_vip(20).heard("A"), 8)
    assert dropped(Verdict.DROP_MALFORMED) == served.run(forged)


@TCP
def test_errors_about_errors_do_not_exist(switch, talk):
    """
    One that is too large for the way to the server is dropped, not answered.
    """
    switch.publish(switch.service(talk.service, [talk.server], mtu=500))
    establish(switch, talk)
    message = ICMP(type=3, code=4) if talk is WEB4 else ICMPv6PacketTooBig()
    heard = talk.heard("A", b"x" * 600)
    fields = {"flags": "DF"} if talk is WEB4 else {}

    ran = switch.run(error(talk, message, heard, 520, **fields))
    assert dropped(Verdict.DROP_TOO_BIG) == ran


@TCP
def test_an_error_does_not_prolong_a_connection(served, talk):
    """
    Anybody can send one: it neither ends a connection nor keeps it alive.
    """
    establish(served, talk)
    served.age(2000)
    message = ICMP(type=3, code=1) if talk is WEB4 else ICMPv6DestUnreach()
    served.run(error(talk, message, talk.heard("A"), 8))
    (connection,) = served.connections.list()

    assert "established" == connection.state
    assert connection.idle_seconds > 1900
