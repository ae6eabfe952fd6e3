"""The sentences about stages, from traces that were made up: what real packets seldom meet."""

from __future__ import annotations

import pytest

from lbctl.control.explaining import choice, departure, recognition
from lbctl.control.explaining.cure import CURES, next_command
from lbctl.control.explaining.explanation import tell
from lbctl.shared import abi, syscall
from lbctl.shared.abi import VERDICT_NOTES, ConnectionState, ServiceFlag, Verdict
from tests.support import frames
from tests.unit.control.explaining.cases import CLIENT, REPLY, SERVER, case

FORWARD = {"verdict": "CONTINUE", "service": 5}
BACKWARD = {"verdict": "CONTINUE", "server": 1}
FOUND = {"verdict": "CONTINUE", "connection": 0, "backend": 1}
HALF = {"state": ConnectionState.HALF_OPEN}


def test_a_reset_that_is_withheld():
    """
    Why the client does not hear it.
    """
    one = case(
        REPLY,
        found=HALF,
        service=BACKWARD,
        connection=FOUND | {"verdict": "DROP_RESET_WITHHELD"},
        finish={"verdict": "DROP_RESET_WITHHELD"},
    )

    said = recognition.connection(one)

    assert said.startswith(f"{CLIENT} has a connection to 203.0.113.10:80/tcp by back-end {SERVER}")
    assert "the reset is withheld" in said
    assert "lbctl backend list web" == next_command(one)


@pytest.mark.parametrize(
    ("state", "flags", "why"),
    [
        ("CLOSING", 0, "it is closing"),
        ("CLOSED", 0, "it is closed"),
        ("HALF_OPEN", 0, "its server has not answered the SYN before"),
        ("HALF_OPEN", ConnectionState.WITHHELD, "its server refused the SYN before"),
    ],
)
def test_why_a_syn_starts_it_over(state, flags, why):
    """
    As lb_starts_over decides.
    """
    one = case(
        found={"state": ConnectionState[state] | flags},
        service=FORWARD,
        connection={"verdict": "CONTINUE", "connection": 0, "backend": abi.NONE},
    )

    assert f"; {why}, so that the packet starts it over" in recognition.connection(one)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (0, f"{SERVER} is a back-end of 203.0.113.10:80/tcp (pool web): this may be a reply"),
        (ServiceFlag.SHARED, f"{SERVER} is a back-end of several VIPs: this may be a reply"),
    ],
)
def test_who_replies(flags, sentence):
    """
    A shared server's packets name their VIP only with the connection.
    """
    one = case(REPLY, flags=flags, service=BACKWARD, connection=FOUND, found=HALF)

    assert sentence == recognition.service(one)


def test_an_address_that_is_the_hosts_own():
    """
    What no VIP is for is the kernel's.
    """
    one = case(service={"verdict": "TO_KERNEL"})

    assert "one of this host's own" in recognition.service(one)


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (frames.tcp("[2001:db8::7]:1", "[2001:db8::1]:80"), "no VIP is of IPv6"),
        (bytes(12) + b"\x88\xcc" + bytes(46), "LLDP, which is not IP"),
        (bytes(12) + b"\x81\0" + bytes(46), "a VLAN tag, which is not IP"),
        (bytes(12) + b"\x08\0" + bytes(10), "an IP header that is not whole (24 bytes)"),
        (bytes(12) + b"\x12\x34" + bytes(46), "EtherType 0x1234, which is not IP"),
    ],
)
def test_what_the_kernel_gets_unread(frame, sentence):
    """
    What it is, as far as one can tell.
    """
    assert sentence in recognition.parse(case(frame, parse={"verdict": "TO_KERNEL"}))


@pytest.mark.parametrize(
    ("mac", "sentence"),
    [
        ("ff:ff:ff:ff:ff:ff", "for all stations (broadcast)"),
        ("33:33:00:00:00:01", "for the group 33:33:00:00:00:01 (multicast)"),
        ("02:00:00:00:00:77", "for 02:00:00:00:00:77, another station"),
    ],
)
def test_for_whom_a_frame_is(mac, sentence):
    """
    Not for the NIC.
    """
    frame = frames.tcp(CLIENT, "203.0.113.10:80", way=frames.Way(frames.ROUTER, mac))
    one = case(frame, action=syscall.PASS, arrive={"verdict": "TO_KERNEL_OTHER_MAC"})

    assert sentence in recognition.arrive(one)
    assert f"eth0 is {frames.OUTSIDE_MAC}" in recognition.arrive(one)


def test_a_reply_of_a_connection_that_had_no_room():
    """
    It goes back by the back-end's record.
    """
    one = case(
        REPLY,
        service=BACKWARD,
        connection=FOUND | {"connection": abi.NONE},
        select={"verdict": "CONTINUE", "backend": 1, "delivered": "TO_CLIENT"},
    )

    assert "taken for a reply of one that had no room" in choice.select(one)


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        ("route", departure.route),
        ("rewrite", departure.rewrite),
        ("select", choice.select),
        ("too_big", departure.too_big),
    ],
)
def test_bugs_are_called_bugs(stage, sentence):
    """
    Where tables contradict each other.
    """
    one = case(
        service=FORWARD, connection=FOUND, found=HALF, **{stage: {"verdict": "DROP_INTERNAL"}}
    )

    assert "a bug of lbctl" in sentence(one)


def test_wrong_checksums_are_a_bug():
    """
    Those that were right before.
    """
    wrong = REPLY[:-6] + b"\1\2" + REPLY[-4:]
    one = case(
        REPLY,
        wrong,
        syscall.TX,
        service=BACKWARD,
        connection=FOUND,
        found=HALF,
        rewrite={"verdict": "CONTINUE"},
    )

    assert "the TCP checksum is wrong: a bug of lbctl" in departure.rewrite(one)


def test_a_nic_that_is_gone():
    """
    Between the trial and its telling.
    """
    one = case(action=syscall.REDIRECT, finish={"verdict": "TO_BACKEND", "out_nic": 9})

    assert "a NIC that is gone (place 9)" == departure.out_nic(one)


@pytest.mark.parametrize("verdict", [v for v in VERDICT_NOTES if v is not Verdict.CONTINUE])
def test_every_verdict_is_told(verdict):
    """
    With its note; and with a command, if the packet was dropped.
    """
    told = tell(case(finish={"verdict": verdict.name}))

    assert (verdict.name, VERDICT_NOTES[verdict]) == (told.verdict, told.note)
    assert bool(told.next) is (verdict in CURES)
    assert told.next or not verdict.name.startswith("DROP_")
