"""
The ICMP check: ping the host (RFC 792, RFC 4443).

A datagram socket where the system lets us have one (net.ipv4.ping_group_range), a raw one
otherwise.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from lbctl.control.health.stream import open_socket
from lbctl.control.health.target import CannotCheck

if TYPE_CHECKING:
    from lbctl.control.health.target import Progress, Target
    from lbctl.model import IcmpCheck

PROTOCOL = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
REQUEST = {4: 8, 6: 128}
REPLY = {4: 0, 6: 129}
HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence number
TOKEN = 16  # random bytes that tell our reply from all others


async def ask(target: Target, check: IcmpCheck, progress: Progress) -> str:
    """Succeed when the reply comes back with what was sent."""
    del check, progress
    version, token = target.host.version, os.urandom(TOKEN)
    loop = asyncio.get_running_loop()
    with _socket(target) as sock:
        sock.connect((str(target.host), 0))  # packets of other hosts are not even copied to us
        sock.send(request(version, token))
        while not is_reply(version, await loop.sock_recv(sock, 1024), token):
            pass
    return "reply"


def _socket(target: Target) -> socket.socket:
    protocol = PROTOCOL[target.host.version]
    with suppress(PermissionError):
        return open_socket(target, socket.SOCK_DGRAM, protocol)
    try:
        return open_socket(target, socket.SOCK_RAW, protocol)
    except PermissionError:
        raise CannotCheck(
            "may not ping; give lbctld CAP_NET_RAW or set net.ipv4.ping_group_range"
        ) from None


def request(version: int, token: bytes) -> bytes:
    """An echo request; the kernel fills in the checksum for IPv6, and for datagram sockets."""
    sequence = 1
    identifier = int.from_bytes(token[:2], "big")
    blank = HEADER.pack(REQUEST[version], 0, 0, identifier, sequence) + token
    total = checksum(blank) if version == 4 else 0
    return HEADER.pack(REQUEST[version], 0, total, identifier, sequence) + token


def is_reply(version: int, packet: bytes, token: bytes) -> bool:
    """Whether *packet* is the reply; a raw IPv4 socket hands over the IP header as well."""
    if version == 4 and packet and packet[0] >> 4 == 4:  # no ICMP type of a reply begins so
        packet = packet[(packet[0] & 15) * 4 :]
    return packet[:1] == bytes([REPLY[version]]) and packet[HEADER.size :] == token


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
