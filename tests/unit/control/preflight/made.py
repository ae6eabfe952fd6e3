"""Facts about a switch on which nothing is wrong, to be spoilt by tests."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from lbctl.control.preflight.facts import (
    Answer,
    Backend,
    Link,
    Machine,
    Nic,
    Peer,
    Queues,
    Service,
    Way,
    XdpFeature,
)
from lbctl.control.preflight.finding import Unknown
from lbctl.model import Forward, SocketAddress, State, Vip
from lbctl.shared.abi import NextHopState

ALL = XdpFeature.BASIC | XdpFeature.REDIRECT | XdpFeature.NDO_XMIT
ONE, VIP = SocketAddress.parse("10.0.1.11:8080"), Vip.parse("203.0.113.10:80/tcp")
TWO_QUEUES = Queues(receive=2, transmit=2, most=2)

MACHINE = Machine(
    (6, 18), bpffs=True, bcc="/usr/lib/bcc", memory_lock=1 << 20, forwarding={4: True}
)
LINK = Link("eth0", 2, up=True, carrier=True, mtu=1500)
NIC = Nic(
    "eth0",
    LINK,
    attached="native",
    configured=True,
    features=ALL,
    offloads=frozenset(),
    queues=TWO_QUEUES,
    driver="mlx5_core",
    rp_filter=0,
    senders=("eth1",),
    alone=False,
    packets=10,
)
PEER = Peer(
    Link("far0", 7, up=True, carrier=True, mtu=1500, kind="veth", program=5, peer=2),
    "nsenter --net=/run/netns/far ",
    frozenset(),
    TWO_QUEUES,
)
VETH = replace(NIC, link=replace(LINK, kind="veth", peer=7), driver="veth", peer=PEER)
BACKEND = Backend(
    "web",
    ONE,
    Forward.NAT,
    checked=True,
    state=State.ACTIVE,
    reason="",
    hop=NextHopState.RESOLVED,
    mtu=1500,
    nic="eth0",
    nic_mtu=1500,
    way=Way("eth0", source=ip_address("10.0.1.1")),
    gateway=ip_address("10.0.1.1"),
    accepts=Answer.ACCEPTED,
    returns=Answer.ACCEPTED,
)
DSR = replace(BACKEND, forward=Forward.DSR, returns=None, has={VIP: Answer.ACCEPTED})
SERVICE = Service("web", VIP, local=False, network=None, answered=False, seen=1)


def with_link(nic=NIC, **changes):
    """The NIC with another link."""
    return replace(nic, link=replace(nic.link, **changes))


def with_peer(link=None, **changes):
    """The veth with another far end."""
    peer = replace(PEER, **changes)
    return replace(VETH, peer=replace(peer, link=replace(peer.link, **(link or {}))))


def judged(checks, facts):
    """Severity and cure of what each check says, by the check's name; `?`: it lacks a fact."""
    found = {}
    for check in checks:
        try:
            told = check(facts)
        except Unknown:
            found[check.__name__] = "?"
            continue
        if told:
            found[check.__name__] = (told.severity.value, told.cure)
    return found
