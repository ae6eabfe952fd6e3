"""
The wire: declare the messages between a network application and the broker in lbctld.

A SOCK_SEQPACKET Unix socket, one JSON object a message, descriptors beside it by SCM_RIGHTS.  It
reads and writes such messages and refuses nonsense; it never opens a socket and decides nothing.

    {"want": "app", "name": "voip"}           {"app": {Grant}} + umem, status page, xsk of each port
    {"want": "bind", "name": "voip"} + same   {"bound": true}      only if the grant was not bound
    {"want": "resume", "name": "voip"} + same {"resumed": true}
    {"want": "route", "address": "10.0.0.1"}  {"route": {Route}}
    any failure                               {"error": "one line", "exit_code": 4}

Descriptors are always in that order: the UMEM, the status page, the socket of each port.  They are
the application's from then on; who passes them on closes its own, or the application's death is
not seen.
"""

from __future__ import annotations

import array
import json
import os
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from ipaddress import ip_address
from typing import Any, Self

from lbctl.errors import BY_EXIT_CODE, LbctlError

MAX_BYTES = 1 << 17  # of a message
MAX_PORTS = 250  # SCM_RIGHTS carries 253 descriptors
MAX_DESCRIPTORS = MAX_PORTS + 2
APP, BIND, RESUME, ROUTE = "app", "bind", "resume", "route"
_WANTS = (APP, BIND, RESUME, ROUTE)
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_MOST = (1 << 32) - 1

Message = dict[str, Any]


class BadMessage(LbctlError):
    """A message that the other side ought not to have sent; one line says why."""


class Ended(LbctlError):
    """The other side has closed the connection."""


@dataclass(frozen=True, slots=True)
class PortGrant:
    """
    One (NIC, queue) of an application, and the socket made for it.

    *mac*: the NIC's, as `02:00:00:00:00:01`; *mtu*: bytes of an IP packet; *rx*, *tx*, *fill*,
    *completion*: descriptors that the rings hold, powers of two; *multi_buffer*: packets larger
    than a frame come in several.
    """

    nic: str
    ifindex: int
    queue: int
    mac: str
    mtu: int
    rx: int
    tx: int
    fill: int
    completion: int
    zero_copy: bool = False
    need_wakeup: bool = True
    multi_buffer: bool = False

    def __post_init__(self) -> None:
        """Refuse what no port can be."""
        _need(1 <= len(self.nic) <= 15, f"nic {self.nic!r} is no name of a NIC")
        _need(bool(_MAC.fullmatch(self.mac)), f"mac {self.mac!r} is no MAC address")
        _need(0 <= self.queue <= 4095, f"queue {self.queue} is out of range")
        _need(68 <= self.mtu <= 65535, f"mtu {self.mtu} is out of range")
        for name in ("rx", "tx", "fill", "completion"):
            size = getattr(self, name)
            power = size & (size - 1) == 0
            _need(power and 2 <= size <= 1 << 20, f"{name} {size} is no power of two of a ring")


@dataclass(frozen=True, slots=True)
class Grant:
    """
    What an application was given: *frames* buffers of *frame_size* bytes, and its *ports*.

    *vips*: as text, what is sent to it.  *bound*: the sockets are bound.  If not, the application
    maps the rings first and asks for it: kernels before 6.4 map no fill and completion ring of a
    bound socket.
    """

    name: str
    vips: tuple[str, ...]
    frame_size: int
    frames: int
    ports: tuple[PortGrant, ...]
    bound: bool = True

    def __post_init__(self) -> None:
        """Refuse what no grant can be."""
        _need(bool(_NAME.fullmatch(self.name)), f"name {self.name!r} is no name of an application")
        _need(self.frame_size in (2048, 4096), f"frame_size {self.frame_size} is not 2048 or 4096")
        _need(1 <= self.frames <= 1 << 24, f"frames {self.frames} is out of range")
        _need(1 <= len(self.ports) <= MAX_PORTS, f"{len(self.ports)} ports")

    @property
    def descriptors(self) -> int:
        """How many descriptors come with it."""
        return 2 + len(self.ports)

    def expect(self, descriptors: Sequence[int]) -> None:
        """Refuse another number of descriptors than belongs to it."""
        _need(
            len(descriptors) == self.descriptors,
            f"{len(descriptors)} descriptors, where {self.descriptors} belong to it",
        )

    def encode(self) -> Message:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def decode(cls, data: object) -> Self:
        """Read it; BadMessage if it is none.  Unknown keys are ignored."""
        values = _known(cls, data)
        ports, vips = values.get("ports"), values.get("vips")
        if not isinstance(ports, list) or not isinstance(vips, list):
            raise BadMessage("broker message: ports and vips are lists")
        _need(all(isinstance(vip, str) for vip in vips), "vips are text")
        made = tuple(PortGrant(**_typed(PortGrant, _known(PortGrant, port))) for port in ports)
        plain = {k: v for k, v in values.items() if k not in ("ports", "vips")}
        return cls(**_typed(cls, plain), ports=made, vips=tuple(vips))


@dataclass(frozen=True, slots=True)
class Route:
    """
    How to get to an address: by which NIC, from and to which MAC, in packets up to *mtu* bytes.

    *queue*: of the application's port to send by, if it has one there.
    """

    nic: str
    destination_mac: str
    source_mac: str
    mtu: int
    queue: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no route can be."""
        for mac in (self.destination_mac, self.source_mac):
            _need(bool(_MAC.fullmatch(mac)), f"{mac!r} is no MAC address")
        _need(68 <= self.mtu <= 65535, f"mtu {self.mtu} is out of range")

    def encode(self) -> Message:
        """As JSON has it; no queue if there is none."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def decode(cls, data: object) -> Self:
        """Read it; BadMessage if it is none."""
        return cls(**_typed(cls, _known(cls, data)))


@dataclass(frozen=True, slots=True)
class Request:
    """What an application wants: APP, BIND and RESUME with a *name*, ROUTE with an *address*."""

    want: str
    name: str = ""
    address: str = ""

    def encode(self) -> Message:
        """As JSON has it."""
        return {key: value for key, value in asdict(self).items() if value}

    @classmethod
    def decode(cls, data: object) -> Self:
        """Read it; BadMessage if it is none."""
        request = cls(**_typed(cls, _known(cls, data)))
        _need(request.want in _WANTS, f"want {request.want!r} is not one of {', '.join(_WANTS)}")
        if request.want != ROUTE:
            _need(bool(_NAME.fullmatch(request.name)), f"name {request.name!r} is no name")
            return request
        try:
            ip_address(request.address)
        except ValueError:
            raise BadMessage(f"address {request.address!r} is no IP address") from None
        return request


def failure(error: LbctlError) -> Message:
    """The answer that says why not."""
    return {"error": str(error), "exit_code": error.exit_code}


def answer(message: Message, key: str) -> Any:  # noqa: ANN401 - JSON
    """The value under *key* of an answer; raises the error that it tells instead."""
    if "error" in message:
        code = message.get("exit_code")
        kind = BY_EXIT_CODE.get(code, LbctlError) if isinstance(code, int) else LbctlError
        raise kind(str(message["error"]))
    _need(key in message, f"no {key!r} in the answer")
    return message[key]


def send(plug: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send one message with its descriptors; they stay open here."""
    data = json.dumps(message, separators=(",", ":")).encode()
    _need(len(data) <= MAX_BYTES, f"{len(data)} bytes, more than {MAX_BYTES}")
    rights = array.array("i", descriptors)
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else []
    plug.sendmsg([data], ancillary, socket.MSG_NOSIGNAL)


def receive(plug: socket.socket) -> tuple[Message, list[int]]:
    """
    Receive one message, and the descriptors beside it, which are the caller's to close.

    Raises Ended, BadMessage (nothing stays open then), or OSError as the socket does.
    """
    size = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)
    data, ancillary, flags, _ = plug.recvmsg(MAX_BYTES + 1, size, socket.MSG_CMSG_CLOEXEC)
    descriptors = list(_descriptors(ancillary))
    if not data and not descriptors:
        raise Ended("the other side has closed the connection")
    try:
        _need(not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC), "a message is too long")
        return _object(data), descriptors
    except BaseException:
        close(descriptors)
        raise


def close(descriptors: Iterable[int]) -> None:
    """Close them all."""
    for descriptor in descriptors:
        os.close(descriptor)


def _descriptors(ancillary: Iterable[tuple[int, int, bytes]]) -> Iterable[int]:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found = array.array("i")
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
            yield from found


def _object(data: bytes) -> Message:
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        raise BadMessage("a message is not JSON") from None
    _need(isinstance(message, dict), "a message is not a JSON object")
    return dict(message)


def _need(condition: bool, complaint: str) -> None:  # noqa: FBT001 - reads like an assertion
    if not condition:
        raise BadMessage(f"broker message: {complaint}")


def _known(kind: type, data: object) -> Message:
    """Those keys of a JSON object that *kind* has."""
    if not isinstance(data, Mapping):
        raise BadMessage(f"broker message: a {kind.__name__} is a JSON object")
    names = {field.name for field in fields(kind)}
    return {key: value for key, value in data.items() if key in names}


def _typed(kind: type, values: Message) -> Message:
    """Check them against the annotations of *kind*: text, whole numbers, truth, or None."""
    forms = {field.name: str(field.type) for field in fields(kind)}
    needed = {f.name for f in fields(kind) if f.default is f.default_factory}
    for name in needed - {"ports", "vips"} - set(values):
        raise BadMessage(f"broker message: a {kind.__name__} has no {name!r}")
    for name, value in values.items():
        allowed = forms[name].split(" | ")
        _need(type(value).__name__.replace("NoneType", "None") in allowed, f"{name} is {value!r}")
        if isinstance(value, int):
            _need(0 <= value <= _MOST, f"{name} {value} is out of range")
    return values
