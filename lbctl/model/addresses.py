"""The addresses: VIPs and servers, read and written as people write them."""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, NamedTuple, Self

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
ANY_PORT = 0  # a VIP's `*`: every port of the address


class Protocol(StrEnum):
    """Transport protocols that a VIP can have."""

    TCP = "tcp"
    UDP = "udp"


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


def _network(value: object) -> object:
    """Read a prefix: `198.51.100.0/24`, or one address."""
    if not isinstance(value, str):
        return value
    try:
        network = ip_network(value)
    except ValueError:
        try:
            strict = ip_network(value, strict=False)
        except ValueError:
            raise ValueError(f"{value!r} is not a prefix such as 198.51.100.0/24") from None
        raise ValueError(f"{value}: has host bits set; write {strict}") from None
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped:
        raise ValueError(f"{value}: write the IPv4 prefix itself")
    return network


PrefixText = Annotated[
    IPNetwork,
    BeforeValidator(_network),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["198.51.100.0/24"]}),
]
