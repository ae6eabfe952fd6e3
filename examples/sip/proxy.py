"""
The proxy: pass SIP requests on to who registered, and responses back by Via (RFC 3261, 16.11).

Stateless: it remembers registrations, and nothing of calls.  The branch that it puts into a Via is
a keyed hash of the hop before, so only responses to what went through it come back through it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

from examples.datagrams import Address, Datagram, Endpoint
from examples.sip import message as sip
from examples.sip.message import Message, Uri, Via
from examples.sip.registrar import Binding, Refusal, Registrar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

COOKIE = "z9hG4bK"  # begins every branch (section 8.1.1.7)
HOPS = 70  # that a request may take, unless it says so itself
LONGEST = 1452  # bytes of a message in a packet of 1500, behind an IPv6 header
PORT = 5060
ALLOWED = "REGISTER, OPTIONS, INVITE, ACK, CANCEL, BYE"
_DIALOGS = ("INVITE", "SUBSCRIBE", "REFER")  # what follows them has to come by here
_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    423: "Interval Too Brief",
    480: "Temporarily Unavailable",
    483: "Too Many Hops",
    500: "Server Internal Error",
    503: "Service Unavailable",
    513: "Message Too Large",
}


class Proxy:
    """A registrar and proxy; *domains*: what it is called, beside the addresses it is asked at."""

    def __init__(
        self,
        domains: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
        key: bytes | None = None,
    ) -> None:
        self.registrar = Registrar(clock)
        self._domains = {domain.lower() for domain in domains}
        self._key = key or secrets.token_bytes(32)

    def handle(self, came: Datagram) -> list[Datagram]:
        """Tell what to send for what came; nothing for what is not SIP."""
        message = sip.parse(came.data)
        via = Via.read(message.first("Via") or "") if message else None
        if message is None or via is None:
            return []
        if message.status:
            return self._response(message, via, came)
        return self._request(message, via, came)

    # -- responses ---------------------------------------------------------------------------------

    def _response(self, response: Message, via: Via, came: Datagram) -> list[Datagram]:
        """Take our Via off, and send it where the next one says, if we have put it there."""
        local = came.destination
        before = response.all("Via")[1:2]
        hop = Via.read(before[0]) if before else None
        if hop is None or not _is(via.host, via.port or PORT, local):
            return []
        if via.parameters.get("branch") != self._branch(hop, response):
            return []
        response.replace("Via")
        target = _address(hop.parameters.get("received", hop.host))
        if target is None or target.version != local.address.version:
            return []
        back = Endpoint(target, _reply_port(hop))
        data = response.encode()
        return [Datagram(local, back, data)] if len(data) <= LONGEST else []

    # -- requests ----------------------------------------------------------------------------------

    def _request(self, request: Message, via: Via, came: Datagram) -> list[Datagram]:
        hop = _stamped(via, came.source)
        if hop is None:
            return []
        request.replace("Via", hop.text)
        try:
            return self._decide(request, hop, came)
        except Refusal as refusal:
            return self._answer(request, hop, came, refusal.status, *refusal.headers)

    def _decide(self, request: Message, hop: Via, came: Datagram) -> list[Datagram]:
        """Answer a request that is for us, and pass on all others; raises Refusal."""
        uri, local = self._checked(request), came.destination
        routes = request.all("Route")
        if routes and self._leads_here(routes[0], local):
            routes.pop(0)
            request.replace("Route")
        if request.method == "ACK" and self._tag(hop, request) in (request.first("To") or ""):
            return []  # of an answer that we gave
        if not routes and self._is_ours(uri, local):
            if request.method == "REGISTER":
                bindings = self.registrar.register(request, came.source, local)
                contacts = [("Contact", self._contact(binding)) for binding in bindings]
                return self._answer(request, hop, came, 200, *contacts)
            if not uri.user:
                status = 200 if request.method == "OPTIONS" else 405
                return self._answer(request, hop, came, status, ("Allow", ALLOWED))
        if not self.registrar.knows(came.source.address):
            raise Refusal(403)
        target = self._target(request, uri, routes, local)
        return self._forward(request, hop, local, target)

    @staticmethod
    def _checked(request: Message) -> Uri:
        """The URI of a request that can be passed on (section 16.3)."""
        uri = Uri.read(request.uri)
        if not request.uri.lower().startswith("sip:"):
            raise Refusal(416)
        hops = request.first("Max-Forwards")
        if uri is None or not (hops is None or re.fullmatch("[0-9]{1,9}", hops)):
            raise Refusal(400)
        if hops is not None and not int(hops):
            raise Refusal(483)
        if wanted := request.all("Proxy-Require"):
            raise Refusal(420, ("Unsupported", ", ".join(wanted)))
        return uri

    def _target(self, request: Message, uri: Uri, routes: list[str], local: Endpoint) -> Binding:
        """Who is to get a request; rewrites its URI if it is for a user of ours."""
        if routes:
            route, _ = sip.address(routes[0])
            found = [self.registrar.at(route)] if route else []
        elif self._is_ours(uri, local):
            found = list(self.registrar.find(uri.user))
        else:
            found = [self.registrar.at(uri)]
        known = [binding for binding in found if binding]
        reachable = [binding for binding in known if binding.local == local]
        if not reachable:
            raise Refusal(480 if known else 404)
        if not routes and self._is_ours(uri, local):
            request.uri = reachable[-1].contact.text
            request.start = f"{request.method} {request.uri} SIP/2.0"
        return reachable[-1]

    def _forward(
        self, request: Message, hop: Via, local: Endpoint, target: Binding
    ) -> list[Datagram]:
        """Pass a request on (section 16.6)."""
        hops = request.first("Max-Forwards") or str(HOPS)
        request.replace("Max-Forwards", str(min(int(hops) - 1, 254)))
        _, to = sip.address(request.first("To") or "")
        if request.method in _DIALOGS and "tag" not in to:
            request.headers.insert(0, ("Record-Route", f"<sip:{local};lr>"))
        ours = f"SIP/2.0/UDP {local};branch={self._branch(hop, request)}"
        request.headers.insert(0, ("Via", ours))
        data = request.encode()
        if len(data) > LONGEST:
            del request.headers[0]
            raise Refusal(513)
        return [Datagram(local, target.source, data)]

    # -- answers of our own ------------------------------------------------------------------------

    def _answer(
        self, request: Message, hop: Via, came: Datagram, status: int, *headers: tuple[str, str]
    ) -> list[Datagram]:
        """Answer a request ourselves; an ACK never is (section 8.2.6)."""
        if request.method == "ACK":
            return []
        to = request.first("To") or ""
        if "tag" not in sip.address(to)[1]:
            to += f";tag={self._tag(hop, request)}"
        kept = [("Via", via) for via in request.all("Via")]
        kept += [(name, request.first(name) or "") for name in ("From", "Call-ID", "CSeq")]
        rows = [*kept, ("To", to), *headers, ("Content-Length", "0")]
        answer = Message(f"SIP/2.0 {status} {_REASONS[status]}", "", status=status, headers=rows)
        data = answer.encode()
        return [came.answer(data, _reply_port(hop))] if len(data) <= LONGEST else []

    def _contact(self, binding: Binding) -> str:
        return f"<{binding.contact.text}>;expires={self.registrar.seconds(binding)}"

    # -- who is who --------------------------------------------------------------------------------

    def _is_ours(self, uri: Uri, local: Endpoint) -> bool:
        """Whether a URI is of our domain."""
        return uri.host in self._domains or _is(uri.host, uri.port, local)

    def _leads_here(self, route: str, local: Endpoint) -> bool:
        uri, _ = sip.address(route)
        return uri is not None and _is(uri.host, uri.port, local)

    def _branch(self, hop: Via, message: Message) -> str:
        """The same for an INVITE, its CANCEL, its ACK and all responses (section 16.11)."""
        return COOKIE + self._hash(hop, message)

    def _tag(self, hop: Via, request: Message) -> str:
        """Of our own answers: the same for each time that a request comes."""
        return self._hash(hop, request, "tag")

    def _hash(self, hop: Via, message: Message, *more: str) -> str:
        known = (hop.parameters.get(name) for name in ("branch", "received", "rport"))
        parts = (hop.host, hop.port, *known, message.first("Call-ID"), message.sequence, *more)
        data = repr(parts).encode("utf-8", "surrogateescape")
        return hashlib.blake2s(data, key=self._key, digest_size=10).hexdigest()


def _stamped(via: Via, source: Endpoint) -> Via | None:
    """A Via with where it came from (section 18.2.1, RFC 3581)."""
    # what a sender claims to have been received from is its own invention
    parts = [p for p in sip.split(via.text, ";") if not p.lower().startswith(("received", "rport"))]
    wants_port = "rport" in via.parameters
    if wants_port:
        parts.append(f"rport={source.port}")
    if wants_port or _address(via.host) != source.address:
        parts.append(f"received={source.address}")
    return Via.read(";".join(parts))


def _reply_port(hop: Via) -> int:
    """Where a hop wants responses to come to (section 18.2.2, RFC 3581)."""
    port = hop.parameters.get("rport", "")
    return int(port) if port.isascii() and port.isdigit() else hop.port or PORT


def _address(host: str) -> Address | None:
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def _is(host: str, port: int, local: Endpoint) -> bool:
    """Whether a host and port, as text has them, are that endpoint."""
    return port == local.port and _address(host) == local.address
