"""
The message: read and write SIP (RFC 3261 section 7), what a proxy needs of it and no more.

What it does not understand stays as it was.  It never raises: bytes that are no whole message, or
one without the headers that an answer is made of, are None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Self

_SHORT = {
    "c": "Content-Type",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "s": "Subject",
    "t": "To",
    "v": "Via",
}
# Spelt as RFC 3261 does, so that a header is found whatever case it came in.
_USUAL = {
    name.lower(): name
    for name in (
        *("Via", "From", "To", "Call-ID", "CSeq", "Contact", "Expires", "Max-Forwards"),
        *("Route", "Record-Route", "Proxy-Require", "Content-Length"),
    )
}
_LISTS = {"Via", "Route", "Record-Route", "Contact"}  # a header of several values is several
_ONCE = ("From", "To", "Call-ID", "CSeq")
_TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"  # noqa: S105 - not a secret
_HOST = r"\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.\-]{1,255}"
_REQUEST = re.compile(rf"({_TOKEN}) (\S+) SIP/2\.0", re.IGNORECASE)
_STATUS = re.compile(r"SIP/2\.0 ([1-6][0-9]{2}) .*", re.IGNORECASE)
_HEADER = re.compile(rf"({_TOKEN})[ \t]*:(.*)")
_FOLD = re.compile(r"\r\n[ \t]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SEQUENCE = re.compile(rf"([0-9]{{1,10}})[ \t]+({_TOKEN})")
_SLASH = r"[ \t]*/[ \t]*"
_VIA = re.compile(
    rf"SIP{_SLASH}2\.0{_SLASH}UDP[ \t]+({_HOST})(?:[ \t]*:[ \t]*([0-9]{{1,5}}))?[ \t]*(;.*)?",
    re.IGNORECASE,
)
_URI = re.compile(
    rf"([A-Za-z][A-Za-z0-9+.\-]*):(?:([^@\s<>\"]*)@)?({_HOST})(?::([0-9]{{1,5}}))?([;?][^\s<>\"]*)?"
)
_NAMED = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^"<>]*)<([^<>]*)>[ \t]*(;.*)?')


def split(text: str, mark: str) -> list[str]:
    """Split at a mark, "," or ";", that is not between quotes or in angle brackets."""
    parts, part = [], ""
    quoted = escaped = bracketed = False
    for character in text:
        if quoted:
            quoted = character != '"' or escaped
            escaped = character == "\\" and not escaped
        elif character == mark and not bracketed:
            parts.append(part.strip())
            part = ""
            continue
        elif character in "<>":
            bracketed = character == "<"
        else:
            quoted = character == '"'
        part += character
    return [*parts, part.strip()]


def parameters(text: str | None) -> dict[str, str]:
    """Read `;name=value;name`: names in lower case, of several the first."""
    found: dict[str, str] = {}
    for part in split(text or "", ";"):
        name, _, value = part.partition("=")
        if name.strip():
            found.setdefault(name.strip().lower(), value.strip())
    return found


def _port(text: str | None) -> int | None:
    return int(text) if text and 0 < int(text) < 65536 else None


@dataclass(frozen=True, slots=True)
class Via:
    """One hop that a request went by: its *host* and *port* in its own words."""

    text: str
    host: str
    port: int | None
    parameters: dict[str, str]

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read it; None if it is no hop by UDP."""
        found = _VIA.fullmatch(text)
        if found is None or (found[2] and _port(found[2]) is None):
            return None
        return cls(text, found[1].strip("[]").lower(), _port(found[2]), parameters(found[3]))


@dataclass(frozen=True, slots=True)
class Uri:
    """A SIP URI; *port*: 5060 unless it says another."""

    text: str
    scheme: str
    user: str
    host: str
    port: int

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read it; None if it is none."""
        found = _URI.fullmatch(text)
        if found is None or (found[4] and _port(found[4]) is None):
            return None
        user = (found[2] or "").partition(":")[0]
        port = _port(found[4]) or 5060
        return cls(text, found[1].lower(), user, found[3].strip("[]").lower(), port)


def address(value: str) -> tuple[Uri | None, dict[str, str]]:
    """Read the URI and the parameters of `"Name" <sip:user@host>;tag=1`, or without a name."""
    if found := _NAMED.fullmatch(value.strip()):
        return Uri.read(found[1].strip()), parameters(found[2])
    bare, _, rest = value.strip().partition(";")
    return Uri.read(bare.strip()), parameters(rest)


@dataclass(slots=True)
class Message:
    """
    A request, which has a *method* and a *uri*, or a response, which has a *status*.

    *headers*: names and values in their order; *sequence*: the number in CSeq.
    """

    start: str
    method: str
    uri: str = ""
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    sequence: int = 0

    def all(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for known, value in self.headers if known == name]

    def first(self, name: str) -> str | None:
        """The first value of a header, if there is one."""
        return next((value for known, value in self.headers if known == name), None)

    def replace(self, name: str, *values: str) -> None:
        """Put values in the place of a header's first, or before all; none: remove it."""
        place = next((at for at, (known, _) in enumerate(self.headers) if known == name), None)
        rows = [(name, value) for value in values]
        if place is None:
            self.headers[:0] = rows
        else:
            self.headers[place : place + 1] = rows

    def encode(self) -> bytes:
        """As bytes."""
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers), "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body


def parse(data: bytes) -> Message | None:
    """Read a message; None if it is none, or not whole."""
    head, end, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    lines = _FOLD.sub(" ", head.decode("utf-8", "surrogateescape")).split("\r\n")
    if not end or any(_CONTROL.search(line) for line in lines):
        return None
    headers = _headers(lines[1:])
    if headers is None:
        return None
    message = _started(lines[0])
    if message is None:
        return None
    message.headers = headers
    return message if _complete(message, body) else None


def _started(line: str) -> Message | None:
    """A message that has its first line."""
    if found := _REQUEST.fullmatch(line):
        return Message(line, found[1], found[2])
    if found := _STATUS.fullmatch(line):
        return Message(line, "", status=int(found[1]))
    return None


def _headers(lines: list[str]) -> list[tuple[str, str]] | None:
    headers = []
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None:
            return None
        name = _SHORT.get(found[1].lower(), found[1])
        name = _USUAL.get(name.lower(), name)
        values = split(found[2], ",") if name in _LISTS else [found[2].strip()]
        headers += [(name, value) for value in values]
    return headers


def _complete(message: Message, body: bytes) -> bool:
    """Whether all is there that every message has; takes the body, and the method of a response."""
    if any(len(message.all(name)) != 1 or not message.first(name) for name in _ONCE):
        return False
    found = _SEQUENCE.fullmatch(message.first("CSeq") or "")
    if found is None or int(found[1]) >= 1 << 31 or not message.first("Via"):
        return False
    if message.status:
        message.method = found[2]
    message.sequence = int(found[1])
    length = message.first("Content-Length")
    if length is None:
        message.body = body
    elif re.fullmatch("[0-9]{1,9}", length) and int(length) <= len(body):
        message.body = body[: int(length)]
    else:
        return False
    return message.method == found[2]
