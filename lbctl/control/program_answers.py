"""The answers about programs on the switch: pseudo interfaces and network applications."""

from __future__ import annotations

from typing import Literal

from lbctl.model import InterfaceText, Model, OnExit, VipText


class PseudoStatus(Model):
    """
    A pseudo interface; `missing`: it is wanted, but is not there, or not served.

    `mtu` is what holds: as configured, or the smallest of the NICs (null: not known yet).
    `inner_end`: the end that the switch keeps.  `packets_in` came for its addresses (null: other
    pseudo interfaces share that counter), `packets_out` left by the routing table; `verdicts` says
    what became of all that programs sent.  `next` is what to type to use it.
    """

    name: str
    addresses: tuple[InterfaceText, ...]
    mtu: int | None
    inner_end: str
    state: Literal["up", "missing"]
    packets_in: int | None
    packets_out: int
    verdicts: dict[str, int]
    next: str


class PortStatus(Model):
    """
    One NIC and queue that an application receives from; all counts are packets.

    `zero_copy`: the NIC writes into the application's buffers itself.  `refused`: to transmit,
    while the ring was full.  `invalid`: wrong descriptors, which never reached the kernel.  Lost
    were those of `rx_ring_full` (the application was slow), `fill_empty` (no buffer was free) and
    `rx_dropped` (another reason).
    """

    nic: str
    queue: int
    zero_copy: bool
    received: int
    transmitted: int
    refused: int
    invalid: int
    rx_dropped: int
    rx_invalid: int
    tx_invalid: int
    rx_ring_full: int
    fill_empty: int
    tx_empty: int


class AppStatus(Model):
    """
    A network application; `hung`: it let packets wait, and gets none until it looks again.

    `pid`, `run_by` and `since` (ISO 8601, UTC) are of the process that has its buffers; null:
    nobody has.  `exits`, `hung_count`: how often it ended or was taken for hung since lbctld
    started.  `packets` were given to it; `verdicts` says what became of all that were for its VIPs,
    but for those that the kernel got.  `next` is what to type when it does not run.
    """

    name: str
    vips: tuple[VipText, ...]
    nics: tuple[str, ...]
    queues: tuple[int, ...]
    user: str
    on_exit: OnExit
    frames: int
    frame_size: int
    hung_after: float
    state: Literal["running", "hung", "stopped"]
    pid: int | None
    run_by: str | None
    since: str | None
    exits: int
    hung_count: int
    packets: int
    verdicts: dict[str, int]
    ports: tuple[PortStatus, ...]
    next: str | None
