"""
The importer of IPVS: make pools of what `ipvsadm -Sn` prints.

A service becomes a pool with its name made of the VIP.  Pure: reads a text, asks nobody.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lbctl.cli.importing import ipvsadm_words as ipvs
from lbctl.cli.importing.building import Imported, Names, vip_name
from lbctl.cli.importing.ipvsadm_scheduler import scheduler
from lbctl.cli.importing.ipvsadm_words import Line
from lbctl.cli.importing.remarks import Remarks
from lbctl.errors import LbctlError
from lbctl.model import (
    ANY_PORT,
    Backend,
    Configuration,
    Forward,
    Pool,
    Protocol,
    Scheduler,
    SocketAddress,
    State,
    Vip,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbctl.model import IPAddress

PROTOCOLS = {"-t": Protocol.TCP, "-u": Protocol.UDP}
MOST_WEIGHT = 65535
SOME_PORT = 1  # of a server whose port is the packet's
NOT_MINE = "only -A and -a add something; give the output of `ipvsadm -Sn`"
KINDS = {
    "-f": "services by firewall mark do not exist; make one of VIP and port",
    "--sctp-service": "only TCP and UDP are balanced",
}
PASSED_OVER = {
    "-x": "lbctl does not limit the connections of a server",
    "-y": "lbctl does not limit the connections of a server",
    "-M": "a client is its whole address",
    "-o": "packets of a client's port stay with one server while settings.timeouts.udp lasts",
    "--pe": "nothing in the payload decides on a server",
}
NO_CHECKS = "ipvsadm knows no health checks, so the pools have none; add `health` to them"


@dataclass
class _Service:
    """A service and those of its servers that were taken."""

    vip: Vip
    line: Line
    scheduler: Scheduler
    servers: list[tuple[Line, Forward, Backend]] = field(default_factory=list)


def read(text: str, *, merge: bool) -> Imported:
    """
    Read *text*; with *merge* services that differ in their VIPs only share a pool.

    Raises LbctlError if no line adds a service.
    """
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), start=1):
        reader.feed(number, line)
    if not reader.services:
        raise LbctlError("there is no service in it; give the output of `ipvsadm -Sn`")
    names = Names()
    services = [service for service in reader.services.values() if service]
    pools = [_pool(service, names, reader.remarks) for service in services]
    made = Configuration(pools=_merged(pools) if merge else tuple(pools))
    _warn_of_any_port(made, reader.remarks)
    if pools:
        reader.remarks.note(NO_CHECKS)
    return Imported(made, reader.remarks)


class _Reader:
    """Collects the services, line by line; None is one that was not taken."""

    def __init__(self) -> None:
        self.remarks = Remarks()
        self.services: dict[tuple[str, str], _Service | None] = {}
        self._vips: set[Vip] = set()

    def feed(self, number: int, text: str) -> None:
        """Read a line."""
        try:
            line = ipvs.split(number, text)
            if line and ipvs.ADD_SERVICE in line.options:
                self._add_service(line)
            elif line and ipvs.ADD_SERVER in line.options:
                self._add_server(line)
            elif line:
                self.remarks.not_taken(number, line.text, NOT_MINE)
        except ValueError as err:
            self.remarks.not_taken(number, text.strip(), str(err))

    def _add_service(self, line: Line) -> None:
        kind, address = line.service
        if line.service in self.services:
            raise ValueError("this service is there already")
        self.services[line.service] = None
        if kind in KINDS:
            raise ValueError(KINDS[kind])
        vip = _vip(address, PROTOCOLS[kind])
        if vip in self._vips:
            raise ValueError("this service is there already")
        self._vips.add(vip)
        deals = scheduler(line, self.remarks)
        self._pass_over(line)
        self.services[line.service] = _Service(vip, line, deals)

    def _add_server(self, line: Line) -> None:
        if line.service not in self.services:
            raise ValueError("its service is not added before it")
        service = self.services[line.service]
        if service is None:
            raise ValueError("its service was not taken")
        if "-i" in line.options:
            raise ValueError("there are no tunnels: reach the server with -m (nat) or -g (dsr)")
        forward = Forward.NAT if "-m" in line.options else Forward.DSR
        address = _server(line, service.vip, forward, self.remarks)
        for _, _, other in service.servers:
            any_port = service.vip.port == ANY_PORT and other.address.address == address.address
            if any_port or other.address == address:
                raise ValueError("this server is there already")
        backend = _backend(address, line, self.remarks)
        self._pass_over(line)
        service.servers.append((line, forward, backend))

    def _pass_over(self, line: Line) -> None:
        for option, why in PASSED_OVER.items():
            value = line.options.get(option)
            if value is not None and not (option in ("-x", "-y") and value == "0"):
                self.remarks.not_taken(line.number, f"{option} {value}".strip(), why)


def _split(address: str) -> tuple[str, str]:
    """Split host and port; without a port, 0, as ipvsadm has it."""
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        return address, "0"
    return host, port


def _numbers(err: ValueError) -> ValueError:
    return ValueError(f"{err}; names become numbers with -n: `ipvsadm -Sn`")


def _vip(address: str, protocol: Protocol) -> Vip:
    host, port = _split(address)
    try:
        return Vip.parse(f"{host}:{'*' if port == '0' else port}/{protocol}")
    except ValueError as err:
        raise _numbers(err) from None


def _server(line: Line, vip: Vip, forward: Forward, remarks: Remarks) -> SocketAddress:
    """Where a server is reached.  Raises ValueError where it cannot be taken."""
    text = line.options["-r"]
    host, port = _split(text)
    if ":" not in text.rpartition("]")[2] or port == "0":
        port = str(vip.port or SOME_PORT)
        if vip.port == ANY_PORT:
            why = (
                f"the port is the packet's; {SOME_PORT} stands for it, and health checks ask there"
            )
            remarks.differs(line.number, text, f"{why} unless they have a port")
    elif vip.port == ANY_PORT and forward is Forward.NAT:
        remarks.differs(line.number, text, "packets keep their port: the VIP has any")
    try:
        address = SocketAddress.parse(f"{host}:{port}")
    except ValueError as err:
        raise _numbers(err) from None
    if forward is Forward.DSR and vip.port not in (ANY_PORT, address.port):
        raise ValueError(f"dsr cannot change the port: the server must listen on {vip.port}")
    if address.address.version != vip.address.version:
        raise ValueError("VIP and servers must be of one address family")
    return address


def _backend(address: SocketAddress, line: Line, remarks: Remarks) -> Backend:
    text = line.options.get("-w", "1")
    if not text.isdecimal() or not text.isascii() or len(text) > 10:
        raise ValueError(f"the weight must be a number, not {text!r}")
    weight = int(text)
    if weight > MOST_WEIGHT:
        remarks.differs(line.number, f"-w {text}", f"the highest weight is {MOST_WEIGHT}")
    if weight == 0:
        why = "the server drains; when it is restored it has weight 1"
        remarks.differs(line.number, "-w 0", why)
        return Backend(address=address, state=State.DRAINING)
    return Backend(address=address, weight=min(weight, MOST_WEIGHT))


def _pool(service: _Service, names: Names, remarks: Remarks) -> Pool:
    """Make a pool of a service; where servers are reached in two ways, the more usual one stays."""
    ways = Counter(forward for _, forward, _ in service.servers)
    forward = ways.most_common(1)[0][0] if ways else Forward.NAT
    for line, other, _ in service.servers:
        if other is not forward:
            why = f"a pool has one way to its servers, and most of these have {forward}"
            remarks.not_taken(line.number, line.text, why)
    if not service.servers:
        remarks.differs(service.line.number, service.line.text, "it has no servers")
    return Pool(
        name=names.give(vip_name(service.vip)),
        vips=(service.vip,),
        forward=forward,
        scheduler=service.scheduler,
        backends=tuple(b for _, other, b in service.servers if other is forward),
    )


def _merged(pools: Iterable[Pool]) -> tuple[Pool, ...]:
    """Put VIPs whose pools are alike into the first of them."""
    found: dict[object, Pool] = {}
    for pool in pools:
        family = pool.vips[0].address.version
        servers = frozenset((b.address, b.weight, b.state) for b in pool.backends)
        alike = (family, pool.forward, pool.scheduler, servers)
        first = found.get(alike)
        if first and servers:
            found[alike] = Pool(**{**dict(first), "vips": (*first.vips, *pool.vips)})
        else:
            found[alike if servers else pool.name] = pool
    return tuple(found.values())


def _warn_of_any_port(made: Configuration, remarks: Remarks) -> None:
    """Tell where replies of a NAT server could belong to two VIPs: `apply` would refuse that."""
    uses: dict[tuple[IPAddress, Protocol], set[Vip]] = {}
    for pool in made.pools:
        for vip in pool.vips if pool.forward is Forward.NAT else ():
            for backend in pool.backends:
                uses.setdefault((backend.address.address, vip.protocol), set()).add(vip)
    for (host, _), vips in uses.items():
        if len(vips) > 1 and any(vip.port == ANY_PORT for vip in vips):
            why = "a server of a VIP with port `*` must not serve another VIP of that protocol"
            remarks.note(f"{host}: {why}; give it a second address, or `apply` refuses")
