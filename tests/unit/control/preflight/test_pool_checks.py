"""
The checks of pools, VIPs and tables.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from lbctl.control.preflight.facts import Pool, Room
from lbctl.control.preflight.pool_checks import POOL_CHECKS, ROOM_CHECKS, SERVICE_CHECKS
from lbctl.model import Vip
from tests.unit.control.preflight.made import SERVICE, judged

WEB = Pool("web", vips=1, backends=2, serving="web")
LIST = "lbctl backend list web"
POOLS = {
    "all is well": (WEB, {}),
    "no back-end": (
        replace(WEB, backends=0, serving=None),
        {"empty_pool": ("warning", "lbctl backend add web ADDR:PORT")},
    ),
    "no VIP": (
        replace(WEB, vips=0),
        {"empty_pool": ("note", "lbctl vip add web ADDR:PORT/PROTO")},
    ),
    "nobody": (replace(WEB, serving=None), {"nobody_serves": ("error", LIST)}),
    "a backup": (replace(WEB, serving="sorry"), {"backup_serves": ("warning", LIST)}),
}
UNSEEN = replace(SERVICE, seen=0)
SIX = replace(UNSEEN, vip=Vip.parse("[2001:db8:f::1]:80/tcp"))
SERVICES = {
    "all is well": (SERVICE, {}),
    "an address of the switch": (
        replace(UNSEEN, local=True),
        {"vip_local": ("note", "ip address show to 203.0.113.10")},
    ),
    "the addresses are not known": (
        replace(SERVICE, local=None),
        {"vip_local": "?"},
    ),
    "nobody answers for it": (
        replace(UNSEEN, network="eth0"),
        {
            "vip_without_arp": (
                "warning",
                "ip neighbor add proxy 203.0.113.10 dev eth0",
            )
        },
    ),
    "nobody answers for it, IPv6": (
        replace(SIX, network="eth0"),
        {
            "vip_without_arp": (
                "warning",
                "ip -6 neighbor add proxy 2001:db8:f::1 dev eth0",
            )
        },
    ),
    "somebody answers for it": (replace(UNSEEN, network="eth0", answered=True), {}),
    "in a network, and packets come all the same": (replace(SERVICE, network="eth0"), {}),
    "never a packet": (
        UNSEEN,
        {
            "vip_without_packets": (
                "note",
                "ip route add 203.0.113.10 via SWITCH  # on the router in front",
            )
        },
    ),
}


@pytest.mark.parametrize(("pool", "expected"), POOLS.values(), ids=POOLS)
def test_pool(pool, expected):
    """
    What is said of such a pool.
    """
    assert expected == judged(POOL_CHECKS, pool)


@pytest.mark.parametrize(("service", "expected"), SERVICES.values(), ids=SERVICES)
def test_service(service, expected):
    """
    What is said of such a VIP.
    """
    assert expected == judged(SERVICE_CHECKS, service)


@pytest.mark.parametrize(("used", "full"), [(0, False), (899, False), (900, True), (1500, True)])
def test_room(used, full):
    """
    From nine tenths on; the connection table may hold more than it keeps in comfort.
    """
    expected = {"table_room": ("warning", "lbctld --fresh --connections 2000")}

    found = judged(ROOM_CHECKS, Room("connections", used, 1000, "connections"))
    assert (expected if full else {}) == found
