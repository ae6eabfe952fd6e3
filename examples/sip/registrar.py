"""
The registrar: remember who can be reached where (RFC 3261 section 10.3), until it expires.

A request is later sent to where the REGISTER came from, never to what a contact claims: nobody has
another one called.  It keeps no passwords; see README.md.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from examples.datagrams import Endpoint
from examples.sip import message as sip
from examples.sip.message import Uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples.datagrams import Address
    from examples.sip.message import Message

DEFAULT, LEAST, MOST = 3600, 60, 7200  # seconds that a registration lasts
MOST_CONTACTS = 8  # of a user
MOST_BINDINGS = 100_000
_SWEEP = 60.0  # seconds between two looks at what has expired

Key = tuple[str, str, int]  # a contact's user, host and port


class Refusal(Exception):
    """A request is answered by this *status*, with these headers beside the usual."""

    def __init__(self, status: int, *headers: tuple[str, str]) -> None:
        super().__init__(status)
        self.status, self.headers = status, headers


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a user is: *contact* in its own words, *source* that it came from, *local* our VIP."""

    user: str
    contact: Uri
    source: Endpoint
    local: Endpoint
    call: str
    sequence: int
    expires: float

    @property
    def key(self) -> Key:
        """What a contact is told by from others."""
        return (self.contact.user, self.contact.host, self.contact.port)


class Registrar:
    """The bindings of all users."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of_user: dict[str, dict[Key, Binding]] = {}
        self._of_contact: dict[Key, Binding] = {}
        self._of_address: dict[Address, dict[tuple[str, Key], Binding]] = {}
        self._swept = clock()
        self.count = 0

    # -- asking ------------------------------------------------------------------------------------

    def find(self, user: str) -> list[Binding]:
        """The bindings of a user, the newest last."""
        return [one for one in self._of_user.get(user, {}).values() if self._live(one)]

    def knows(self, address: Address) -> bool:
        """Whether somebody registered from that address."""
        return any(map(self._live, self._of_address.get(address, {}).values()))

    def at(self, uri: Uri) -> Binding | None:
        """Who gave this as a contact, or registered from there."""
        known = self._of_contact.get((uri.user, uri.host, uri.port))
        if known and self._live(known):
            return known
        try:
            there = self._of_address.get(ip_address(uri.host), {})
        except ValueError:
            return None
        found = (one for one in there.values() if one.source.port == uri.port and self._live(one))
        return next(found, None)

    def seconds(self, binding: Binding) -> int:
        """How long a binding still lasts."""
        return max(round(binding.expires - self._clock()), 0)

    def _live(self, binding: Binding) -> bool:
        return binding.expires > self._clock()

    # -- changing ----------------------------------------------------------------------------------

    def register(self, request: Message, source: Endpoint, local: Endpoint) -> list[Binding]:
        """Do what a REGISTER says, all of it or nothing; returns the bindings of its user."""
        self._sweep()
        uri, _ = sip.address(request.first("To") or "")
        if uri is None or not uri.user:
            raise Refusal(404)
        if source.address == local.address:  # nobody is there but the proxy itself
            raise Refusal(403)
        contacts = request.all("Contact")
        wished = _seconds(request.first("Expires"), DEFAULT)
        if "*" in contacts:
            if contacts != ["*"] or wished:
                raise Refusal(400)
            chosen = [(one, 0) for one in self.find(uri.user)]
        else:
            wanted = [self._read(c, wished, request, uri.user, source, local) for c in contacts]
            chosen = list(wanted)
        self._admit(uri.user, request, chosen)
        for binding, lasts in chosen:
            self._remove(binding)
            if lasts:
                self._add(binding)
        return self.find(uri.user)

    def _read(  # noqa: PLR0913, PLR0917 - what a binding is made of
        self,
        contact: str,
        wished: int,
        request: Message,
        user: str,
        source: Endpoint,
        local: Endpoint,
    ) -> tuple[Binding, int]:
        """A contact as a binding, and how many seconds it is to last."""
        uri, parameters = sip.address(contact)
        lasts = _seconds(parameters.get("expires"), wished)
        if uri is None or uri.scheme != "sip":
            raise Refusal(400)
        if 0 < lasts < LEAST:
            raise Refusal(423, ("Min-Expires", str(LEAST)))
        call = request.first("Call-ID") or ""
        until = self._clock() + lasts
        return Binding(user, uri, source, local, call, request.sequence, until), lasts

    def _admit(self, user: str, request: Message, chosen: list[tuple[Binding, int]]) -> None:
        """Refuse what comes out of order, and more than there is room for."""
        known = self._of_user.get(user, {})
        for binding, _ in chosen:
            before = known.get(binding.key)
            late = before and before.call == request.first("Call-ID")
            if before and late and before.sequence > request.sequence:
                raise Refusal(500)
        more = {binding.key for binding, lasts in chosen if lasts} - set(known)
        if len(known) + len(more) > MOST_CONTACTS or self.count + len(more) > MOST_BINDINGS:
            raise Refusal(503, ("Retry-After", str(LEAST)))

    def _add(self, binding: Binding) -> None:
        self._of_user.setdefault(binding.user, {})[binding.key] = binding
        self._of_contact[binding.key] = binding
        there = self._of_address.setdefault(binding.source.address, {})
        there[binding.user, binding.key] = binding
        self.count += 1

    def _remove(self, binding: Binding) -> None:
        """Forget the binding of the same user and contact, if there is one."""
        of_user = self._of_user.get(binding.user, {})
        before = of_user.pop(binding.key, None)
        if before is None:
            return
        self.count -= 1
        if not of_user:
            del self._of_user[binding.user]
        if self._of_contact.get(before.key) is before:
            del self._of_contact[before.key]
        there = self._of_address[before.source.address]
        del there[before.user, before.key]
        if not there:
            del self._of_address[before.source.address]

    def _sweep(self) -> None:
        """Forget what has expired."""
        if self._clock() < self._swept + _SWEEP:
            return
        self._swept = self._clock()
        every = [one for known in self._of_user.values() for one in known.values()]
        for binding in every:
            if not self._live(binding):
                self._remove(binding)


def _seconds(text: str | None, default: int) -> int:
    """Read seconds; what is not a number is as if it were not there (section 20.19)."""
    return min(int(text), MOST) if text and re.fullmatch("[0-9]{1,10}", text) else default
