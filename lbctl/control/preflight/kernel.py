"""
The kernel: ask by netlink which NICs, addresses and ways this network namespace has.

Works in the namespace of the calling thread.  An old kernel, or one that does not permit it, is an
answer too: None.
"""

from __future__ import annotations

import contextlib
import os
import socket
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pyroute2 import IPRoute
from pyroute2.netlink import NLM_F_DUMP, NLM_F_REQUEST, genlmsg
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.generic import AsyncGenericNetlinkSocket, GenericNetlinkSocket
from pyroute2.netlink.rtnl import rt_type
from pyroute2.netlink.rtnl.ifinfmsg import IFF_LOWER_UP, IFF_PROMISC, IFF_UP
from pyroute2.netlink.rtnl.ndmsg import NTF_PROXY

from lbctl.control.preflight.facts import Link, Way, XdpFeature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbctl.model import IPAddress

Interface = IPv4Interface | IPv6Interface
ETHERNET = 1  # ARPHRD_ETHER
NO_STATISTICS = 1 << 3  # RTEXT_FILTER_SKIP_STATS
DEV_GET = 1  # NETDEV_CMD_DEV_GET
NOBODY = 0xFFFFFFFF  # NETNSA_NSID_NOT_ASSIGNED
HOST = (32, 128)  # bits of a prefix
NETNS, PROC = Path("/run/netns"), Path("/proc")
Message = Any  # pyroute2 carries no types


class _Device(genlmsg):  # type: ignore[misc]
    """What the generic netlink family `netdev` says of a NIC."""

    prefix = "NETDEV_A_DEV_"
    nla_map = (
        ("NETDEV_A_DEV_UNSPEC", "none"),
        ("NETDEV_A_DEV_IFINDEX", "uint32"),
        ("NETDEV_A_DEV_PAD", "none"),
        ("NETDEV_A_DEV_XDP_FEATURES", "uint64"),
    )


class _AsyncNetdev(AsyncGenericNetlinkSocket):  # type: ignore[misc]
    module_err_level = "debug"  # kernels before 6.3 have no such family


class _Netdev(GenericNetlinkSocket):  # type: ignore[misc]
    async_class = _AsyncNetdev


def xdp_features() -> dict[int, XdpFeature] | None:
    """What each NIC can do for XDP, by ifindex; None before Linux 6.3."""
    with _Netdev() as kernel:
        try:
            kernel.bind("netdev", _Device)
            wanted = _Device()
            wanted["cmd"], wanted["version"] = DEV_GET, 1
            flags = NLM_F_REQUEST | NLM_F_DUMP
            found = list(kernel.nlm_request(wanted, msg_type=kernel.prid, msg_flags=flags))
        except NetlinkError:
            return None
    return {
        one.get_attr("NETDEV_A_DEV_IFINDEX"): XdpFeature(
            one.get_attr("NETDEV_A_DEV_XDP_FEATURES") & sum(XdpFeature)
        )
        for one in found
    }


class Kernel:
    """One netlink socket, for one look."""

    def __init__(self) -> None:
        self._ip = IPRoute()
        self._namespaces: dict[int, Path | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ip.close()

    def links(self) -> dict[int, Link]:
        """All NICs, by ifindex."""
        messages = {m["index"]: m for m in self._ip.link("dump", ext_mask=NO_STATISTICS)}
        return {index: _link(message, messages) for index, message in messages.items()}

    def far_link(self, link: Link) -> Link | None:
        """The other end of a veth that is in another namespace; None: it cannot be seen."""
        with contextlib.suppress(NetlinkError):
            (message,) = self._ip.link("get", index=link.peer, IFLA_IF_NETNSID=link.namespace)
            return _link(message, {})
        return None

    def addresses(self) -> dict[int, tuple[Interface, ...]]:
        """The addresses of each NIC, by its ifindex."""
        found: dict[int, tuple[Interface, ...]] = {}
        for message in self._ip.addr("dump"):
            text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            address = ip_interface(f"{text}/{message['prefixlen']}")
            found[message["index"]] = (*found.get(message["index"], ()), address)
        return found

    def proxied(self) -> set[tuple[int, IPAddress]]:
        """For whom the kernel answers ARP and neighbor solicitations: ifindex and address."""
        return {
            (message["ifindex"], ip_address(message.get_attr("NDA_DST")))
            for family in (socket.AF_INET, socket.AF_INET6)
            for message in self._ip.neigh("dump", family=family, flags=NTF_PROXY)
            if message["flags"] & NTF_PROXY
        }

    def way(self, address: IPAddress) -> Way | None:
        """How the kernel would send to an address; None: no route leads there."""
        try:
            (message,) = self._ip.route("get", dst=str(address))
        except NetlinkError:
            return None
        gateway, source = message.get_attr("RTA_GATEWAY"), message.get_attr("RTA_PREFSRC")
        nic = ""
        with contextlib.suppress(OSError):
            nic = socket.if_indextoname(message.get_attr("RTA_OIF") or 0)
        return Way(
            nic,
            ip_address(gateway) if gateway else None,
            ip_address(source) if source else None,
            own=message["type"] == rt_type["local"],
        )

    def ruled(self) -> set[IPAddress]:
        """The hosts that a rule chooses the routing table for, by the sender."""
        return {
            ip_address(message.get_attr("FRA_SRC"))
            for family in (socket.AF_INET, socket.AF_INET6)
            for message in self._ip.rule("dump", family=family)
            if message.get_attr("FRA_SRC") and message["src_len"] in HOST
        }

    def namespace(self, number: int) -> Path | None:
        """The file that leads into the network namespace that is known here by *number*."""
        if number not in self._namespaces:
            self._namespaces[number] = self._find(number)
        return self._namespaces[number]

    def _find(self, number: int) -> Path | None:
        seen: set[int] = set()
        for path in _namespaces():
            with contextlib.suppress(OSError, NetlinkError):
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    inode = os.fstat(descriptor).st_ino
                    if inode not in seen and self._number(descriptor) == number:
                        return path
                    seen.add(inode)
                finally:
                    os.close(descriptor)
        return None

    def _number(self, descriptor: int) -> int | None:
        found = self._ip.get_netnsid(fd=descriptor)["nsid"]
        return None if found == NOBODY else int(found)


def _namespaces() -> Iterator[Path]:
    """Files that lead into network namespaces: those with a name first."""
    with contextlib.suppress(OSError):
        yield from sorted(NETNS.iterdir())
    for process in PROC.iterdir():
        if process.name.isdecimal():
            yield process / "ns" / "net"


def _link(message: Message, others: dict[int, Message]) -> Link:
    attributes = dict(message["attrs"])
    xdp = attributes.get("IFLA_XDP")
    master = others.get(attributes.get("IFLA_MASTER", 0))
    flags = message["flags"]
    return Link(
        name=attributes.get("IFLA_IFNAME", ""),
        ifindex=message["index"],
        up=bool(flags & IFF_UP),
        carrier=bool(flags & IFF_LOWER_UP),
        mtu=attributes.get("IFLA_MTU", 0),
        kind=_kind(message),
        ethernet=message["ifi_type"] == ETHERNET,
        promiscuous=bool(flags & IFF_PROMISC),
        program=(xdp.get_attr("IFLA_XDP_PROG_ID") or 0) if xdp else 0,
        master=master.get_attr("IFLA_IFNAME") if master else "",
        master_kind=_kind(master) if master else "",
        peer=attributes.get("IFLA_LINK", 0),
        namespace=attributes.get("IFLA_LINK_NETNSID"),
    )


def _kind(message: Message) -> str:
    about = message.get_attr("IFLA_LINKINFO")
    return (about.get_attr("IFLA_INFO_KIND") or "") if about else ""
