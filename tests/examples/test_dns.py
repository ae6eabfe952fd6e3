"""The DNS responder: what dnspython reads in its answers, as bytes and as packets."""

from __future__ import annotations

from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

import examples.dns
from examples.dns.__main__ import step
from examples.dns.responder import Responder, essence
from examples.dns.zone import Zone
from lbctl.errors import UsageError
from lbctl.netif import testing

FILE = Path(examples.dns.__file__).parent / "example.net.zone"
RESPONDER = Responder(Zone(FILE))
MACS = {"src": "02:00:00:00:00:aa", "dst": "02:00:00:00:00:01"}
SOA = "SOA ns1.example.net. hostmaster.example.net. 2026010100 7200 900 1209600 300"
NEGATIVE = f"example.net. 300 IN {SOA}"


def query(name, kind="A", **options):
    """A question, as bytes."""
    return dns.message.make_query(name, kind, **options).to_wire()


def asked(name, kind="A", **options):
    """The answer to a question, read; it must fit the question."""
    question = dns.message.make_query(name, kind, **options)
    answer = dns.message.from_wire(RESPONDER.answer(question.to_wire()))
    assert question.is_response(answer)
    return answer


def rows(section):
    """The records of a section as text."""
    return [line for rrset in section for line in rrset.to_text().splitlines()]


def answers(name, kind="A"):
    """The records of an answer that must be there, with authority."""
    answer = asked(name, kind)
    assert (dns.rcode.NOERROR, True) == (answer.rcode(), bool(answer.flags & dns.flags.AA))
    assert [] == answer.authority
    found = [line.split(maxsplit=3)[3] for line in rows(answer.answer)]
    return sorted(found) if kind == "NS" else found


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("example.net", "A", ["A 203.0.113.80"]),
        ("EXAMPLE.net", "AAAA", ["AAAA 2001:db8:f::80"]),
        ("example.net", "NS", ["NS ns1.example.net.", "NS ns2.example.net."]),
        ("example.net", "SOA", [SOA]),
        ("example.net", "MX", ["MX 10 mail.example.net."]),
        ("text.example.net", "TXT", ['TXT "one screen of" "text"']),
        ("_sip._udp.example.net", "SRV", ["SRV 0 0 5060 sip.example.net."]),
        ("anything.hosting.example.net", "A", ["A 203.0.113.81"]),
        (
            "www.example.net",
            "A",
            ["CNAME web.example.net.", "CNAME example.net.", "A 203.0.113.80"],
        ),
        ("docs.example.net", "A", ["CNAME www.example.org."]),
        ("www.example.net", "CNAME", ["CNAME web.example.net."]),
        ("loop.example.net", "A", ["CNAME pool.example.net.", "CNAME loop.example.net."]),
        ("mail.example.net", "ANY", ["A 203.0.113.25"]),
    ],
)
def test_records_are_found(name, kind, expected):
    """
    Of every type, through aliases as far as they stay in the zone, and by a wildcard.
    """
    assert expected == answers(name, kind)
    assert len(expected) == RESPONDER.answer(query(name, kind))[7]


@pytest.mark.parametrize(
    ("name", "rcode"),
    [
        ("nobody.example.net", dns.rcode.NXDOMAIN),
        ("a.b.mail.example.net", dns.rcode.NXDOMAIN),
        ("_udp.example.net", dns.rcode.NOERROR),  # nothing there, but something below
        ("hosting.example.net", dns.rcode.NOERROR),
        ("text.example.net", dns.rcode.NOERROR),  # nothing of this type
    ],
)
def test_what_is_not_there_is_proved_by_the_soa(name, rcode):
    """
    With the time for which it may be remembered.
    """
    answer = asked(name)

    assert (rcode, [], [NEGATIVE]) == (answer.rcode(), answer.answer, rows(answer.authority))
    assert answer.flags & dns.flags.AA


def test_an_alias_of_nothing_is_no_such_name(tmp_path):
    """
    The chain comes with it (RFC 6604).
    """
    (tmp_path / "zone").write_text(FILE.read_text() + "dead IN CNAME nobody\n")
    responder = Responder(Zone(tmp_path / "zone"))
    answer = dns.message.from_wire(responder.answer(query("dead.example.net")))

    assert dns.rcode.NXDOMAIN == answer.rcode()
    assert ["dead.example.net. 3600 IN CNAME nobody.example.net."] == rows(answer.answer)


def test_an_alias_to_what_is_delegated_is_an_answer(tmp_path):
    """
    The alias with authority, and the referral beside it.
    """
    (tmp_path / "zone").write_text(FILE.read_text() + "away IN CNAME host.part\n")
    responder = Responder(Zone(tmp_path / "zone"))
    answer = dns.message.from_wire(responder.answer(query("away.example.net")))

    assert ["away.example.net. 3600 IN CNAME host.part.example.net."] == rows(answer.answer)
    assert ["part.example.net. 3600 IN NS ns1.part.example.net."] == rows(answer.authority)
    assert answer.flags & dns.flags.AA


def test_what_is_delegated_is_referred():
    """
    Without authority, and with the addresses that the zone has.
    """
    for name in ("host.part.example.net", "part.example.net", "ns1.part.example.net"):
        answer = asked(name)
        assert [] == answer.answer
        assert ["part.example.net. 3600 IN NS ns1.part.example.net."] == rows(answer.authority)
        assert ["ns1.part.example.net. 3600 IN A 198.51.100.54"] == rows(answer.additional)
        assert not answer.flags & dns.flags.AA
    # keys of a zone are its parent's to tell (RFC 4035 section 3.1.4.1)
    assert [NEGATIVE] == rows(asked("part.example.net", "DS").authority)


@pytest.mark.parametrize("name", ["example.org", "net", ".", "notexample.net"])
def test_what_is_outside_is_refused(name):
    """
    Without a word more.
    """
    answer = asked(name)

    assert dns.rcode.REFUSED == answer.rcode()
    assert not rows(answer.answer + answer.authority + answer.additional)


@pytest.mark.parametrize(
    ("name", "options", "records", "most"),
    [
        ("large", {}, 0, 512),
        ("large", {"use_edns": 0, "payload": 4096}, 0, 1232),
        ("middle", {}, 0, 512),
        ("middle", {"use_edns": 0, "payload": 100}, 0, 512),
        ("middle", {"use_edns": 0, "payload": 1232}, 3, 1232),
    ],
)
def test_what_does_not_fit_is_cut(name, options, records, most):
    """
    By what the client said that it takes, and never more than one packet.
    """
    data = RESPONDER.answer(query(f"{name}.example.net", "TXT", **options))
    answer = dns.message.from_wire(data)

    assert len(data) <= most
    assert ("payload" in options) == (answer.edns == 0)
    assert (records, not records) == (
        len(rows(answer.answer)),
        bool(answer.flags & dns.flags.TC),
    )


def test_edns_of_a_later_version_is_answered_by_ours():
    """
    BADVERS, and no records.
    """
    answer = asked("example.net", use_edns=1)

    assert (dns.rcode.BADVERS, 0, []) == (answer.rcode(), answer.edns, answer.answer)


def test_other_operations_are_not_implemented():
    """
    An update, a notification, another class.
    """
    for opcode in (dns.opcode.NOTIFY, dns.opcode.UPDATE, dns.opcode.STATUS):
        question = dns.message.make_query("example.net", "SOA")
        question.set_opcode(opcode)
        answer = dns.message.from_wire(RESPONDER.answer(question.to_wire()), ignore_trailing=True)
        assert (question.id, dns.rcode.NOTIMP) == (answer.id, answer.rcode())
    assert dns.rcode.REFUSED == asked("example.net", rdclass="CH").rcode()
    question = dns.message.make_query("example.net", "A")
    question.answer.append(dns.rrset.from_text("example.net.", 1, "IN", "A", "192.0.2.1"))
    answer = dns.message.from_wire(RESPONDER.answer(question.to_wire()))
    assert dns.rcode.FORMERR == answer.rcode()


def test_an_answer_is_never_answered():
    """
    Nor is what has no whole header: two servers would talk for ever.
    """
    answer = RESPONDER.answer(query("example.net"))

    assert b"" == RESPONDER.answer(answer)
    assert b"" == RESPONDER.answer(b"\0" * 11)


def test_cookies_do_not_fill_the_memory():
    """
    The same question with another number and other options is known; with another size it is not.
    """
    responder = Responder(Zone(FILE))
    for number in range(5):
        cookie = dns.edns.GenericOption(10, bytes([number] * 8))
        question = dns.message.make_query("example.net", "A", use_edns=0, options=[cookie])
        answer = dns.message.from_wire(responder.answer(question.to_wire()))
        assert question.is_response(answer)
        assert ["example.net. 3600 IN A 203.0.113.80"] == rows(answer.answer)
    responder.answer(query("example.net", use_edns=0, payload=600))
    responder.answer(query("example.net"))

    assert (4, 3) == responder._known.cache_info()[:2]


@settings(max_examples=300)
@given(st.binary(max_size=80), st.sampled_from([b"", query("example.net", use_edns=0)]), st.data())
def test_garbage_gets_an_error_or_nothing(noise, start, data):
    """
    It never raises; what it says is a DNS message with the number of the question.
    """
    at = data.draw(st.integers(0, len(start)))
    question = start[:at] + noise + start[at + len(noise) :]
    answer = RESPONDER.answer(question)

    assert essence(question)[2:] == essence(essence(question))[2:]
    if len(question) < 12 or question[2] & 0x80:
        assert b"" == answer
    else:
        read = dns.message.from_wire(answer, raise_on_truncation=False)
        assert question[:2] == answer[:2]
        assert read.flags & dns.flags.QR
        assert len(answer) <= 1232


def frame(family, data, port=40000):
    """A packet with a question."""
    network = (
        IP(src="198.51.100.11", dst="203.0.113.53")
        if family == 4
        else IPv6(src="2001:db8:1::11", dst="2001:db8:f::53")
    )
    return bytes(Ether(**MACS) / network / UDP(sport=port, dport=53) / Raw(data))


def test_packets_are_answered_in_batches():
    """
    Both families, short and long answers; lengths and checksums are right, as scapy sees it.
    """
    names = [("example.net", "A"), ("middle.example.net", "TXT"), ("nobody.example.net", "A")]
    questions = [query(*name, use_edns=0) for name in names]
    with testing.interface() as fake:
        (port,) = fake.ports
        fake.deliver(port, [frame(family, q) for q in questions for family in (4, 6)])
        assert 6 == step(fake, RESPONDER, timeout=0)
        sent = fake.sent(port)

    for family, packets in ((4, sent[:3]), (6, sent[3:])):
        for content, question in zip(packets, questions, strict=True):
            parsed = Ether(content)
            assert (MACS["src"], MACS["dst"], 53, 40000) == (
                *(parsed.dst, parsed.src),
                *(parsed[UDP].sport, parsed[UDP].dport),
            )
            assert RESPONDER.answer(question) == bytes(parsed[UDP].payload)
            network = {4: IP, 6: IPv6}[family]
            if family == 4:
                assert (0, "DF", 64) == (parsed[IP].id, parsed[IP].flags, parsed[IP].ttl)
            else:
                assert 64 == parsed[IPv6].hlim
            for layer in {network, UDP} - {IPv6}:
                del parsed[layer].chksum
            assert bytes(parsed) == content


def test_an_answer_that_is_too_long_for_the_nic_is_dropped():
    """
    What was asked beside it is answered.
    """
    questions = [
        frame(4, query(name, kind, use_edns=0))
        for name, kind in (("middle.example.net", "TXT"), ("mail.example.net", "A"))
    ]
    with testing.interface(mtu=576) as fake:
        (port,) = fake.ports
        fake.deliver(port, questions)
        assert 1 == step(fake, RESPONDER, timeout=0)


def test_damaged_packets_are_not_answered():
    """
    A wrong checksum, a length that lies, an answer, something else.
    """
    damaged = bytearray(frame(4, query("example.net")))
    damaged[-1] ^= 1
    lying = bytearray(frame(6, query("example.net")))
    lying[58:60] = b"\0\x09"
    beyond = bytearray(frame(4, query("example.net")))
    beyond[16:18] = b"\x04\0"
    with testing.interface() as fake:
        (port,) = fake.ports
        fake.deliver(port, [bytes(damaged), bytes(lying), bytes(beyond), b"\xff" * 60])
        fake.deliver(port, [frame(4, query("example.net"), port=0)])
        fake.deliver(port, [frame(4, RESPONDER.answer(query("example.net")))])
        assert 0 == step(fake, RESPONDER, timeout=0)
        fake.deliver(port, [frame(4, query("example.net"))])
        assert 1 == step(fake, RESPONDER, timeout=0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("www 60 IN A 203.0.113.80\n", "zone:"),
        ("$ORIGIN example.net.\nwww 60 IN A 203.0.113.80\n", "no SOA"),
        ("$ORIGIN example.net.\n\n\n\n\n@ 60 IN A nonsense\n", "zone:[67]: "),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path, text, complaint):
    """
    In one line that says where.
    """
    (tmp_path / "zone").write_text(text)

    with pytest.raises(UsageError, match=complaint) as refusal:
        Zone(tmp_path / "zone")
    assert "\n" not in str(refusal.value)
