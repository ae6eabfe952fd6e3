"""The programs: what runs on the switch itself, behind a pseudo interface or at a NIC's buffers."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, ip_interface
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from lbctl.model.addresses import VipText
from lbctl.model.base import Model

APP_NAME = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62})$"
# Room is left for the end that the switch keeps, which has two characters more.
PSEUDO_NAME = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,12})$"


def _interface(value: object) -> object:
    """Read an address of an interface: `203.0.113.1/32`; without a length it is a host's."""
    if not isinstance(value, str):
        return value
    try:
        interface = ip_interface(value)
    except ValueError:
        raise ValueError(f"{value!r} is not an address such as 203.0.113.1/32") from None
    address = interface.ip
    if isinstance(address, IPv6Address) and (address.is_link_local or address.ipv4_mapped):
        raise ValueError(f"{value}: not an address that others can reach; use a routable one")
    if address.is_multicast or address.is_unspecified or address.is_loopback:
        raise ValueError(f"{value}: not a unicast address that a packet can be sent to")
    return interface


InterfaceText = Annotated[
    IPv4Interface | IPv6Interface,
    BeforeValidator(_interface),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["203.0.113.1/32"]}),
]


class Pseudo(Model):
    """
    A pseudo interface: what programs on the switch use like a NIC.

    Its addresses are control VIPs: what any attached NIC receives for them, and no pool serves,
    comes out there.  *mtu*: bytes of an IP packet; None: the smallest of the attached NICs.
    """

    name: str = Field(pattern=PSEUDO_NAME)
    addresses: tuple[InterfaceText, ...] = Field(min_length=1)
    mtu: int | None = Field(default=None, ge=1280, le=65535)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        hosts = [interface.ip for interface in self.addresses]
        if twice := [host for host, count in Counter(hosts).items() if count > 1]:
            raise ValueError(f"pseudo interface {self.name!r}: {twice[0]} is named twice")
        return self


class OnExit(StrEnum):
    """What becomes of packets for an application that does not run."""

    RESET = "reset"  # TCP is answered by a reset; the rest is dropped
    DROP = "drop"
    KERNEL = "kernel"  # the kernel has them, and whoever listens there


class App(Model):
    """
    A network application: a program with buffers of its own that NICs receive into.

    *nics*, *queues*: where it receives; none: all that are attached, all that they have.  *user*:
    the only one who may run it, beside root.  *frames*: of its packet memory, each of
    *frame_size* bytes.  *hung_after*: seconds without looking at packets that wait for it, after
    which they go where *on_exit* says; 0: never.
    """

    name: str = Field(pattern=APP_NAME)
    vips: tuple[VipText, ...] = Field(min_length=1)
    nics: tuple[Annotated[str, Field(min_length=1, max_length=15)], ...] = ()
    queues: tuple[Annotated[int, Field(ge=0, le=63)], ...] = ()
    user: str = Field(default="root", min_length=1, max_length=32)
    on_exit: OnExit = OnExit.RESET
    frames: int = Field(default=8192, ge=64, le=1 << 20)
    frame_size: int = Field(default=2048)
    hung_after: float = Field(default=5.0, ge=0, le=3600)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.frame_size not in (2048, 4096):
            raise ValueError(f"app {self.name!r}: frame_size is 2048 or 4096")
        if twice := [vip for vip, count in Counter(self.vips).items() if count > 1]:
            raise ValueError(f"app {self.name!r}: VIP {twice[0]} is named twice")
        return self
