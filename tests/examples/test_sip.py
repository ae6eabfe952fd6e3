"""The SIP proxy: registrations, calls and refusals."""

from __future__ import annotations

import pytest

from tests.support.sip_network import ALICE, BOB, VIP, VIP6, Network
from tests.support.telephone import Telephone, in_dialog, lines, status, value, values


@pytest.fixture
def net():
    """Both are registered."""
    return Network().register()


def test_a_call_from_end_to_end(net):
    """
    INVITE, 180, 200, ACK and BYE find their way, and each message is what it was.
    """
    where, invite = net.one(net.alice.request("INVITE", net.bob.aor, body="v=0\r\n"))
    assert f"{BOB}:5060" == where
    assert f"INVITE sip:bob@{BOB}:5060 SIP/2.0" == lines(invite)[0]
    assert "69" == value(invite, "Max-Forwards")
    assert "<sip:203.0.113.20:5060;lr>" == value(invite, "Record-Route")
    ours, theirs = values(invite, "Via")
    assert ours.startswith("SIP/2.0/UDP 203.0.113.20:5060;branch=z9hG4bK")
    assert theirs.endswith(f";rport=5060;received={ALICE}")
    assert invite.endswith(b"\r\n\r\nv=0\r\n")

    for line in ("180 Ringing", "200 OK"):
        contact = [f"Contact: {net.bob.contact}"]
        where, answer = net.one(net.bob.answer(invite, line, contact), BOB)
        assert (f"{ALICE}:5060", [theirs]) == (where, values(answer, "Via"))

    uri, routes, to = in_dialog(answer)
    for sequence, method in ((1, "ACK"), (2, "INVITE"), (3, "BYE")):
        request = net.alice.request(method, uri, to, sequence, headers=routes)
        where, got = net.one(request)
        assert (f"{BOB}:5060", []) == (where, values(got, "Route"))
        assert f"{method} {uri} SIP/2.0" == lines(got)[0]
        assert [] == values(got, "Record-Route")
    where, ended = net.one(net.bob.answer(got), BOB)
    assert (f"{ALICE}:5060", 200) == (where, status(ended))


def test_what_belongs_to_an_invite_goes_by_the_same_branch(net):
    """
    Sent again, CANCEL, and ACK of a refusal; another call goes by another.
    """
    send = lambda method, branch="z9hG4bK1": net.alice.request(  # noqa: E731 - to say less below
        method, net.bob.aor, branch=branch
    )
    vias = [
        values(net.one(send(*words))[1], "Via")[0]
        for words in (("INVITE",), ("INVITE",), ("CANCEL",), ("ACK",), ("INVITE", "z9hG4bK2"))
    ]

    assert [vias[0]] * 4 == vias[:4]
    assert vias[0] != vias[4]


def test_only_answers_to_what_went_through_come_back(net):
    """
    With another hop below ours, another branch, none at all: nobody is sent anything.
    """
    _, invite = net.one(net.alice.request("INVITE", net.bob.aor))
    answer = net.bob.answer(invite)
    ours, theirs = values(answer, "Via")

    assert net.sends(answer, BOB)
    for before, after in (
        (ALICE, "192.0.2.1"),
        ("rport=5060", "rport=53"),
        (ours[-8:], "00000000"),
        (f"Via: {theirs}\r\n", ""),
        ("203.0.113.20", "203.0.113.21"),
    ):
        assert [] == net.sends(answer.replace(before.encode(), after.encode()), BOB)


def test_a_registration_expires(net):
    """
    Until then it says how long it lasts; a new one replaces it, and 0 ends it.
    """
    net.now += 600
    _, answer = net.one(net.alice.request("REGISTER", "sip:example.net", f"<{net.alice.aor}>"))
    assert f"<sip:alice@{ALICE}:5060>;expires=3000" == value(answer, "Contact")
    net.now += 3001
    assert 200 == net.refuses(net.bob.register(sequence=2), BOB)
    assert 1 == net.proxy.registrar.count
    assert 404 == net.refuses(net.bob.request("INVITE", net.alice.aor), BOB)
    assert 403 == net.refuses(net.alice.request("INVITE", net.bob.aor))

    for contact in (None, "*"):
        net.refuses(net.alice.register(sequence=3))
        net.one(net.bob.request("INVITE", net.alice.aor), BOB)
        _, answer = net.one(net.alice.register(0, 4, contact))
        assert (200, []) == (status(answer), values(answer, "Contact"))
        assert 404 == net.refuses(net.bob.request("INVITE", net.alice.aor), BOB)
    assert 1 == net.proxy.registrar.count


def test_requests_go_to_where_the_registration_came_from(net):
    """
    Whatever the contact says: nobody can have another one called.
    """
    net.refuses(net.bob.register(contact="<sip:bob@192.0.2.99:9>;q=0.5", sequence=2), BOB)

    where, invite = net.one(net.alice.request("INVITE", net.bob.aor))

    assert (f"{BOB}:5060", "INVITE sip:bob@192.0.2.99:9 SIP/2.0") == (where, lines(invite)[0])


@pytest.mark.parametrize(
    ("expected", "expires", "contact"),
    [
        (423, 59, None),
        (400, 3600, "*"),
        (400, 3600, "<tel:+15550100>"),
        (400, 3600, "nonsense <"),
        (200, "soon", None),
    ],
)
def test_a_registration_that_makes_no_sense_is_refused(net, expected, expires, contact):
    """
    And nothing that was known changes.
    """
    assert expected == net.refuses(net.alice.register(expires, 2, contact))
    assert 2 == net.proxy.registrar.count


def test_nobody_is_at_the_proxy_itself(net):
    """
    A request would come back again and again.
    """
    where, answer = net.one(net.alice.register(), str(VIP.address))
    assert ("203.0.113.20:5060", 403) == (where, status(answer))


def test_registrations_come_in_order_and_are_not_too_many(net):
    """
    One that was overtaken is refused, sent again it is not; a user has eight contacts at most.
    """
    assert 200 == net.refuses(net.alice.register(sequence=5))
    assert 200 == net.refuses(net.alice.register(sequence=5))
    assert 500 == net.refuses(net.alice.register(sequence=4))
    contact = ", ".join(f"<sip:alice@{ALICE}:{port}>" for port in range(6000, 6007))
    assert 200 == net.refuses(net.alice.register(sequence=6, contact=contact))
    _, answer = net.one(net.bob.register(999_999, 2), BOB)
    assert f"{net.bob.contact};expires=7200" == value(answer, "Contact")
    assert 503 == net.refuses(net.alice.register(sequence=7, contact="<sip:alice@192.0.2.1>"))


@pytest.mark.parametrize(
    ("expected", "method", "uri", "headers"),
    [
        (404, "INVITE", "sip:nobody@example.net", []),
        (404, "INVITE", "sip:bob@example.org", []),
        (404, "BYE", "sip:bob@192.0.2.1", []),
        (483, "INVITE", "sip:bob@example.net", ["Max-Forwards: 0"]),
        (400, "INVITE", "sip:bob@example.net", ["Max-Forwards: many"]),
        (400, "INVITE", "sip:b@b@b", []),
        (405, "INVITE", "sip:example.net", []),
        (405, "PUBLISH", "sip:203.0.113.20:5060", []),
        (200, "OPTIONS", "sip:example.net", []),
        (416, "INVITE", "tel:+15550100", []),
        (420, "INVITE", "sip:bob@example.net", ["Proxy-Require: magic"]),
        (513, "INVITE", "sip:bob@example.net", ["Subject: " + "x" * 1300]),
    ],
)
def test_what_cannot_be_passed_on_is_refused(net, expected, method, uri, headers):
    """
    The answer has the hops and numbers of the request, and the same tag each time.
    """
    request = net.alice.request(method, uri, headers=headers)
    _, answer = net.one(request)

    assert expected == status(answer)
    assert (expected == 405 or method == "OPTIONS") == bool(values(answer, "Allow"))
    for name in ("From", "Call-ID", "CSeq"):
        assert value(request, name) == value(answer, name)
    assert value(answer, "To").startswith(f"{value(request, 'To')};tag=")
    assert [f"{value(request, 'Via')[:-6]};rport=5060;received={ALICE}"] == values(answer, "Via")
    assert net.one(request)[1] == answer


def test_an_ack_is_never_answered(net):
    """
    That of a refusal of ours goes nowhere.
    """
    branch = {"branch": "z9hG4bK-x"}
    _, answer = net.one(net.alice.request("INVITE", "sip:nobody@example.net", **branch))
    ack = net.alice.request("ACK", "sip:nobody@example.net", value(answer, "To"), **branch)
    assert [] == net.sends(ack)
    _, answer = net.one(
        net.alice.request("INVITE", net.bob.aor, headers=["Proxy-Require: x"], **branch)
    )
    assert [] == net.sends(net.alice.request("ACK", net.bob.aor, value(answer, "To"), **branch))
    assert [] == net.sends(net.alice.request("ACK", net.bob.aor, headers=["Max-Forwards: 0"]))


def test_families_are_apart(net):
    """
    Who registered at the other VIP cannot be reached by this one.
    """
    carol = Telephone("carol", "2001:db8:1::11")
    where, answer = net.one(carol.register(), "2001:db8:1::11", local=VIP6)
    assert ("[2001:db8:1::11]:5060", 200) == (where, status(answer))
    assert 480 == net.refuses(net.alice.request("INVITE", carol.aor))

    dave = Telephone("dave", "2001:db8:2::12")
    net.one(dave.register(), "2001:db8:2::12", local=VIP6)
    invite = dave.request("INVITE", carol.aor)
    where, got = net.one(invite, "2001:db8:2::12", local=VIP6)
    assert "[2001:db8:1::11]:5060" == where
    assert "<sip:[2001:db8:f::20]:5060;lr>" == value(got, "Record-Route")
    where, _ = net.one(carol.answer(got), "2001:db8:1::11", local=VIP6)
    assert "[2001:db8:2::12]:5060" == where


def test_short_and_folded_headers_are_read(net):
    """
    As RFC 3261 allows: short names, several values in one line, a line in two, any case.
    """
    text = (
        "MESSAGE sip:bob@example.net SIP/2.0\r\n"
        "v: SIP / 2.0 / UDP here.example.net:5070 ; branch=x,\r\n SIP/2.0/TCP there.example.org\r\n"
        'F: "A, \\"B\\" <c>" <sip:alice@example.net>;tag=1\r\n'
        "t: sip:bob@example.net\r\ni: 1\r\nCSEQ: 7   MESSAGE\r\nl: 2\r\n\r\nhithere"
    )
    _, got = net.one(text.encode())

    head = lines(got)
    assert f"SIP / 2.0 / UDP here.example.net:5070;branch=x;received={ALICE}" in values(got, "Via")
    assert "Via: SIP/2.0/TCP there.example.org" in head
    assert 'From: "A, \\"B\\" <c>" <sip:alice@example.net>;tag=1' in head
    assert "Max-Forwards: 69" in head
    assert got.endswith(b"\r\n\r\nhi")
    where, _ = net.one(net.bob.answer(got), BOB)
    assert f"{ALICE}:5070" == where
