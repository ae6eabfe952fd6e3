"""
The pseudo device: make, repair and remove the veth pair that a pseudo interface is.

    programs ── [ lb0 ]══════[ lb0-s ] ── switching processor
                 outer        inner

Whatever is found under the name is made right; what is not of this instance is left alone, and
named.  Works in the network namespace of the calling thread.  Makes no routes and no rules.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from hashlib import blake2b
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import TYPE_CHECKING, Any, NamedTuple

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_NODAD, IFA_F_NOPREFIXROUTE
from pyroute2.netlink.rtnl.ifinfmsg import IFF_NOARP, IFF_UP

from lbctl.errors import Conflict, LbctlError, NotPermitted
from lbctl.pseudo import offloads

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbctl.model import Pseudo

IPInterface = IPv4Interface | IPv6Interface
KIND = "veth"
QUEUES_MOST = 64
# Of a link: no link-local address comes by itself.
NO_LINK_LOCAL = {"attrs": [("AF_INET6", {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", 1)]})]}
READY = IFF_UP | IFF_NOARP
MTU_MOST = 3506  # bytes of a packet; native XDP has a frame in one page


class End(NamedTuple):
    """One end of a pair, or any NIC of that name; *peer*: 0 if its other end is not here."""

    name: str
    ifindex: int
    mac: bytes
    mtu: int
    flags: int
    kind: str
    alias: str
    peer: int


class Device(NamedTuple):
    """A pseudo interface as it is: *outer* is for programs, *inner* for the switch."""

    outer: End
    inner: End
    addresses: frozenset[IPInterface]


def inner_name(name: str) -> str:
    """The name of the switch's end."""
    return f"{name}-s"


def outer_alias(owner: str) -> str:
    """What marks the programs' end as one of the instance *owner*."""
    return f"lbctl {owner} pseudo"


def inner_alias(owner: str) -> str:
    """What marks the switch's end."""
    return f"{outer_alias(owner)} inner"


def is_outer(alias: str) -> bool:
    """Whether that marks the programs' end of a pseudo interface, of whichever instance."""
    return alias.startswith("lbctl ") and alias.endswith(" pseudo")


def mac_of(owner: str, name: str) -> bytes:
    """A MAC of our own choice, always the same: udev changes those that the kernel chooses."""
    digest = blake2b(f"{owner} {name}".encode(), digest_size=6).digest()
    return bytes([digest[0] & 0xFC | 0x02, *digest[1:]])


def find(owner: str, name: str) -> Device | None:
    """The pseudo interface of that name, if it is there, whole, and of this instance."""
    with IPRoute() as kernel:
        return _Pair(kernel, owner, name).device()


def names(owner: str) -> list[str]:
    """The pseudo interfaces of this instance that exist."""
    with IPRoute() as kernel:
        found = [_end(link) for link in kernel.link("dump")]
    return sorted(end.name for end in found if end.alias == outer_alias(owner))


def mtus(indices: Iterable[int]) -> list[int]:
    """The MTUs of these NICs; without those that are gone."""
    wanted = set(indices)
    with IPRoute() as kernel:
        return [end.mtu for end in map(_end, kernel.link("dump")) if end.ifindex in wanted]


def ensure(owner: str, pseudo: Pseudo, mtu: int) -> Device:
    """
    Have the interface with an MTU of *mtu*, up and with its addresses, whatever was there before.

    Addresses that it is not to have any more stay until `trim`.  Raises Conflict where the name is
    somebody else's.
    """
    with IPRoute() as kernel:
        try:
            return _Pair(kernel, owner, pseudo.name).ensure(pseudo.addresses, mtu)
        except NetlinkError as error:
            raise _refusal(pseudo.name, error) from error
        except OSError as error:
            raise LbctlError(f"pseudo interface {pseudo.name!r}: {error.strerror}") from error


def trim(owner: str, pseudo: Pseudo) -> None:
    """Take the addresses away that are not configured."""
    with IPRoute() as kernel:
        device = _Pair(kernel, owner, pseudo.name).device()
        if device is None:
            return
        for address in device.addresses - set(pseudo.addresses):
            with suppress(NetlinkError):  # it went by itself
                kernel.addr("del", index=device.outer.ifindex, **_spelled(address))


def remove(owner: str, name: str) -> None:
    """Remove the interface; one that is not of this instance stays."""
    with IPRoute() as kernel:
        _Pair(kernel, owner, name).remove()


class _Pair:
    """A pair of names, and what the kernel has under them."""

    def __init__(self, kernel: IPRoute, owner: str, name: str) -> None:
        self._kernel, self._name = kernel, name
        self._aliases = {name: outer_alias(owner), inner_name(name): inner_alias(owner)}
        self._macs = {end: mac_of(owner, end) for end in self._aliases}
        self._look()

    def _look(self) -> None:
        self._ends = {name: _named(self._kernel, name) for name in self._aliases}

    def device(self) -> Device | None:
        """What there is, if it is ours and whole."""
        outer, inner = self._ends.values()
        if outer is None or inner is None or not self._is_ours(outer):
            return None
        if not self._is_ours(inner) or outer.peer != inner.ifindex:
            return None
        return Device(outer, inner, _addresses(self._kernel, outer.ifindex))

    def ensure(self, addresses: Iterable[IPInterface], mtu: int) -> Device:
        """Make or repair it."""
        for end in self._ends.values():
            if end and not self._is_ours(end) and not self._is_half_made():
                raise Conflict(
                    f"pseudo interface {self._name!r}: there is a NIC {end.name} already, which "
                    f"lbctl did not make; choose another name, or `ip link delete {end.name}`"
                )
        if self.device() is None and not self._is_half_made():
            self.remove()
            self._create()
        for name, end in self._ends.items():
            if end:
                self._repair(name, end, mtu)
        offloads.set_up(self._name)
        self._look()
        device = self.device()
        if device is None:
            raise LbctlError(
                f"pseudo interface {self._name!r}: somebody changes it at the same time; try again"
            )
        for address in set(addresses) - device.addresses:
            self._add(device.outer.ifindex, address)
        return device._replace(addresses=device.addresses | set(addresses))

    def remove(self) -> None:
        """Remove both ends, if they are ours."""
        for end in self._ends.values():
            if end and self._is_ours(end):
                with suppress(NetlinkError):  # it went with the other one
                    self._kernel.link("del", index=end.ifindex)

    def _is_ours(self, end: End) -> bool:
        return end.alias == self._aliases[end.name]

    def _is_half_made(self) -> bool:
        """Whether this is what `_create` leaves when the process is killed right after it."""
        outer, inner = self._ends.values()
        if outer is None or inner is None or outer.peer != inner.ifindex:
            return False
        return all(self._macs[end.name] == end.mac for end in (outer, inner))

    def _create(self) -> None:
        """Both ends with as many queues as there are CPUs: each sends by one of its own."""
        queues = min(os.cpu_count() or 1, QUEUES_MOST)
        count = {"num_tx_queues": queues, "num_rx_queues": queues}
        outer, inner = (
            {"ifname": name, "address": mac.hex(":"), **count} for name, mac in self._macs.items()
        )
        self._kernel.link("add", kind=KIND, peer=inner, **outer)
        self._look()

    def _repair(self, name: str, end: End, mtu: int) -> None:
        """Set what is not as it is to be."""
        alias, mac = self._aliases[name], self._macs[name]
        if end._replace(flags=end.flags & READY) == end._replace(
            flags=READY, mtu=mtu, alias=alias, mac=mac
        ):
            return
        self._kernel.link(
            "set",
            index=end.ifindex,
            ifalias=alias,
            address=mac.hex(":"),
            mtu=mtu,
            af_spec=NO_LINK_LOCAL,
        )
        self._kernel.link("set", index=end.ifindex, arp=False, state="up")

    def _add(self, index: int, address: IPInterface) -> None:
        try:
            self._kernel.addr("add", index=index, **_spelled(address))
        except NetlinkError as error:
            if error.code == errno.EEXIST:
                return
            if address.version == 6 and error.code == errno.EACCES:
                raise LbctlError(
                    f"pseudo interface {self._name!r}: IPv6 is off here, so it cannot have "
                    f"{address}; `sysctl -w net.ipv6.conf.{self._name}.disable_ipv6=0`"
                ) from error
            raise


def _named(kernel: IPRoute, name: str) -> End | None:
    """The NIC of that name, or None."""
    try:
        (link,) = kernel.link("get", ifname=name)
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return None
        raise
    return _end(link)


def _end(link: Any) -> End:  # noqa: ANN401 - pyroute2 carries no types
    """One NIC of what the kernel tells."""
    info = link.get_attr("IFLA_LINKINFO")
    mac = bytes.fromhex((link.get_attr("IFLA_ADDRESS") or "").replace(":", ""))
    here = link.get_attr("IFLA_LINK_NETNSID") is None
    return End(
        link.get_attr("IFLA_IFNAME"),
        link["index"],
        mac,
        link.get_attr("IFLA_MTU") or 0,
        link["flags"],
        (info.get_attr("IFLA_INFO_KIND") if info else None) or "",
        link.get_attr("IFLA_IFALIAS") or "",
        (link.get_attr("IFLA_LINK") or 0) if here else 0,
    )


def _addresses(kernel: IPRoute, index: int) -> frozenset[IPInterface]:
    """The addresses of a NIC, as they were given."""
    found = kernel.addr("dump", index=index)
    texts = [(one.get_attr("IFA_LOCAL") or one.get_attr("IFA_ADDRESS"), one) for one in found]
    return frozenset(ip_interface(f"{text}/{one['prefixlen']}") for text, one in texts)


def _spelled(address: IPInterface) -> dict[str, Any]:
    """
    An address as pyroute2 wants it.

    Without a route to its prefix: that would take packets of the switch's own away from its NICs.
    """
    return {
        "address": str(address.ip),
        "prefixlen": address.network.prefixlen,
        "flags": IFA_F_NODAD | IFA_F_NOPREFIXROUTE,
    }


def _refusal(name: str, error: NetlinkError) -> LbctlError:
    """What the kernel's refusal means."""
    if error.code in (errno.EPERM, errno.EACCES):
        return NotPermitted(f"pseudo interface {name!r}: only root may make NICs; start as root")
    reason = os.strerror(error.code)
    return LbctlError(f"pseudo interface {name!r}: the kernel refuses: {reason}; see `dmesg`")
