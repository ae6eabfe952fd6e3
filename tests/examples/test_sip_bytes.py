"""The SIP proxy's bytes: no garbage brings it down, and packets go where they should."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from examples.datagrams import Sender
from examples.sip import message as sip
from examples.sip.__main__ import step
from lbctl.netif import Route, testing
from tests.support.sip_network import ALICE, BOB, VIP, Network
from tests.support.telephone import status

MANY = settings(max_examples=300)


@pytest.fixture
def net():
    """Both are registered."""
    return Network().register()


@pytest.mark.parametrize(
    "change",
    [
        (b"CSeq: 1 INVITE\r\n", b""),
        (b"CSeq: 1 INVITE", b"CSeq: 1 BYE"),
        (b"CSeq: 1 ", b"CSeq: 99999999999 "),
        (b"Content-Length: 0", b"Content-Length: 1"),
        (b"Content-Length: 0", b"Content-Length: x"),
        (b"SIP/2.0/UDP", b"SIP/2.0/TCP"),
        (b"5060;branch", b"99999;branch"),
        (b"From: ", b"From "),
        (b"From: ", b"Fr\0om: "),
        (b"To: ", b"To: <sip:x@y>\r\nTo: "),
        (b"\r\n\r\n", b"\r\n"),
        (b" SIP/2.0\r\n", b" HTTP/1.1\r\n"),
    ],
)
def test_what_is_no_whole_message_gets_no_answer(net, change):
    """
    There is nothing that an answer could be made of.
    """
    request = net.alice.request("INVITE", net.bob.aor)
    assert change[0] in request

    assert [] == net.sends(request.replace(*change, 1))


def judge(net, data):
    """Send it to a proxy: what it says is whole, and is said to who is known or who asked."""
    for where, sent in net.sends(data):
        read = sip.parse(sent)
        assert read is not None
        assert sent == read.encode()
        assert where in (f"{BOB}:5060", f"{ALICE}:5060") or where.startswith(f"{ALICE}:")
        assert sip.parse(data) is not None


@MANY
@given(st.binary(max_size=400))
def test_noise_is_not_answered(data):
    """
    Whatever the bytes.
    """
    assert sip.parse(data) is None
    judge(Network(), data)


PIECES = [
    b"\r\n",
    b";",
    b",",
    b'"',
    b"<",
    b">",
    b":",
    b"\xff",
    b" ",
    b"@",
    b"=",
    b"\0",
    b"[::",
    b"%",
]


@MANY
@given(
    method=st.sampled_from(["INVITE", "REGISTER", "ACK", "OPTIONS", "X"]),
    cuts=st.lists(
        st.tuples(
            st.integers(0, 500), st.integers(0, 20), st.sampled_from(PIECES) | st.binary(max_size=9)
        ),
        max_size=4,
    ),
    answered=st.booleans(),
)
def test_damaged_messages_do_no_harm(method, cuts, answered):
    """
    Pieces taken out and put in, in requests and in responses.
    """
    net = Network().register()
    headers = [f"Contact: {net.alice.contact}", "Route: <sip:203.0.113.20;lr>"]
    uri = "sip:example.net" if method == "REGISTER" else net.bob.aor
    data = net.alice.request(method, uri, headers=headers)
    if answered and (sent := net.sends(data)):
        data = net.bob.answer(sent[0][1])
    for at, size, piece in cuts:
        data = data[:at] + piece + data[at + size :]

    judge(net, data)


def frame(data, source, mac):
    """A packet with a message for the VIP."""
    ether = Ether(src=mac, dst="02:00:00:00:00:01")
    return bytes(
        ether / IP(src=source, dst=str(VIP.address)) / UDP(sport=5060, dport=5060) / Raw(data)
    )


def test_packets_go_by_the_routes_of_the_switch():
    """
    Answers go back as requests came; what is passed on goes by another NIC, as lbctld says.
    """
    net, sender_time = Network(), [0.0]
    with testing.interface({"ext0": [0], "ext1": [0]}) as fake:
        sender = Sender(fake, lambda: sender_time[0])
        ext0, ext1 = fake.ports
        fake.deliver(ext0, [frame(net.alice.register(), ALICE, "02:00:00:00:00:aa")])
        fake.deliver(ext1, [frame(net.bob.register(), BOB, "02:00:00:00:00:bb")])
        assert 2 == step(fake, net.proxy, sender, timeout=0)
        for port, mac in ((ext0, "02:00:00:00:00:aa"), (ext1, "02:00:00:00:00:bb")):
            (sent,) = fake.sent(port)
            assert mac == Ether(sent).dst
            assert 200 == status(bytes(Ether(sent)[UDP].payload))

        invite = frame(net.alice.request("INVITE", net.bob.aor), ALICE, "02:00:00:00:00:aa")
        fake.deliver(ext0, [invite])
        assert (0, 1) == (step(fake, net.proxy, sender, timeout=0), sender.lost)
        fake.routes[BOB] = Route("ext1", "02:00:00:00:00:cc", "02:00:00:00:00:02", 1500, 0)
        sender_time[0] += 10
        fake.deliver(ext0, [invite])
        assert 1 == step(fake, net.proxy, sender, timeout=0)
        (sent,) = fake.sent(ext1)
        del fake.routes[BOB]  # remembered for half a minute
        for seconds, passed_on in ((20, 1), (20, 0)):
            sender_time[0] += seconds
            fake.deliver(ext0, [invite])
            assert passed_on == step(fake, net.proxy, sender, timeout=0)

    parsed = Ether(sent)
    assert ("02:00:00:00:00:cc", "02:00:00:00:00:02") == (parsed.dst, parsed.src)
    assert (str(VIP.address), BOB) == (parsed[IP].src, parsed[IP].dst)
    del parsed[IP].chksum, parsed[UDP].chksum
    assert sent == bytes(parsed)
