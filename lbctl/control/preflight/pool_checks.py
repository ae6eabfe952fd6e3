"""
The checks of pools: who serves, whether VIPs are reached, and the room that tables have.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control.preflight.finding import Told, error, known, note, warning

if TYPE_CHECKING:
    from lbctl.control.preflight.facts import Pool, Room, Service

NEARLY = 0.9  # of a table's room


def empty_pool(pool: Pool) -> Told | None:
    """It has nothing that clients could connect to, or nobody behind that."""
    if not pool.backends:
        return warning(
            "has no back-end",
            "nobody serves its clients",
            f"lbctl backend add {pool.name} ADDR:PORT",
        )
    if not pool.vips:
        return note(
            "has no VIP",
            "it serves only where another pool names it",
            f"lbctl vip add {pool.name} ADDR:PORT/PROTO",
        )
    return None


def nobody_serves(pool: Pool) -> Told | None:
    """All its back-ends are out, and there is no backup."""
    if pool.serving is not None or not pool.backends:
        return None
    return error(
        "has no active back-end",
        "packets of new connections are dropped as DROP_NO_BACKEND",
        f"lbctl backend list {pool.name}",
    )


def backup_serves(pool: Pool) -> Told | None:
    """Another pool stands in for it."""
    if pool.serving in (None, pool.name):
        return None
    return warning(
        f"is served by its backup {pool.serving}",
        "too few of its own back-ends are well",
        f"lbctl backend list {pool.name}",
    )


def vip_local(service: Service) -> Told | None:
    """The VIP is an address of the switch itself."""
    if not known(service.local, "the addresses of the switch are not known"):
        return None
    address = service.vip.address
    return note(
        "is an address of this switch, too",
        "ports without a service are the kernel's instead of being refused, and programs on the "
        "switch that connect to it get the switch itself",
        f"ip address show to {address}",
    )


def vip_without_arp(service: Service) -> Told | None:
    """It is in the network of a NIC, where nobody answers ARP for it."""
    if service.local or service.network is None or service.answered or service.seen:
        return None
    address = service.vip.address
    family = "" if address.version == 4 else "-6 "
    return warning(
        f"is in the network of NIC {service.network}, and nobody answers "
        f"{'ARP' if address.version == 4 else 'neighbor solicitation'} for it",
        "hosts of that network ask for its MAC instead of sending to the switch",
        f"ip {family}neighbor add proxy {address} dev {service.network}",
    )


def vip_without_packets(service: Service) -> Told | None:
    """Nothing has come for it so far."""
    if service.local or service.network is not None or service.seen:
        return None
    address = service.vip.address
    return note(
        "has not got a single packet so far",
        "clients and routers need a route for it that leads to this switch",
        f"ip route add {address} via SWITCH  # on the router in front",
    )


def table_room(room: Room) -> Told | None:
    """It is nearly full."""
    if room.used < NEARLY * room.size:
        return None
    return warning(
        f"is nearly full: {room.used} of {room.size}",
        "what does not fit is refused, and a connection without an entry loses its back-end when "
        "slots move; tables are made larger by starting lbctld afresh",
        f"lbctld --fresh --{room.option} {2 * room.size}",
    )


POOL_CHECKS = (empty_pool, nobody_serves, backup_serves)
SERVICE_CHECKS = (vip_local, vip_without_arp, vip_without_packets)
ROOM_CHECKS = (table_room,)
