"""
The telephone: SIP messages as a user agent writes them, for tests of the proxy.

It knows nothing of the proxy's own parser: messages are text here.
"""

from __future__ import annotations

import itertools
import re

_numbers = itertools.count(1)


class Telephone:
    """A user agent with a name, at an address and a port; it only makes and reads text."""

    def __init__(self, user, host, port=5060, domain="example.net"):
        self.user, self.domain = user, domain
        self.where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.aor = f"sip:{user}@{domain}"
        self.contact = f"<sip:{user}@{self.where}>"
        self.call = f"call-{next(_numbers)}@{user}"

    def request(  # noqa: PLR0913 - what a request is made of
        self, method, uri, to=None, sequence=1, *, branch=None, headers=(), body=""
    ):
        """A request; *headers*: lines beside those that all have."""
        branch = branch or f"z9hG4bK-{self.user}-{next(_numbers)}"
        return written(
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.where};branch={branch};rport",
            *([] if any(line.startswith("Max-Forwards") for line in headers) else [HOPS]),
            f"From: <{self.aor}>;tag=from-{self.user}",
            f"To: {to or f'<{uri}>'}",
            f"Call-ID: {self.call}",
            f"CSeq: {sequence} {method}",
            *headers,
            body=body,
        )

    def register(self, expires=3600, sequence=1, contact=None):
        """A REGISTER."""
        headers = [f"Contact: {contact or self.contact}", f"Expires: {expires}"]
        return self.request(
            "REGISTER", f"sip:{self.domain}", f"<{self.aor}>", sequence, headers=headers
        )

    def answer(self, request, line="200 OK", headers=()):
        """An answer to a request that came: what it says is copied, in its order."""
        kept = [
            row if not row.startswith("To:") or ";tag=" in row else f"{row};tag=to-{self.user}"
            for row in lines(request)[1:]
            if row.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq", "Record-Route")
        ]
        return written(f"SIP/2.0 {line}", *kept, *headers)


HOPS = "Max-Forwards: 70"


def written(*rows, body=""):
    """A message as bytes."""
    length = f"Content-Length: {len(body.encode())}"
    return ("\r\n".join([*rows, length, "", ""]) + body).encode()


def lines(message):
    """The lines of a message's head."""
    return message.decode().partition("\r\n\r\n")[0].split("\r\n")


def values(message, name):
    """The values of a header, each in its own line."""
    found = [re.fullmatch(rf"{name}: (.*)", line, re.IGNORECASE) for line in lines(message)]
    return [one[1] for one in found if one]


def value(message, name):
    """The value of a header that there is once."""
    (found,) = values(message, name)
    return found


def status(message):
    """The number in a response's first line."""
    return int(re.fullmatch(r"SIP/2\.0 ([0-9]{3}) .+", lines(message)[0])[1])


def in_dialog(answer):
    """What follows an answer needs: URI of the other end, headers for the way, and To."""
    uri = re.search(r"<([^>]*)>", value(answer, "Contact"))[1]
    routes = [f"Route: {route}" for route in reversed(values(answer, "Record-Route"))]
    return uri, routes, value(answer, "To")
