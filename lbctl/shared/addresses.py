"""Addresses as the tables hold them: 16 bytes in network order, IPv4 mapped (RFC 4291, 2.5.5.2)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lbctl.model import IPAddress
    from lbctl.shared.arrays import Array

_MAPPED = bytes(10) + b"\xff\xff"
MAPPED_BITS = 96  # what a mapped IPv4 prefix has in front of its own bits
TCP, UDP = 6, 17
PROTOCOL_NUMBERS = {"tcp": TCP, "udp": UDP}
PROTOCOL_NAMES = {number: name for name, number in PROTOCOL_NUMBERS.items()}


def pack(address: IPAddress) -> bytes:
    """16 bytes for either family."""
    return address.packed if address.version == 6 else _MAPPED + address.packed


def words(address: IPAddress) -> Array:
    """Four words in network order, as the `address` fields of the tables want them."""
    return np.frombuffer(pack(address), ">u4")


def unpack(raw: bytes) -> IPAddress:
    """The address of 16 bytes."""
    return IPv4Address(raw[12:]) if raw.startswith(_MAPPED) else IPv6Address(raw)


def from_words(value: Array) -> IPAddress:
    """The address of an `address` field."""
    return unpack(value.astype(">u4").tobytes())
