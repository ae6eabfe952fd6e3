"""
The messages: make records of what pyroute2 has read from the kernel.

What a switch has no use for (other tables than main and local, cached routes) is left out here.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from socket import AF_INET, AF_INET6, AF_UNSPEC
from typing import TYPE_CHECKING, Any

from pyroute2.netlink.rtnl import rt_type
from pyroute2.netlink.rtnl.ifinfmsg import IFF_LOWER_UP, IFF_UP
from pyroute2.netlink.rtnl.rtmsg import RTNH_F_DEAD, RTNH_F_LINKDOWN

from lbctl.control.routing.records import USABLE, Hop, Kind, Link, Neighbor, Nud, Record, Route
from lbctl.pseudo.device import is_outer

if TYPE_CHECKING:
    from collections.abc import Callable

Message = Any  # pyroute2 carries no types

ETHERNET = 1  # ARPHRD_ETHER
CACHED = 0x200  # RTM_F_CLONED
TABLE_MAIN, TABLE_LOCAL = 254, 255
UNICAST, LOCAL = rt_type["unicast"], rt_type["local"]
BLOCKED = {rt_type[name] for name in ("blackhole", "unreachable", "prohibit", "throw")}
ANYWHERE = {AF_INET: "0.0.0.0", AF_INET6: "::"}  # noqa: S104 - a prefix, nothing is bound
OF_LINKS = (
    *("IFLA_ADDRESS", "IFLA_IFNAME", "IFLA_MTU"),
    *("IFLA_IFALIAS", "IFLA_LINK", "IFLA_LINK_NETNSID"),
)
OF_HOPS = ("RTA_GATEWAY", "RTA_VIA", "RTA_ENCAP_TYPE")
OF_ROUTES = (
    *OF_HOPS,
    *("RTA_DST", "RTA_TABLE", "RTA_METRICS", "RTA_PRIORITY", "RTA_OIF", "RTA_MULTIPATH"),
)
MAC = re.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def record_of(message: Message) -> Record | None:
    """One message as a record; None if it is of no interest to a switch."""
    reader = READERS.get(message["header"]["type"] & ~3)
    return reader(message) if reader else None


def _attributes(message: Message, *wanted: str) -> dict[str, Any]:
    """Those of the attributes that are there, in one go: each look-up of pyroute2 reads all."""
    return {slot[0]: slot[1] for slot in message["attrs"] if slot[0] in wanted}


def _mac(text: str | None) -> bytes:
    return bytes.fromhex(text.replace(":", "")) if text and MAC.fullmatch(text) else b""


def _link(message: Message) -> Link | None:
    if message["family"] != AF_UNSPEC:  # a bridge tells of its ports, not of links
        return None
    found = _attributes(message, *OF_LINKS)
    up = message["flags"] & IFF_UP and message["flags"] & IFF_LOWER_UP
    mac = _mac(found.get("IFLA_ADDRESS")) if message["ifi_type"] == ETHERNET else b""
    name, mtu = found.get("IFLA_IFNAME", ""), found.get("IFLA_MTU", 0)
    pseudo = is_outer(found.get("IFLA_IFALIAS", "")) and "IFLA_LINK_NETNSID" not in found
    inner = found.get("IFLA_LINK", 0) if pseudo else 0
    return Link(message["index"], name, mac, mtu, bool(up), inner)


def _hop(ifindex: int, flags: int, found: dict[str, Any]) -> Hop:
    text = found.get("RTA_GATEWAY") or found.get("RTA_VIA", {}).get("addr")  # via: other family
    gateway = ip_address(text) if text else None
    return Hop(
        ifindex,
        None if gateway is None or gateway.is_unspecified else gateway,
        carrier=not flags & RTNH_F_LINKDOWN,
        dead=bool(flags & RTNH_F_DEAD),
        encapsulated="RTA_ENCAP_TYPE" in found,
    )


def _route(message: Message) -> Route | None:
    family, kind = message["family"], message["type"]
    if family not in ANYWHERE or message["flags"] & CACHED:
        return None
    found = _attributes(message, *OF_ROUTES)
    table = found.get("RTA_TABLE", message["table"])
    local = table == TABLE_LOCAL and kind == LOCAL
    ours = table == TABLE_MAIN and (kind == UNICAST or kind in BLOCKED)
    if message["src_len"] or message["tos"] or not (local or ours):
        return None
    prefix = ip_network((found.get("RTA_DST", ANYWHERE[family]), message["dst_len"]))
    metrics = found.get("RTA_METRICS")
    mtu = metrics.get_attr("RTAX_MTU") if metrics else None
    hops = _hops(message, found) if kind in (UNICAST, LOCAL) else ()
    return Route(prefix, hops, found.get("RTA_PRIORITY", 0), mtu or 0, local)


def _hops(message: Message, found: dict[str, Any]) -> tuple[Hop, ...]:
    several = found.get("RTA_MULTIPATH")
    if several is None:
        return (_hop(found.get("RTA_OIF", 0), message["flags"], found),)
    return tuple(_hop(one["oif"], one["flags"], _attributes(one, *OF_HOPS)) for one in several)


def _neighbor(message: Message) -> Neighbor | None:
    found, state = _attributes(message, "NDA_DST", "NDA_LLADDR"), Nud(message["state"])
    if message["family"] not in ANYWHERE or "NDA_DST" not in found:
        return None
    mac = _mac(found.get("NDA_LLADDR")) if state & USABLE else b""
    return Neighbor(message["ifindex"], ip_address(found["NDA_DST"]), mac, state)


READERS: dict[int, Callable[[Message], Record | None]] = {
    Kind.LINK: _link,
    Kind.ROUTE: _route,
    Kind.NEIGHBOR: _neighbor,
}
