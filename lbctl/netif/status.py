"""
The status page: lay out the shared memory in which an application and lbctld tell each other.

The application writes its heartbeat and its counters, lbctld writes `evicted`.  Both only ever
write whole aligned numbers; neither waits for the other, and neither believes what it reads there.
It is a memfd that nobody can shrink, so that a read of it never fails.
"""

from __future__ import annotations

import mmap
from typing import NamedTuple, Self

import numpy as np

from lbctl.netif.memory import check, create

LAYOUT = 1


class Statistics(NamedTuple):
    """
    What a port did and lost, in packets since it was made.

    From *rx_dropped* on it is the kernel's XDP_STATISTICS.
    """

    received: int  # taken by the application
    transmitted: int  # put into the transmit ring
    refused: int  # offered while the transmit ring was full; the application still had them
    invalid: int  # descriptors that were wrong, and never reached the kernel
    rx_dropped: int  # lost: larger than a frame, or the kernel had no memory
    rx_invalid: int  # fill descriptors that the kernel refused
    tx_invalid: int  # transmit descriptors that the kernel refused
    rx_ring_full: int  # lost: the application was slow
    fill_empty: int  # lost, or a moment late: there was no free frame to receive into
    tx_empty: int  # times that the kernel looked for packets to send and found none

    @property
    def lost(self) -> int:
        """Packets that came for the application and that it never saw."""
        return self.rx_dropped + self.rx_ring_full + self.fill_empty


COUNTERS = Statistics._fields

HEADER = np.dtype(
    [
        ("layout", "<u4"),
        ("ports", "<u4"),
        ("heartbeat", "<u8"),  # receive calls of the application, all ports together
        ("evicted", "<u4"),  # by lbctld: it took the application's ports away
        ("resumed", "<u4"),  # by the application: how often it asked for them again
        ("pid", "<u4"),
        ("spare", "<u4", 9),
    ]
)
PORT = np.dtype(
    [
        ("ifindex", "<u4"),  # by lbctld: which port it is, for when the sockets come back
        ("queue", "<u4"),
        *((name, "<u8") for name in COUNTERS),
        ("spare", "<u8", 5),
    ]
)


def size(ports: int) -> int:
    """Bytes of the status page of so many ports: whole pages."""
    return -(-(HEADER.itemsize + ports * PORT.itemsize) // mmap.PAGESIZE) * mmap.PAGESIZE


class Page:
    """
    One mapped status page.

    *header*: an array of one HEADER; *ports*: an array of PORT, a row a port, in the order of the
    grant.
    """

    def __init__(self, descriptor: int, ports: int) -> None:
        """Map it; LbctlError if it is none of so many ports.  The descriptor may be closed then."""
        check(descriptor, size(ports), "the status page")
        area = mmap.mmap(descriptor, size(ports))
        self.beats = memoryview(area)[8:16].cast("Q")  # the heartbeat, to be written cheaply
        self.flags = memoryview(area)[16:20].cast("I")  # evicted, to be read cheaply
        self.header = np.frombuffer(area, HEADER, 1)
        self.ports = np.frombuffer(area, PORT, ports, HEADER.itemsize)

    @classmethod
    def create(cls, ports: int, name: str = "app") -> tuple[int, Self]:
        """Make one for so many ports; returns its descriptor, and the page."""
        descriptor = create(size(ports), f"lbctl-status-{name}")
        page = cls(descriptor, ports)
        page.header["layout"], page.header["ports"] = LAYOUT, ports
        return descriptor, page

    @property
    def heartbeat(self) -> int:
        """Receive calls so far."""
        return int(self.header["heartbeat"][0])

    @property
    def evicted(self) -> bool:
        """Whether lbctld took the ports away."""
        return bool(self.header["evicted"][0])

    @evicted.setter
    def evicted(self, value: bool) -> None:
        """Tell the application that its ports were taken away, or that it has them again."""
        self.header["evicted"][0] = value

    def counters(self, port: int) -> dict[str, int]:
        """The counters of one port, by name."""
        row = self.ports[port]
        return {name: int(row[name]) for name in COUNTERS}

    def write(self, port: int, statistics: Statistics) -> None:
        """Tell the counters of one port."""
        row = self.ports[port]
        for name, value in zip(COUNTERS, statistics, strict=True):
            row[name] = value
