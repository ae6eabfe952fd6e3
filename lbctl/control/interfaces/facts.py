"""
The facts: what the plan needs to know of the kernel, and no more.

Links and routes are fetched only where a back-end is the switch itself: there may be many.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from lbctl.control.interfaces.plan import Facts, addresses_of, local_servers
from lbctl.control.routing.netlink import Requester
from lbctl.control.routing.snapshot import Routing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from lbctl.control.routing.records import IPNetwork
    from lbctl.model import Configuration, IPAddress
    from lbctl.pseudo.device import Device
    from lbctl.switching.nics import AttachedNic

SETTINGS = Path("/proc/sys/net/ipv4/conf")
STRICT = 1  # of rp_filter; the larger one of a NIC's and of `all` counts
NOBODY_ELSE = 1  # of arp_ignore, and above: a NIC answers for its own addresses only


def facts_of(
    configuration: Configuration,
    devices: Mapping[str, Device],
    attached: Iterable[AttachedNic],
    own: Collection[IPAddress],
    known: Mapping[IPNetwork, bool],
) -> Facts:
    """Find out what *configuration* asks for; *own*: the addresses of this host; see Facts."""
    inner = {device.inner.ifindex for device in devices.values()}
    nics = frozenset(nic.ifindex for nic in attached) - inner
    hosts = {server.address for server in local_servers(configuration)}
    if hosts.isdisjoint(own) or hosts & set(own) <= addresses_of(configuration):
        return Facts(devices, nics, Routing({}, ()), known)
    with closing(Requester()) as kernel:
        return Facts(devices, nics, Routing.of(kernel.links(), kernel.routes()), known)


def strict_filters(nics: Iterable[str], settings: Path = SETTINGS) -> list[str]:
    """Why attached NICs do not answer ARP for addresses of a pseudo interface."""
    found = []
    for nic in nics:
        for name, strict in (("rp_filter", {STRICT}), ("arp_ignore", range(NOBODY_ELSE, 9))):
            if _setting(settings, nic, name) in strict:
                found.append(
                    f"{nic} does not answer ARP for pseudo interfaces: its {name} is strict; "
                    f"`sysctl -w net.ipv4.conf.{nic}.{name}={_loose(name)}`"
                )
    return found


def _loose(name: str) -> int:
    return 2 if name == "rp_filter" else 0


def _setting(settings: Path, nic: str, name: str) -> int:
    """A setting of a NIC; 0 when it cannot be read."""
    try:
        return max(int((settings / each / name).read_text()) for each in ("all", nic))
    except (OSError, ValueError):
        return 0
