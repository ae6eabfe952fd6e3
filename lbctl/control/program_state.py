"""
The state of programs: say what the controller may ask about network applications that run.

Whoever hands them their buffers knows; here are only the words for it, and nobody who knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lbctl.model import Configuration

LOST = ("rx_ring_full", "fill_empty", "rx_dropped")  # counters of packets that had no room


@dataclass(frozen=True, slots=True)
class PortState:
    """
    One NIC and queue that an application receives from, and what it counted there.

    The counters are those of `lbctl.netif.status`, in packets, since the application started.
    """

    nic: str
    queue: int
    zero_copy: bool
    received: int = 0
    transmitted: int = 0
    refused: int = 0  # to transmit, while the ring was full
    invalid: int = 0  # wrong descriptors, which never reached the kernel
    rx_dropped: int = 0
    rx_invalid: int = 0
    tx_invalid: int = 0
    rx_ring_full: int = 0  # lost: the application was slow
    fill_empty: int = 0  # lost: no frame was free
    tx_empty: int = 0


@dataclass(frozen=True, slots=True)
class AppState:
    """
    What is known of an application that runs, or has run since lbctld started.

    *pid*, *user*, *since*: of the process that has its buffers, and seconds since 1970; pid None:
    nobody has.  *hung*: it let packets wait, and gets no more until it looks again.  *exits*,
    *hung_count*: how often it ended, and how often it was taken for hung.
    """

    pid: int | None
    user: str
    since: float
    ports: tuple[PortState, ...] = ()
    hung: bool = False
    exits: int = 0
    hung_count: int = 0


class Running(Protocol):
    """Whoever knows which network applications run."""

    def running(self, name: str) -> AppState | None:
        """How the application *name* does; None: it has not run since lbctld started."""

    def follow(self, configuration: Configuration) -> None:
        """Go by *configuration*, which was published: what it has no more ends."""


class NothingRuns:
    """Where nobody hands out buffers, no application can run."""

    def running(self, name: str) -> AppState | None:
        """Nothing."""
        del name
        return None

    def follow(self, configuration: Configuration) -> None:
        """Nothing to do."""
