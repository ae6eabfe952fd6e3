"""
The sniffer: what a NIC receives, frame by frame, for tests that look at what is on the wire.

Whole frames as they were sent, if the NIC and the cable's other end merge nothing.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address

ALL = 3  # ETH_P_ALL
ROOM = 16 << 20
OUTGOING = 4  # PACKET_OUTGOING
SOURCE = {4: (b"\x08\0", slice(26, 30)), 6: (b"\x86\xdd", slice(22, 38))}


class Sniffer:
    """Frames that came by a NIC of the calling thread's namespace since it was made."""

    def __init__(self, nic):
        self._plug = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
        self._plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        self._plug.bind((nic, 0))
        self._plug.settimeout(0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._plug.close()

    def frames(self):
        """All that have come."""
        found = []
        while True:
            try:
                frame, (_, _, kind, *_) = self._plug.recvfrom(1 << 16)
            except BlockingIOError:
                return found
            if kind != OUTGOING:
                found.append(frame)


def is_from(frame, text):
    """Whether an address sent that frame."""
    address = ip_address(text)
    kind, place = SOURCE[address.version]
    return frame[12:14] == kind and frame[place] == address.packed
