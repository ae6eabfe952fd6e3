"""
The interface daemon: own the pseudo interfaces, and have the kernel send by them what is theirs.

Makes the pairs of NICs, and the rules, routes and neighbors that lead programs' packets through the
switch; has attached NICs answer for the IPv6 addresses; leads the answers of back-ends that are the
switch itself back to it.  Acts when it is told to, and only on what is of its instance.  Attaches
no switching processor and writes no table of the switch: who calls it does.
"""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from lbctl.control.interfaces.facts import facts_of, strict_filters
from lbctl.control.interfaces.kernel import Kernel
from lbctl.control.interfaces.plan import (
    Put,
    addresses_of,
    changes,
    differing,
    local_servers,
    wanted,
)
from lbctl.control.interfaces.records import Claim, Way
from lbctl.errors import LbctlError
from lbctl.model import Configuration
from lbctl.pseudo import device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lbctl.control.interfaces.plan import Delete
    from lbctl.control.routing.records import IPNetwork
    from lbctl.model import IPAddress, Pseudo
    from lbctl.pseudo.device import Device
    from lbctl.switching.nics import AttachedNic

log = logging.getLogger(__name__)

USUAL_MTU = 1500  # while no NIC is attached


class PseudoHop(NamedTuple):
    """How a packet gets into a pseudo interface: the switch's end, both MACs, MTU."""

    ifindex: int
    destination_mac: bytes
    source_mac: bytes
    mtu: int


class InterfaceDaemon:
    """
    The pseudo interfaces of one instance.

    *attached* tells the NICs that have a switching processor; those of pseudo interfaces may be
    among them.  *routes* tells the prefixes of the switch's routing table, each with whether it
    could send there now; who changes them calls `follow`, in any thread.  Works in the network
    namespace of whoever calls.
    """

    def __init__(
        self,
        name: str,
        attached: Callable[[], Sequence[AttachedNic]],
        routes: Callable[[], Mapping[IPNetwork, bool]] = dict,
    ) -> None:
        self.name = name
        self._attached, self._routes = attached, routes
        self._lock = threading.RLock()  # whoever holds it may ask for routes
        self._last = Configuration()  # what was asked for last
        self._known: Mapping[IPNetwork, bool] = {}
        self._unclaimed: tuple[str, ...] = ()

    # -- what it tells -------------------------------------------------------------------------

    def inner(self, pseudo: Pseudo) -> str:
        """The name of the NIC that a switching processor is for."""
        return device.inner_name(pseudo.name)

    def addresses(self, configuration: Configuration) -> frozenset[IPAddress]:
        """The control VIPs."""
        return addresses_of(configuration)

    def next_hops(self, configuration: Configuration) -> dict[IPAddress, PseudoHop]:
        """How packets get to the control VIPs; without those whose interface is not there."""
        return {
            interface.ip: PseudoHop(
                found.inner.ifindex, found.outer.mac, found.inner.mac, found.outer.mtu
            )
            for pseudo in configuration.pseudo
            if (found := device.find(self.name, pseudo.name))
            for interface in pseudo.addresses
        }

    def warnings(self, configuration: Configuration) -> list[str]:
        """What keeps others from finding the control VIPs, each in a line."""
        if not configuration.pseudo:
            return []
        inner = {self.inner(pseudo) for pseudo in configuration.pseudo}
        nics = [nic.name for nic in self._attached() if nic.name not in inner]
        versions = {address.version for address in addresses_of(configuration)}
        return [*self._unclaimed, *(strict_filters(nics) if 4 in versions else ())]

    # -- what it does --------------------------------------------------------------------------

    def ensure(self, configuration: Configuration) -> None:
        """
        Have the pseudo interfaces of *configuration*, whole and with their addresses.

        Whatever else there is stays.  Raises LbctlError: Conflict where a name is taken.
        """
        smallest = self._smallest_mtu() if configuration.pseudo else 0
        for pseudo in configuration.pseudo:
            if pseudo.mtu and pseudo.mtu > device.MTU_MOST:
                raise LbctlError(
                    f"pseudo interface {pseudo.name!r}: an MTU of {pseudo.mtu} is more than XDP "
                    f"takes there; choose {device.MTU_MOST} at most"
                )
            device.ensure(self.name, pseudo, pseudo.mtu or min(smallest, device.MTU_MOST))

    def refresh(self, configuration: Configuration) -> None:
        """
        Make it so again, whatever has changed.

        NICs were attached, detached or got another MAC; somebody deleted an address by hand.
        """
        with self._lock:
            self.ensure(configuration)
            self._write(configuration)

    def follow(self) -> None:
        """
        Hear that routes or NICs have changed: send by the switch where it knows a way to now.

        The kernel forgets neighbors of a NIC that gets another MAC.
        """
        with self._lock:
            if self._last.pseudo or local_servers(self._last):
                self._write(self._last)

    def remove_all_but(self, configuration: Configuration) -> None:
        """Remove the interfaces, addresses and rules that *configuration* does not have."""
        kept = {pseudo.name: pseudo for pseudo in configuration.pseudo}
        with self._lock:
            self._write(configuration)
            for name in device.names(self.name):
                if name in kept:
                    device.trim(self.name, kept[name])
                else:
                    device.remove(self.name, name)

    # -- behind the curtain --------------------------------------------------------------------

    def _smallest_mtu(self) -> int:
        inner = {device.inner_name(name) for name in device.names(self.name)}
        mtus = device.mtus(nic.ifindex for nic in self._attached() if nic.name not in inner)
        return min(mtus, default=USUAL_MTU)

    def _devices(self, configuration: Configuration) -> dict[str, Device]:
        """All that exist of this instance, those that are to go as well."""
        names = {*device.names(self.name), *(pseudo.name for pseudo in configuration.pseudo)}
        found = {name: device.find(self.name, name) for name in names}
        return {name: one for name, one in found.items() if one}

    def _write(self, configuration: Configuration) -> None:
        """Have the kernel hold what *configuration* needs, and nothing else of ours."""
        self._last, self._known = configuration, differing(self._routes())
        devices = self._devices(configuration)
        with closing(Kernel(self.name)) as kernel:
            nics, own = self._attached(), kernel.own()
            facts = facts_of(configuration, devices, nics, own, self._known)
            want = wanted(self.name, configuration, facts)
            known = {i.ip for one in devices.values() for i in one.addresses}
            have = kernel.held(
                {record.table for record in want if isinstance(record, Way)},
                known | addresses_of(configuration),
            )
            self._carry_out(kernel, changes(have, want))

    def _carry_out(self, kernel: Kernel, todo: Iterable[Put | Delete]) -> None:
        """One that fails does not keep the others from being done; raises the first failure."""
        failures: list[LbctlError] = []
        unclaimed: list[Claim] = []
        for change in todo:
            try:
                if isinstance(change, Put):
                    kernel.put(change.record)
                else:
                    kernel.delete(change.record)
            except LbctlError as error:
                log.debug("%s", error)
                if isinstance(change.record, Claim):  # IPv6 is off on that NIC: nobody asks there
                    unclaimed.append(change.record)
                else:
                    failures.append(error)
        self._unclaimed = tuple(map(_complaint, unclaimed))
        if failures:
            raise failures[0]


def _complaint(claim: Claim) -> str:
    name = socket.if_indextoname(claim.ifindex)
    return (
        f"{name} does not answer for {claim.address}, so hosts on its network cannot find it: is "
        f"IPv6 off there? `sysctl net.ipv6.conf.{name}.disable_ipv6`"
    )
