"""
The survey: gather the facts about NICs, addresses and ways, in one place and in one look.

Reads only.  Works in the network namespace of the calling thread.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from lbctl.control.preflight import devices, machine
from lbctl.control.preflight.facts import VETH, Nic, Peer, Way, XdpFeature
from lbctl.control.preflight.kernel import NETNS, Interface, Kernel, xdp_features
from lbctl.control.preflight.program_facts import Pseudo
from lbctl.model import IPAddress, Mode
from lbctl.model import Pseudo as WantedPseudo
from lbctl.shared import syscall

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lbctl.control.preflight.facts import Link, Machine, Queues


@dataclass(frozen=True, slots=True)
class Asked:
    """A NIC that somebody wants to know about, and what the switch knows of it."""

    name: str
    attached: str | None = None
    configured: bool = False
    wanted: Mode = Mode.AUTO
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Addresses by NIC, whom ARP is answered for, and the ways to some hosts."""

    addresses: Mapping[str, Sequence[Interface]]
    answered: frozenset[tuple[str, IPAddress]]
    answers_all: frozenset[tuple[str, int]]
    ways: Mapping[IPAddress, Way | None]


class Survey(Protocol):
    """Who finds out."""

    def machine(self, gateway_of: frozenset[int]) -> Machine:
        """The machine."""

    def nics(self, wanted: Sequence[Asked]) -> list[Nic]:
        """The NICs, as far as the kernel knows them."""

    def pseudo(self, wanted: Sequence[WantedPseudo]) -> list[Pseudo]:
        """The pseudo interfaces, as far as the kernel knows them."""

    def surroundings(self, hosts: Iterable[IPAddress]) -> Surroundings:
        """Addresses, and the ways to *hosts*."""


class KernelSurvey:
    """Asks the kernel."""

    def machine(self, gateway_of: frozenset[int]) -> Machine:
        """The machine."""
        return machine.look(gateway_of)

    def nics(self, wanted: Sequence[Asked]) -> list[Nic]:
        """The NICs, as far as the kernel knows them."""
        features = xdp_features()
        with Kernel() as kernel:
            links = kernel.links()
            by_name = {link.name: link for link in links.values()}
            found = [
                _nic(kernel, asked, by_name.get(asked.name), links, features) for asked in wanted
            ]
        return [_among(nic, found) for nic in found]

    def pseudo(self, wanted: Sequence[WantedPseudo]) -> list[Pseudo]:
        """The pseudo interfaces, as far as the kernel knows them."""
        with Kernel() as kernel:
            links = {link.name: link for link in kernel.links().values()}
            ruled = kernel.ruled()
        return [
            Pseudo(
                one.name,
                links.get(one.name),
                offloads=devices.offloads(one.name) if one.name in links else None,
                without_rule=tuple(i.ip for i in one.addresses if i.ip not in ruled),
            )
            for one in wanted
        ]

    def surroundings(self, hosts: Iterable[IPAddress]) -> Surroundings:
        """Addresses, and the ways to *hosts*."""
        with Kernel() as kernel:
            names = {index: link.name for index, link in kernel.links().items()}
            addresses = {names.get(i, ""): found for i, found in kernel.addresses().items()}
            answered = {(names.get(index, ""), host) for index, host in kernel.proxied()}
            ways = {host: kernel.way(host) for host in hosts}
        proxies = {
            (name, 4) for name in names.values() if name and machine.answers_for_others(name, 4)
        }
        return Surroundings(addresses, frozenset(answered), frozenset(proxies), ways)


def _nic(
    kernel: Kernel,
    asked: Asked,
    link: Link | None,
    links: Mapping[int, Link],
    features: Mapping[int, XdpFeature] | None,
) -> Nic:
    """One NIC by itself."""
    plain = Nic(
        asked.name,
        link,
        attached=asked.attached,
        configured=asked.configured,
        wanted=asked.wanted,
        refusal=asked.refusal,
    )
    if link is None:
        return plain
    return replace(
        plain,
        program="" if asked.attached or not link.program else program_name(link.program),
        features=features.get(link.ifindex) if features is not None else None,
        offloads=devices.offloads(link.name),
        queues=devices.queues(link.name),
        driver=devices.driver(link.name),
        peer=_peer(kernel, link, links) if link.kind == VETH and link.peer else None,
        rp_filter=machine.rp_filter(link.name),
        cpus=os.cpu_count() or 1,
    )


def program_name(number: int) -> str:
    """The name of a loaded BPF program; empty: it has none, or may not be looked at."""
    with contextlib.suppress(OSError):
        descriptor = syscall.prog_by_id(number)
        try:
            return syscall.prog_info(descriptor).name
        finally:
            os.close(descriptor)
    return ""


def _peer(kernel: Kernel, link: Link, links: Mapping[int, Link]) -> Peer | None:
    """The other end of a veth pair, and what of it can be seen."""
    if link.namespace is None:
        far = links.get(link.peer)
        if far is None:
            return None
        return Peer(far, "", devices.offloads(far.name), devices.queues(far.name))
    far = kernel.far_link(link)
    if far is None:
        return None
    place = kernel.namespace(link.namespace)
    seen = devices.inside(place, lambda: _settings(far.name)) if place else None
    if place is None or seen is None:
        return Peer(far, None)
    return Peer(far, _enter(place), *seen)


def _settings(name: str) -> tuple[frozenset[str] | None, Queues | None]:
    return devices.offloads(name), devices.queues(name)


def _enter(place: Path) -> str:
    """What to type before a command that is for another namespace."""
    if place.parent == NETNS:
        return f"nsenter --net={NETNS}/{place.name} "
    return f"nsenter --net={place} "


def _among(nic: Nic, others: Sequence[Nic]) -> Nic:
    """The NIC with what follows from the others."""
    rest = [other for other in others if other.name != nic.name and other.link]
    link = nic.link
    if link is None:
        return nic
    sizes = [(other.link.mtu, other.name) for other in rest if other.link]
    bridged = link.master if link.master_kind == "bridge" else ""
    return replace(
        nic,
        alone=not rest,
        senders=tuple(other.name for other in rest if other.native),
        largest=max(sizes, default=None, key=lambda size: size[0]),
        mates=tuple(o.name for o in rest if bridged and o.link and o.link.master == bridged),
    )
