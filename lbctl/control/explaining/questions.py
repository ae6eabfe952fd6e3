"""
The questions: which packet somebody asks about, in words; read, and refused where wrong.

Pure: knows nothing of the switch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import NamedTuple

from lbctl.control.explaining.headers import FLAGS
from lbctl.errors import UsageError
from lbctl.model import IPAddress

SOURCE_PORT = 50_000  # of a client whose port was not said
HEADERS = {"tcp": 20, "udp": 8, "icmp": 8}  # bytes
LONGEST = 3506  # bytes of an IP packet: the MTU that native XDP takes
SYN, ACK = FLAGS["SYN"], FLAGS["ACK"]


class Protocol(StrEnum):
    """What can be asked about; `icmp` is a ping."""

    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"


class IcmpError(StrEnum):
    """ICMP errors about a packet of a connection."""

    TOO_BIG = "too-big"
    UNREACHABLE = "unreachable"
    TIME_EXCEEDED = "time-exceeded"


class Place(NamedTuple):
    """An address with its port; None: none was said."""

    address: IPAddress
    port: int | None


@dataclass(frozen=True, slots=True)
class Question:
    """
    A packet to be tried.

    *flags*: of TCP; None: what suits.  *length*: bytes of the IP packet; None: headers alone.
    *error*: not the packet itself, but an ICMP error about its connection: from the source about
    what the destination has sent to it.
    """

    protocol: Protocol
    source: IPAddress
    source_port: int
    destination: IPAddress
    destination_port: int
    flags: int | None = None
    length: int | None = None
    ttl: int = 64
    error: IcmpError | None = None

    @property
    def least(self) -> int:
        """Bytes that its headers have."""
        return (20 if self.source.version == 4 else 40) + HEADERS[self.protocol]


def read_place(text: str, what: str) -> Place:
    """Read `ADDR`, `ADDR:PORT`, or `[ADDR]:PORT` for IPv6.  Raises UsageError."""
    match = re.fullmatch(r"\[([^\]]+)\](?::([0-9]{1,5}))?|([^:\[\]]+)(?::([0-9]{1,5}))?", text)
    host, port = (match[1] or match[3], match[2] or match[4]) if match else (text, None)
    try:
        address = ip_address(host)
    except ValueError:
        raise UsageError(
            f"{what}: {text!r} is not ADDRESS or ADDRESS:PORT, with IPv6 in brackets"
        ) from None
    if getattr(address, "scope_id", None) or getattr(address, "ipv4_mapped", None):
        raise UsageError(f"{what}: {text!r} is nothing that a packet has in its header")
    if port is not None and not 1 <= int(port) <= 65535:
        raise UsageError(f"{what}: {text!r}: the port must be 1 to 65535")
    return Place(address, int(port) if port else None)


def read_flags(text: str) -> int:
    """Read `SYN`, `SYN,ACK`, `none`, or letters as tcpdump has them, `SA`.  Raises UsageError."""
    words = [word for word in re.split(r"[,+|\s]+", text.upper()) if word and word != "NONE"]
    return sum({FLAGS[name] for word in words for name in _names(word)})


def _names(word: str) -> list[str]:
    """The flags that one word means."""
    letters = {name[0]: name for name in FLAGS}
    if word in FLAGS:
        return [word]
    if set(word) <= set(letters):
        return [letters[letter] for letter in word]
    known = ", ".join(FLAGS)
    raise UsageError(f"flags: {word!r} is none of {known}; write `SYN,ACK` or `none`")


def read_question(  # noqa: PLR0913 - each is a word that somebody typed
    protocol: Protocol,
    source: str,
    destination: str,
    *,
    flags: str | None = None,
    length: int | None = None,
    ttl: int = 64,
    error: IcmpError | None = None,
) -> Question:
    """Put the words together.  Raises UsageError where they contradict each other."""
    origin, target = read_place(source, "source"), read_place(destination, "destination")
    if origin.address.version != target.address.version:
        raise UsageError(f"{source} and {destination}: one is IPv4 and the other IPv6")
    if protocol is Protocol.ICMP:
        if origin.port or target.port or flags is not None or error:
            raise UsageError("icmp: a ping has no ports and no flags; write `icmp SRC DST`")
    elif target.port is None:
        raise UsageError(f"destination: {destination!r} has no port; write {destination}:PORT")
    if flags is not None and (protocol is not Protocol.TCP or error):
        raise UsageError("flags: only TCP packets have them")
    question = Question(
        protocol,
        origin.address,
        origin.port or SOURCE_PORT,
        target.address,
        target.port or 0,
        None if flags is None else read_flags(flags),
        length,
        ttl,
        error,
    )
    if length is not None and error:
        raise UsageError("length: an ICMP error has the one that it has")
    if length is not None and not question.least <= length <= LONGEST:
        raise UsageError(f"length: must be {question.least} to {LONGEST} bytes, not {length}")
    return question
