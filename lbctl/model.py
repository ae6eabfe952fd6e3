"""
The model: what a user wants of the switch, as values that cannot change and do no I/O.

One form serves the command line, the HTTP API, the YAML file and the database.  Addresses are
written as people write them: ``203.0.113.10:80/tcp``, ``[2001:db8::1]:80/tcp``, ``10.0.1.11:8080``.
"""

from __future__ import annotations

import re
from collections import Counter
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, NamedTuple, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

IPAddress = IPv4Address | IPv6Address
ANY_PORT = 0  # a VIP's `*`: every port of the address
DEFAULT_TABLE_SIZE = 65537  # slots of a Maglev lookup table; a prime
NAME = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62})$"


class Protocol(StrEnum):
    """Transport protocols that a VIP can have."""

    TCP = "tcp"
    UDP = "udp"


class Forward(StrEnum):
    """How a packet is rewritten for its back-end."""

    NAT = "nat"  # MAC, address and port; the reply comes back through the switch
    DSR = "dsr"  # MAC only; the reply goes straight to the client


class Scheduler(StrEnum):
    """How the slots of a service are dealt to its back-ends."""

    MAGLEV = "maglev"
    RR = "rr"
    WRR = "wrr"


class OnUnknown(StrEnum):
    """What becomes of a packet for a service that has no connection and starts none."""

    RESET = "reset"
    DROP = "drop"
    HASH = "hash"


class Mode(StrEnum):
    """How the program sits on a NIC."""

    AUTO = "auto"
    NATIVE = "native"
    GENERIC = "generic"


class State(StrEnum):
    """Life of a back-end."""

    ACTIVE = "active"
    DRAINING = "draining"
    DOWN = "down"


def _split_host(text: str) -> tuple[IPAddress, str]:
    """Split ``ADDR:PORT`` into address and port text; IPv6 stands in brackets."""
    match = re.fullmatch(r"\[([^\]]+)\]:([^:]*)|([^:\[\]]+):([^:]*)", text)
    if not match:
        hint = "; write an IPv6 address in brackets" if text.count(":") > 1 else ""
        raise ValueError(f"{text!r} is not ADDRESS:PORT{hint}")
    host, port = match[1] or match[3], match[2] if match[1] else match[4]
    try:
        address = ip_address(host)
    except ValueError:
        raise ValueError(f"{host!r} is not an IP address") from None
    if isinstance(address, IPv6Address):
        if address.scope_id or address.is_link_local:
            raise ValueError(f"{host}: a link-local address cannot be balanced; use a routable one")
        if address.ipv4_mapped:
            raise ValueError(f"{host}: write the IPv4 address {address.ipv4_mapped} itself")
    elif bool(match[1]):
        raise ValueError(f"{host}: brackets are for IPv6 addresses")
    if address.is_multicast or address.is_unspecified or address.is_loopback:
        raise ValueError(f"{host}: not a unicast address that a packet can be sent to")
    if str(address) == "255.255.255.255":
        raise ValueError(f"{host}: not a unicast address that a packet can be sent to")
    return address, port


def _port(text: str, whole: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError(f"{whole!r}: the port must be 1 to 65535, not {text!r}")
    return int(text)


def _host_text(address: IPAddress) -> str:
    return f"[{address}]" if address.version == 6 else str(address)


class SocketAddress(NamedTuple):
    """Address and port of a server: ``10.0.1.11:8080``."""

    address: IPAddress
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``ADDR:PORT``.  Raises ValueError with one line that says what is wrong."""
        address, port = _split_host(text)
        return cls(address, _port(port, text))

    def __str__(self) -> str:
        return f"{_host_text(self.address)}:{self.port}"


class Vip(NamedTuple):
    """What a client connects to: ``203.0.113.10:80/tcp``; port 0 stands for ``*``."""

    address: IPAddress
    port: int
    protocol: Protocol

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``ADDR:PORT/PROTO``.  Raises ValueError with one line that says what is wrong."""
        host, slash, proto = text.rpartition("/")
        if not slash:
            raise ValueError(f"{text!r} is not ADDRESS:PORT/PROTOCOL; add /tcp or /udp")
        if proto not in tuple(Protocol):
            raise ValueError(f"{text!r}: the protocol must be tcp or udp, not {proto!r}")
        address, port = _split_host(host)
        number = ANY_PORT if port == "*" else _port(port, text)
        return cls(address, number, Protocol(proto))

    def __str__(self) -> str:
        port = "*" if self.port == ANY_PORT else self.port
        return f"{_host_text(self.address)}:{port}/{self.protocol}"


VipText = Annotated[
    Vip,
    BeforeValidator(lambda value: Vip.parse(value) if isinstance(value, str) else value),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["203.0.113.10:80/tcp"]}),
]
SocketAddressText = Annotated[
    SocketAddress,
    BeforeValidator(lambda value: SocketAddress.parse(value) if isinstance(value, str) else value),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["10.0.1.11:8080"]}),
]


class Model(BaseModel):
    """Base of all values: frozen, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=False)


class Backend(Model):
    """One server behind a pool."""

    address: SocketAddressText
    weight: int = Field(default=1, ge=0, le=65535)
    state: State = State.ACTIVE  # as the administrator wants it


class Pool(Model):
    """The VIPs of a service, the back-ends behind them, and how packets get there."""

    name: str = Field(pattern=NAME)
    vips: tuple[VipText, ...] = ()
    forward: Forward = Forward.NAT
    scheduler: Scheduler = Scheduler.MAGLEV
    on_unknown: OnUnknown = OnUnknown.RESET
    table_size: int = Field(default=DEFAULT_TABLE_SIZE, ge=1, le=1_048_573)
    backends: tuple[Backend, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        addresses = [backend.address for backend in self.backends]
        if twice := {str(a) for a, count in Counter(addresses).items() if count > 1}:
            raise ValueError(f"pool {self.name!r}: back-end {min(twice)} is named twice")
        if twice := {str(v) for v, count in Counter(self.vips).items() if count > 1}:
            raise ValueError(f"pool {self.name!r}: VIP {min(twice)} is named twice")
        families = {vip.address.version for vip in self.vips}
        families |= {address.address.version for address in addresses}
        if len(families) > 1:
            raise ValueError(
                f"pool {self.name!r}: VIPs and back-ends must be of one address family; "
                f"make one pool for IPv4 and one for IPv6"
            )
        if self.forward is Forward.DSR:
            ports = {v.port for v in self.vips} - {ANY_PORT}
            for address in addresses:
                if ports and ports != {address.port}:
                    raise ValueError(
                        f"pool {self.name!r}: dsr cannot change the port; back-end {address} "
                        f"must listen on {min(ports - {address.port})}"
                    )
        return self


class Nic(Model):
    """A NIC that a switching processor serves."""

    name: str = Field(min_length=1, max_length=15)
    mode: Mode = Mode.AUTO


class Timeouts(Model):
    """Seconds without a packet after which a connection is forgotten, by state."""

    half_open: int = Field(default=10, ge=2, le=3600)
    established: int = Field(default=3600, ge=2, le=43200)
    closing: int = Field(default=120, ge=2, le=43200)
    closed: int = Field(default=10, ge=2, le=3600)
    udp: int = Field(default=60, ge=2, le=43200)


class Settings(Model):
    """What holds for the whole switch."""

    timeouts: Timeouts = Timeouts()


class Configuration(Model):
    """Everything a user wants: one generation."""

    version: int = Field(default=1, ge=1, le=1)
    nics: tuple[Nic, ...] = ()
    pools: tuple[Pool, ...] = ()
    settings: Settings = Settings()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [pool.name for pool in self.pools]
        if twice := {n for n in names if names.count(n) > 1}:
            raise ValueError(f"pool {min(twice)!r} is named twice")
        nics = [nic.name for nic in self.nics]
        if twice := {n for n in nics if nics.count(n) > 1}:
            raise ValueError(f"NIC {min(twice)!r} is named twice")
        owner: dict[Vip, str] = {}
        for pool in self.pools:
            for vip in pool.vips:
                other = owner.setdefault(vip, pool.name)
                if other != pool.name:
                    raise ValueError(f"VIP {vip} is in pool {other!r} and in pool {pool.name!r}")
        return self

    def pool(self, name: str) -> Pool | None:
        """The pool of that name, or None."""
        return next((pool for pool in self.pools if pool.name == name), None)
