"""
The VIP routes: how a check that is meant for a VIP reaches one certain server.

A server of a DSR pool answers clients as the VIP, so that only a packet for the VIP tells whether
it would.  The kernel of the switch sends such a packet to a server of our choice when its socket
has a mark, and the mark has a routing table of its own:

    ip rule add priority 97 fwmark MARK lookup MARK protocol 76
    ip route replace default via SERVER table MARK
    ip route replace unreachable default metric 4294967295 table MARK

The last one is for the time when the server's link is down: without it a check would follow the
main table, and be answered by some other server.  The server's answer comes from the VIP to the
switch's own address; a strict reverse path filter drops it unless the VIP's route leads to the
same NIC, a loose one unless there is a route at all.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import rt_type

from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbctl.control.health.target import Target
    from lbctl.control.health.targets import Key
    from lbctl.model import IPAddress

log = logging.getLogger(__name__)

FIRST, COUNT = 0x4C420000, 1 << 12  # marks and numbers of tables that are ours
PRIORITY = 97  # before whatever rules the administrator has, after the local table
PROTOCOL = 76  # who made a rule or a route; not among those of /etc/iproute2/rt_protos
LAST = (1 << 32) - 1  # the metric of a route that is taken when there is no other
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
STRICT = 1  # net.ipv4.conf.*.rp_filter; the larger of two settings holds
SETTINGS = Path("/proc/sys/net/ipv4/conf")


class VipRoutes:
    """
    The routes of this network namespace that lead to one server each.

    *first* is the lowest of COUNT marks; two switches in one namespace need different ones.
    """

    def __init__(self, first: int = FIRST) -> None:
        self._range = range(first, first + COUNT)
        # An IPRoute works in one thread only, which is of the namespace of the one that starts it.
        self._thread = ThreadPoolExecutor(1, "vip-routes")
        self._kernel: IPRoute = self._thread.submit(IPRoute).result()
        self._marks: dict[IPAddress, int] | None = None  # None: what is there is not ours yet
        self._told: set[str] = set()

    def assign(self, wanted: Iterable[Target]) -> dict[Key, int]:
        """
        Make a route for each target that has a VIP, and remove all others.

        Returns the marks.  A target without one cannot be reached so; the log says why.
        """
        return self._thread.submit(self._assign, list(wanted)).result()

    async def mend(self, target: Target) -> None:
        """Put a target's route back: the kernel removes it when the link goes down."""
        await asyncio.wrap_future(self._thread.submit(self._mend, target))

    def clear(self) -> None:
        """Remove all rules and routes of ours, also those that a crash has left."""
        self._thread.submit(self._clear).result()

    def close(self) -> None:
        """Remove all, and give the socket back."""
        self.clear()
        self._thread.submit(self._kernel.close).result()
        self._thread.shutdown()

    # -- in the thread ---------------------------------------------------------------------

    def _assign(self, wanted: list[Target]) -> dict[Key, int]:
        if self._marks is None:
            self._clear()
        marks = self._marks = self._marks or {}
        goals = [target for target in wanted if target.vip]
        for server in marks.keys() - {target.address.address for target in goals}:
            self._remove(server.version, marks.pop(server))
        given: dict[Key, int] = {}
        for target in goals:
            try:
                given[target.pool, target.address] = self._way(target, marks)
            except LbctlError as error:
                self._warn(f"pool {target.pool}: back-end {target.address}: {error}")
        return given

    def _mend(self, target: Target) -> None:
        server = target.address.address
        if (self._marks or {}).get(server) == target.mark:
            with suppress(LbctlError):  # as long as the link is down
                self._route(server, target.mark)

    def _way(self, target: Target, marks: dict[IPAddress, int]) -> int:
        """The mark of a target, made if need be and proved."""
        server = target.address.address
        if server not in marks:
            mark = self._free(marks)
            self._add(server, mark)
            marks[server] = mark
        try:
            self._route(server, marks[server])
        except LbctlError as error:  # as mend() will find it, too; until then checks fail
            self._warn(f"no route for checks via {server}: {error}; it must be on a link of ours")
        else:
            self._prove(target.host, server, marks[server])
        return marks[server]

    def _warn(self, text: str) -> None:
        """Log once what every change of the configuration would say again."""
        if text not in self._told:
            self._told.add(text)
            log.warning("%s", text)

    def _free(self, marks: dict[IPAddress, int]) -> int:
        used = set(marks.values())
        mark = next((number for number in self._range if number not in used), None)
        if mark is None:
            raise LbctlError(f"checks of VIPs can reach {COUNT} servers only; turn off to_vip")
        return mark

    def _add(self, server: IPAddress, mark: int) -> None:
        """The rule first: whatever a crash leaves is found by its rule."""
        self._ask(
            self._kernel.rule,
            "add",
            family=FAMILY[server.version],
            priority=PRIORITY,
            fwmark=mark,
            fwmask=LAST,
            table=mark,
            protocol=PROTOCOL,
        )
        self._default(server.version, mark, type=rt_type["unreachable"], priority=LAST)

    def _route(self, server: IPAddress, mark: int) -> None:
        self._default(server.version, mark, gateway=str(server), priority=1)

    def _default(self, version: int, mark: int, **more: object) -> None:
        family = FAMILY[version]
        self._ask(
            self._kernel.route,
            "replace",
            family=family,
            dst="default",
            table=mark,
            proto=PROTOCOL,
            **more,
        )

    def _prove(self, vip: IPAddress, server: IPAddress, mark: int) -> None:
        """Ask the kernel where it would send a marked packet for the VIP."""
        family = FAMILY[vip.version]
        (way,) = self._ask(self._kernel.route, "get", family=family, dst=str(vip), mark=mark)
        fields = dict(way["attrs"])
        if fields.get("RTA_GATEWAY") != str(server):
            raise LbctlError(f"{vip} is an address of this switch itself; turn off to_vip")
        if vip.version == 4:
            self._watch_filter(vip, fields["RTA_OIF"])

    def _watch_filter(self, vip: IPAddress, ifindex: int) -> None:
        """Warn if the kernel would drop the answers for coming from where no route leads."""
        with suppress(OSError):  # the NIC has just gone
            nic = socket.if_indextoname(ifindex)
            values = [int((SETTINGS / name / "rp_filter").read_text()) for name in ("all", nic)]
            if max(values) and not self._would_pass(vip, ifindex, strict=max(values) == STRICT):
                hint = f"sysctl net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{nic}.rp_filter=0"
                self._warn(f"{nic}: the reverse path filter drops answers from {vip}; run `{hint}`")

    def _would_pass(self, vip: IPAddress, ifindex: int, *, strict: bool) -> bool:
        """Whether a route leads back to *vip*: the strict filter wants it by the same NIC."""
        try:
            (way,) = self._ask(self._kernel.route, "get", family=FAMILY[4], dst=str(vip))
        except LbctlError:
            return False
        return not strict or dict(way["attrs"]).get("RTA_OIF") == ifindex

    def _clear(self) -> None:
        for version, family in FAMILY.items():
            rules = self._ask(self._kernel.get_rules, family=family)
            for fields in [dict(rule["attrs"]) for rule in rules]:
                mark: int = fields.get("FRA_FWMARK", 0)
                if fields.get("FRA_PROTOCOL") == PROTOCOL and mark in self._range:
                    self._remove(version, mark)
        self._marks = None
        self._told.clear()

    def _remove(self, version: int, mark: int) -> None:
        """The routes first; see `_add`."""
        family = FAMILY[version]
        with suppress(LbctlError):  # the link is down, the server's route gone
            while True:
                self._ask(self._kernel.route, "del", family=family, dst="default", table=mark)
        with suppress(LbctlError):
            self._ask(
                self._kernel.rule,
                "del",
                family=family,
                priority=PRIORITY,
                fwmark=mark,
                fwmask=LAST,
                table=mark,
                protocol=PROTOCOL,
            )

    def _ask(self, call: Callable[..., Any], *given: object, **named: object) -> Any:  # noqa: ANN401
        try:
            return call(*given, **named)
        except NetlinkError as error:
            raise LbctlError(str(error.args[1] if len(error.args) > 1 else error)) from error
