"""
The responder: make the answer to a query's bytes (RFC 1035 section 4, RFC 6891).

It answers queries and nothing else: what is an answer itself, or has no whole header, is passed
over in silence.  Answers are remembered as bytes; one that is known costs a look into a table.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass

from examples.dns.zone import Outcome

if TYPE_CHECKING:
    from dns.message import Message
    from dns.rcode import Rcode

    from examples.dns.zone import Zone

HEADER = 12  # bytes
LARGEST = 1232  # of an answer: it is never fragmented (DNS flag day 2020)
SMALLEST = 512  # what whoever does not speak EDNS can take
REMEMBERED = 65536  # answers
_OPT = b"\0\0\x29"  # the root's name, and the type of an OPT record
_RCODES = {Outcome.NO_SUCH_NAME: dns.rcode.NXDOMAIN, Outcome.OUTSIDE: dns.rcode.REFUSED}


class Responder:
    """Answers queries about one zone."""

    def __init__(self, zone: Zone, remembered: int = REMEMBERED) -> None:
        self._zone = zone
        self._known = lru_cache(remembered)(self._make)

    def answer(self, query: bytes) -> bytes:
        """Answer a query; no bytes: it is to be left without an answer."""
        answer = self._known(essence(query)) if len(query) >= HEADER else b""
        return query[:2] + answer[2:] if answer else b""

    def _make(self, query: bytes) -> bytes:
        """Make an answer, from a query whose number is 0."""
        if query[2] & 0x80:
            return b""
        try:
            asked = dns.message.from_wire(query)
        except Exception:  # noqa: BLE001 - whatever a stranger's bytes do to the library
            return _complaint(query, dns.rcode.FORMERR)
        if asked.opcode() != dns.opcode.QUERY:
            return _complaint(query, dns.rcode.NOTIMP)
        if len(asked.question) != 1 or asked.answer or asked.authority or asked.had_tsig:
            return _complaint(query, dns.rcode.FORMERR)
        answer = dns.message.make_response(asked, our_payload=LARGEST)
        if asked.edns > 0:
            answer.use_edns(0, payload=LARGEST)
            answer.set_rcode(dns.rcode.BADVERS)
        else:
            self._fill(answer)
        room = min(max(asked.payload, SMALLEST), LARGEST)
        return answer.to_wire(max_size=room, prefer_truncation=True)

    def _fill(self, answer: Message) -> None:
        (question,) = answer.question
        if question.rdclass not in (dns.rdataclass.IN, dns.rdataclass.ANY):
            answer.set_rcode(dns.rcode.REFUSED)
            return
        found = self._zone.find(question.name, question.rdtype)
        answer.set_rcode(_RCODES.get(found.outcome, dns.rcode.NOERROR))
        if found.answer or found.outcome not in (Outcome.DELEGATED, Outcome.OUTSIDE):
            answer.flags |= dns.flags.AA
        answer.answer.extend(found.answer)
        answer.authority.extend(found.authority)
        answer.additional.extend(found.additional)


def essence(query: bytes) -> bytes:
    """
    Take out of a query what does not matter to its answer: its number, and options of EDNS.

    Clients send a cookie of their own with each.  What is not as usual stays as it is.
    """
    end = HEADER
    while end < len(query) and 0 < query[end] < 64:
        end += query[end] + 1
    end += 5  # the last label, type and class
    bare = b"\0\0" + query[2:end]
    if query[4:HEADER] == b"\0\1\0\0\0\0\0\0" and len(query) == end:
        return bare
    options = len(query) - end - 11
    plain = query[4:HEADER] == b"\0\1\0\0\0\0\0\1" and query[end : end + 3] == _OPT
    if plain and options >= 0 and query[end + 9 : end + 11] == struct.pack("!H", options):
        return bare + query[end : end + 9] + b"\0\0"
    return b"\0\0" + query[2:]


def _complaint(query: bytes, rcode: Rcode) -> bytes:
    """An answer that has a header and nothing else: to a query that cannot be read."""
    kept = struct.unpack("!H", query[2:4])[0] & 0x7900  # opcode, and that recursion is desired
    return struct.pack("!6H", 0, dns.flags.QR | kept | rcode, 0, 0, 0, 0)
