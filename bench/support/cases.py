"""The cases of the packet path benchmark: which packets, on which switch, with which verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address

from bench.support.harness import ICMP, SYN, UDP, Traffic
from bench.support.switch import EVERYTHING, OTHER_NIC, OUTSIDE_NIC, PEER_MAC, PSEUDO_NIC, Plan
from lbctl.model import Forward, OnUnknown, Pool, Protocol
from lbctl.shared.abi import Verdict
from lbctl.shared.tables import Capacity

MILLION, MANY = 1 << 20, 1 << 16
FLOWS = {1: "1 flow", MANY: "64 k flows", MILLION: "1 M flows"}
SERVICES = 100
DEFAULT = Capacity().connections
ECHO_REQUEST = 0x0800  # type and code
ARP = 0x0806
STRANGER = ip_address("198.51.100.99")
HOME = ip_address("203.0.113.254")  # of a pseudo interface
ROOM = ip_address("203.0.113.20")  # of a network application

NAT, NAT6 = Plan(), Plan(6)
DSR = Plan(forward=Forward.DSR)
NAT_UDP = Plan(protocol=Protocol.UDP)
WIDE = Plan(services=SERVICES)
TCP4, TCP6 = Traffic(), Traffic(6, host=NAT6.address)
UDP4 = Traffic(protocol=UDP)


@dataclass(frozen=True)
class Case:
    """
    One figure.

    *establish*: make the connections first.  *fresh*: packets that may not repeat, forget all
    connections before each round.  *cut*: bytes that the program cuts off the frame, and the empty
    one too.  *plan*: other services than the switch begins with.  *nic*: where packets leave,
    *came*: where they come in.
    """

    name: str
    traffic: Traffic
    verdict: Verdict
    target: float | None = None
    establish: bool = False
    fresh: int = 0
    cut: int = 0
    plan: Plan | None = None
    nic: int = OUTSIDE_NIC
    came: int = OUTSIDE_NIC


@dataclass(frozen=True)
class Group:
    """Cases that one switch serves; *connections*: of its capacity, *also*: makes it do more."""

    name: str
    plan: Plan
    cases: tuple[Case, ...]
    connections: int = DEFAULT
    also: tuple[Pool, ...] = ()


def established(name: str, traffic: Traffic, flows: int, target: float | None = None) -> Case:
    """Packets of clients to a VIP, in connections that are known."""
    traffic = replace(traffic, flows=flows)
    return Case(f"{name}, {FLOWS[flows]}", traffic, Verdict.TO_BACKEND, target, establish=True)


def replies(
    name: str, plan: Plan, traffic: Traffic, flows: int, target: float | None = None
) -> Case:
    """Packets of one back-end to clients, for the wrapper cannot know who has which client."""
    plan = replace(plan, backends=1)
    server = plan.servers(0)[0]
    traffic = replace(traffic, flows=flows, reply=True, host=server.address, port=server.port)
    name = f"{name} reply, {FLOWS[flows]}"
    return Case(name, traffic, Verdict.TO_CLIENT, target, establish=True, plan=plan)


def new(name: str, traffic: Traffic = TCP4, count: int = MANY) -> Case:
    """The first packet of one client after the other."""
    traffic = replace(traffic, flags=SYN, random=False, flows=count)
    return Case(f"{name}, new connection", traffic, Verdict.TO_BACKEND_NEW, 300, fresh=count)


def _not_ours() -> tuple[Case, ...]:
    other_mac = replace(TCP4, destination_mac=PEER_MAC)
    return (
        Case("not ours: TCP", replace(TCP4, host=STRANGER), Verdict.TO_KERNEL, 35),
        Case("not ours: UDP", replace(UDP4, host=STRANGER), Verdict.TO_KERNEL, 35),
        Case("not ours: ARP", replace(TCP4, ethertype=ARP), Verdict.TO_KERNEL, 35),
        Case("not ours: another MAC", other_mac, Verdict.TO_KERNEL_OTHER_MAC, 35),
    )


def _answers() -> tuple[Case, ...]:
    closed = replace(TCP4, port=9, size=54)
    options = replace(closed, flags=SYN, size=74)
    ping = replace(TCP4, protocol=ICMP, ports=0, port=ECHO_REQUEST, size=98)
    drop = replace(NAT, on_unknown=OnUnknown.DROP)
    unknown = replace(TCP4, flows=MANY)
    return (
        Case("no service: reset", closed, Verdict.RESET),
        Case("no service: reset of a SYN with options", options, Verdict.RESET, cut=20),
        Case("echo", ping, Verdict.ECHO_REPLY),
        Case("no service: UDP dropped", replace(UDP4, port=9), Verdict.DROP_NO_SERVICE),
        Case("no connection: dropped", unknown, Verdict.DROP_NO_CONNECTION, plan=drop),
    )


def _ipv4() -> tuple[Group, ...]:
    other_nic = replace(established("NAT by another NIC", TCP4, 1, 60), nic=OTHER_NIC)
    wide = replace(TCP4, ports=SERVICES)
    hundred = [
        replace(established("NAT, 100 services", wide, flows), plan=WIDE) for flows in (1, MANY)
    ]
    small = "NAT, table for 64 k"
    flood = replace(TCP4, flags=SYN, random=False)
    return (
        Group(
            "IPv4",
            NAT,
            (
                established("NAT", TCP4, 1, 60),
                other_nic,
                established("NAT", TCP4, MANY),
                replies("NAT", NAT, TCP4, 1, 60),
                replies("NAT", NAT, TCP4, MANY),
                new("NAT"),
                *_not_ours(),
                *_answers(),
                *hundred,
            ),
        ),
        Group(
            "IPv4, 64 k",
            NAT,
            (
                established(small, TCP4, MANY, 110),
                replies(small, NAT, TCP4, MANY, 110),
                Case("NAT, SYN flood, table full of half-open", flood, Verdict.TO_BACKEND_NEW),
            ),
            MANY,
        ),
        Group(
            "IPv4, 1 M",
            NAT,
            (
                established("NAT", TCP4, MILLION, 200),
                replies("NAT", NAT, TCP4, MILLION, 200),
                new("NAT, 1 M table", count=MILLION // 2),
            ),
            MILLION,
        ),
    )


def _other_kinds() -> tuple[Group, ...]:
    rewrite, udp = "MAC rewrite", "NAT UDP"
    return (
        Group(
            "UDP",
            NAT_UDP,
            (established(udp, UDP4, 1, 60), established(udp, UDP4, MANY), new(udp, UDP4)),
        ),
        Group(
            "DSR",
            DSR,
            (established(rewrite, TCP4, 1, 45), established(rewrite, TCP4, MANY), new(rewrite)),
        ),
        Group("DSR, 1 M", DSR, (established(rewrite, TCP4, MILLION),), MILLION),
    )


def _full() -> tuple[Group, ...]:
    six, full = "NAT IPv6", "NAT, all features"
    return (
        Group(
            "IPv6",
            NAT6,
            (
                established(six, TCP6, 1),
                established(six, TCP6, MANY),
                replies(six, NAT6, TCP6, 1),
                new(six, TCP6),
            ),
        ),
        Group("IPv6, 1 M", NAT6, (established(six, TCP6, MILLION),), MILLION),
        Group(
            "all features",
            NAT,
            (
                established(full, TCP4, 1),
                established(full, TCP4, MANY),
                replies(full, NAT, TCP4, 1),
                new(full),
            ),
            also=EVERYTHING,
        ),
    )


def _programs() -> tuple[Group, ...]:
    """What is for, and from, programs on the switch itself; and what that costs others."""
    plan, there = replace(NAT, pseudo=str(HOME)), replace(TCP4, host=HOME)
    away = replace(TCP4, host=STRANGER)
    return (
        Group(
            "pseudo",
            plan,
            (
                Case("to a pseudo interface", there, Verdict.TO_PSEUDO, nic=PSEUDO_NIC),
                Case("from a pseudo interface", away, Verdict.FROM_PSEUDO, came=PSEUDO_NIC),
                Case("not ours, beside a pseudo interface", away, Verdict.TO_KERNEL),
                established("NAT, beside a pseudo interface", TCP4, 1),
            ),
        ),
        Group(
            "application",
            replace(NAT, app=f"{ROOM}:5060/udp"),
            (
                Case("to an application", replace(UDP4, host=ROOM, port=5060), Verdict.TO_APP),
                established("NAT, beside an application", TCP4, 1),
            ),
        ),
    )


def groups() -> tuple[Group, ...]:
    """Everything that is measured."""
    return (*_ipv4(), *_other_kinds(), *_full(), *_programs())


@dataclass(frozen=True)
class Pair:
    """Two figures of which the one should not be more than *limit* times the other."""

    name: str
    one: Group
    other: Group
    limit: float | None = None


def pairs() -> tuple[Pair, ...]:
    """What is measured in turns: the caches that others leave differ from minute to minute."""
    found = []
    for flows, text in FLOWS.items():
        size = MILLION if flows == MILLION else DEFAULT
        four = Group("four", NAT, (established("NAT", TCP4, flows),), size)
        six = Group("six", NAT6, (established("NAT IPv6", TCP6, flows),), size)
        full = replace(four, name="full", also=EVERYTHING)
        found += [
            Pair(f"IPv6 / IPv4, {text}", six, four, 1.3),
            Pair(f"all features / IPv4 only, {text}", full, four),
        ]
    return tuple(found)
