"""
The facts: what checks are told of the machine, its NICs, back-ends and VIPs.

Values only.  None stands for what could not be found out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntFlag, StrEnum

from lbctl.model import Forward, IPAddress, Mode, SocketAddress, State, Vip
from lbctl.shared.abi import NextHopState, Verdict

NATIVE, GENERIC = "native", "generic"
VETH = "veth"


class XdpFeature(IntFlag):
    """What a NIC can do for XDP: `enum netdev_xdp_act` of <linux/netdev.h> (Linux 6.3)."""

    BASIC = 1
    REDIRECT = 2
    NDO_XMIT = 4


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine and its kernel; *forwarding* by IP version."""

    kernel: tuple[int, int]
    bpffs: bool | None
    bcc: str | None  # what is there: "" nothing, else where; None could not be told
    memory_lock: int | None  # bytes that may be locked
    forwarding: Mapping[int, bool] = field(default_factory=dict)
    gateway_of: frozenset[int] = frozenset()  # IP versions of NAT servers
    subject = "machine"


@dataclass(frozen=True, slots=True)
class Link:
    """A NIC as the kernel has it; *program*: number of its XDP program, 0: none."""

    name: str
    ifindex: int
    up: bool
    carrier: bool
    mtu: int
    kind: str = ""
    ethernet: bool = True
    promiscuous: bool = False
    program: int = 0
    master: str = ""
    master_kind: str = ""
    peer: int = 0  # ifindex of the other end
    namespace: int | None = None  # the number that its namespace has for the other end's


@dataclass(frozen=True, slots=True)
class Queues:
    """How many queues are in use; *most*: pairs that there could be."""

    receive: int
    transmit: int
    most: int


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a veth pair; *enter*: what to type before a command to be where it is."""

    link: Link
    enter: str | None
    offloads: frozenset[str] | None = None
    queues: Queues | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """An address that answers come from, and the NIC that the kernel's route to it leaves by."""

    address: IPAddress
    nic: str | None  # None: no route leads there


@dataclass(frozen=True, slots=True)
class Nic:
    """
    A NIC that is attached, or is to be.

    *attached*: its mode.  *senders*: other NICs, in native mode, that send to it.  *alone*: there
    is no other, so that packets leave by the NIC that they came by.  *mates*: other NICs of the
    switch in the same bridge.  *largest*: the greatest MTU of the others, and whose.  *checked*:
    what answers to checks come from by this NIC.  *packets*: that it has seen, *most*: the busiest.
    """

    name: str
    link: Link | None
    attached: str | None = None
    configured: bool = False
    wanted: Mode = Mode.AUTO
    refusal: str = ""
    program: str = ""  # name of a program that is not ours
    features: XdpFeature | None = None
    offloads: frozenset[str] | None = None
    queues: Queues | None = None
    driver: str = ""
    peer: Peer | None = None
    rp_filter: int | None = None
    cpus: int = 1
    alone: bool = True
    senders: tuple[str, ...] = ()
    mates: tuple[str, ...] = ()
    largest: tuple[int, str] | None = None
    has_servers: bool = False
    checked: tuple[Source, ...] = ()
    packets: int | None = None
    most: int = 0

    @property
    def subject(self) -> str:
        """Whom findings are about."""
        return f"NIC {self.name}"

    @property
    def native(self) -> bool:
        """Whether it works in native mode, or would."""
        if self.attached:
            return self.attached == NATIVE
        return self.wanted is not Mode.GENERIC and self.features != XdpFeature(0)


@dataclass(frozen=True, slots=True)
class Way:
    """How the kernel sends to an address; *own*: it keeps such packets."""

    nic: str
    gateway: IPAddress | None = None
    source: IPAddress | None = None
    own: bool = False


class Answer(StrEnum):
    """What came of a SYN."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Backend:
    """
    A back-end that is wanted.

    *hop*, *mtu*, *nic*: what the switching processors know of the way to it; *way*: the kernel.
    *accepts*: what it said to a connection from the switch.  *returns*: to a SYN from an address
    that is no neighbor, as seen by the switch.  *has*: to SYNs for the VIPs.  *gateway*: what its
    default route ought to be.  Counters are of TCP and since the tables were made.
    """

    pool: str
    address: SocketAddress
    forward: Forward
    checked: bool
    state: State
    reason: str
    hop: NextHopState
    mtu: int = 0
    nic: str = ""
    nic_mtu: int | None = None
    way: Way | None = None
    accepts: Answer | None = None
    returns: Answer | None = None
    has: Mapping[Vip, Answer] = field(default_factory=dict)
    gateway: IPAddress | None = None
    tcp: bool = True
    connections: int = 0
    answers: int = 0
    resets: int = 0

    @property
    def subject(self) -> str:
        """Whom findings are about."""
        return f"back-end {self.address} of pool {self.pool}"

    @property
    def neighbor(self) -> IPAddress:
        """Who has to answer ARP for it."""
        gateway = self.way.gateway if self.way else None
        return gateway or self.address.address


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool; *serving*: whose back-ends get its new connections, None: nobody's."""

    name: str
    vips: int
    backends: int
    serving: str | None

    @property
    def subject(self) -> str:
        """Whom findings are about."""
        return f"pool {self.name}"


@dataclass(frozen=True, slots=True)
class Service:
    """A VIP; *network*: the NIC in whose network it is; *seen*: packets for it so far."""

    pool: str
    vip: Vip
    local: bool | None
    network: str | None
    answered: bool  # somebody answers ARP for it
    seen: int

    @property
    def subject(self) -> str:
        """Whom findings are about."""
        return f"VIP {self.vip} of pool {self.pool}"


@dataclass(frozen=True, slots=True)
class Room:
    """A table: how much is in it, and the option of lbctld that makes it larger."""

    what: str
    used: int
    size: int
    option: str

    @property
    def subject(self) -> str:
        """Whom findings are about."""
        return f"the table of {self.what}"


@dataclass(frozen=True, slots=True)
class Growth:
    """Packets that had a verdict in the last *seconds*; *pool*: whose, "": nobody's."""

    subject: str
    verdict: Verdict
    packets: int
    seconds: float
    pool: str = ""
