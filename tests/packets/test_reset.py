"""Stage reset: what a TCP packet hears that has no service, or no connection."""

from __future__ import annotations

import pytest

from lbctl.shared.abi import Verdict
from tests.packets.world import TCP, WEB4, WEB6, bare_reset, play
from tests.support import frames
from tests.support.progrun import answered, dropped, sent

NEW = Verdict.TO_BACKEND_NEW
FULL = 0xFFFFFFFF
# Flags, sequence and acknowledgement number, payload; then those of the reset (RFC 9293, 3.10.7.1).
NUMBERS = {
    "SYN": (("S", 1000, 0, 0), ("RA", 0, 1001)),
    "SYN with data": (("S", 1000, 0, 10), ("RA", 0, 1011)),
    "SYN, number about to wrap": (("S", FULL, 0, 0), ("RA", 0, 0)),
    "data, number wraps": (("P", FULL - 4, 0, 10), ("RA", 0, 5)),
    "SYN with congestion bits": (("SEC", 1000, 0, 0), ("RA", 0, 1001)),
    "SYN and FIN": (("SF", 1000, 0, 3), ("RA", 0, 1005)),
    "SYN and ACK": (("SA", 1000, 2000, 0), ("R", 2000, 0)),
    "ACK": (("A", 1000, 2000, 0), ("R", 2000, 0)),
    "data": (("PA", 1000, 2000, 99), ("R", 2000, 0)),
    "ACK of 0": (("A", 1000, 0, 0), ("R", 0, 0)),
    "FIN": (("F", 1000, 0, 0), ("RA", 0, 1001)),
    "FIN with data": (("F", 1000, 0, 7), ("RA", 0, 1008)),
    "FIN and ACK with data": (("FA", 1000, 2000, 7), ("R", 2000, 0)),
    "no flags": (("", 1000, 2000, 5), ("RA", 0, 1005)),
    "all but reset": (("FSPAUECN", 1000, 2000, 5), ("R", 2000, 0)),
}


def reset(talk, flags, seq, ack, ip=None):
    """Build the reset that the client of a talk gets."""
    return bare_reset(talk.client, talk.vip, flags, (seq, ack), ip)


@pytest.fixture(scope="module")
def closed(machines):
    """
    VIPs of both families whose port 81 has no service.
    """
    switch = machines()
    switch.reset()
    switch.publish(*(switch.service(t.service, [t.server]) for t in (WEB4, WEB6)))
    return switch


@TCP
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(closed, talk, name):
    """
    The sender must be able to tell which of its packets is meant.
    """
    (flags, seq, ack, length), expected = NUMBERS[name]
    talk = talk._replace(vip=frames.at_port(talk.vip, 81))
    frame = talk.asks(flags, b"x" * length, seq=seq, ack=ack)

    assert answered(reset(talk, *expected), Verdict.RESET) == closed.run(frame)


@TCP
@pytest.mark.parametrize("length", [0, 1, 2, 5, 6, 7, 511, 1400])
def test_sizes(closed, talk, length):
    """
    Whatever it answers, a reset is a bare header; padding of short frames is no data.
    """
    talk = talk._replace(vip=frames.at_port(talk.vip, 81))
    options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]
    for extra in ({}, {"options": options}):
        frame = talk.asks("F", b"x" * length, seq=1, ack=2, **extra)
        for padding in (b"", b"padding"):
            expected = reset(talk, "RA", 0, 2 + length)

            assert answered(expected, Verdict.RESET) == closed.run(frame + padding)


@TCP
def test_other_fields(closed, talk):
    """
    Window, urgent pointer, reserved bits and hop limit are fresh; the service class stays.
    """
    talk = talk._replace(vip=frames.at_port(talk.vip, 81))
    ip = {"tc": 0xB8, "fl": 0x12345} if talk.client.startswith("[") else {"tos": 0xB8}
    frame = talk.asks("SU", ip=ip, ttl=3, window=999, urgptr=5, reserved=7)

    assert answered(reset(talk, "RA", 0, 1, ip), Verdict.RESET) == closed.run(frame)


@TCP
@pytest.mark.parametrize("flags", ["R", "RA", "RS", "RF"])
@pytest.mark.parametrize("port", [80, 81])
def test_a_reset_is_never_answered(closed, talk, flags, port):
    """
    Two switches would answer each other for ever.
    """
    frame = talk._replace(vip=frames.at_port(talk.vip, port)).asks(flags, b"data")

    assert dropped(Verdict.DROP_UNANSWERABLE) == closed.run(frame)


@TCP
@pytest.mark.parametrize("flags", ["A", "PA", "FA", "SA", "F", "", "SF"])
def test_of_no_connection(switch, talk, flags):
    """
    The pool decides: reset, drop, or send it where its slot says.
    """
    for unknown in ("reset", "drop", "hash"):
        switch.forget()
        switch.publish(switch.service(talk.service, [talk.server], unknown=unknown))
        told = {"flags": flags, "seq": 5, "ack": 6}
        numbers = ("R", 6, 0) if "A" in flags else ("RA", 0, 5 + ("S" in flags) + ("F" in flags))
        expected = {
            "reset": answered(reset(talk, *numbers), Verdict.RESET),
            "drop": dropped(Verdict.DROP_NO_CONNECTION),
            "hash": sent(talk.asked(**told), NEW),
        }[unknown]

        assert expected == switch.run(talk.asks(**told))


@pytest.mark.parametrize(
    ("flags", "state"),
    [("A", "established"), ("PA", "established"), ("FA", "closing"), ("R", "closed")],
)
def test_by_hash_makes_a_connection(switch, flags, state):
    """
    It began on another switch; what is over there must not live long here.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server], unknown="hash"))

    assert sent(WEB4.asked(flags), NEW) == switch.run(WEB4.asks(flags))
    assert {WEB4.client: state} == switch.states()
    assert sent(WEB4.heard("A"), Verdict.TO_CLIENT) == switch.reply(WEB4.says("A"))


def test_a_syn_is_never_unknown(switch):
    """
    Whatever the pool says of unknown packets.
    """
    for unknown in ("reset", "drop", "hash"):
        switch.forget()
        switch.publish(switch.service(WEB4.service, [WEB4.server], unknown=unknown))
        play(switch, WEB4, ">S <SA >A")
