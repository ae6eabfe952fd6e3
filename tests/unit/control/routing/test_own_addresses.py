"""
Destinations that are the switch itself: behind a pseudo interface, or on a NIC without a program.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from lbctl.control.routing.reachability import neighbors_view, obstacle
from lbctl.control.routing.records import Hop, Link, Neighbor, Nud, Route
from lbctl.control.routing.snapshot import Routing, Snapshot
from lbctl.control.routing.translation import wanted
from lbctl.shared.abi import NextHopState
from lbctl.shared.routing import NextHop

INT0, INT1, MGMT, LB0, INNER, LO = 2, 3, 4, 11, 10, 1
SLOTS = {INT0: 5, INT1: 6, INNER: 7}
MACS = {index: bytes([2, 0, 0, 0, 1, index]) for index in (*SLOTS, MGMT, LB0)}
LINKS = {
    LO: Link(LO, "lo", b"", 65536, up=True),
    INT0: Link(INT0, "int0", MACS[INT0], 1400, up=True),
    INT1: Link(INT1, "int1", MACS[INT1], 1500, up=True),
    MGMT: Link(MGMT, "mgmt", MACS[MGMT], 1500, up=True),
    LB0: Link(LB0, "lb0", MACS[LB0], 1480, up=True, inner=INNER),
    INNER: Link(INNER, "lb0-s", MACS[INNER], 1500, up=True),
}
HERE, VIP, HOST = map(ip_address, ("10.0.1.5", "203.0.113.1", "10.0.1.11"))


def connected(prefix, nic):
    """A prefix whose hosts are on the network of a NIC."""
    return Route(ip_network(prefix), (Hop(nic, None),))


def local(address, nic):
    """An address of a NIC."""
    return Route(ip_network(address), (Hop(nic, None),), local=True)


ROUTES = [
    connected("10.0.1.0/24", MGMT),
    connected("10.0.1.0/24", INT0),
    local(HERE, MGMT),
    local("10.0.1.1", INT0),
    local("10.0.9.1", MGMT),
    local("198.51.100.1", LO),
    local(VIP, LB0),
]
RESOLVED = NextHopState.RESOLVED


def snapshot(routes=ROUTES, **links):
    """The kernel's routing, with some links otherwise."""
    changed = {link.ifindex: link for link in LINKS.values()}
    for link in links.values():
        changed[link.ifindex] = link
    return Snapshot.of(Routing(changed, routes), [])


def hop(address, kernel=None, slots=SLOTS):
    """The next hop of a destination."""
    host = ip_address(address)
    return wanted(kernel or snapshot(), slots, [host]).table.destinations[host]


def test_a_control_vip_is_behind_the_switchs_end_of_its_interface():
    """
    The frame gets the MAC of the programs' end, and the smaller MTU.
    """
    assert NextHop(7, MACS[LB0], MACS[INNER], 1480, RESOLVED) == hop(VIP)
    assert obstacle(snapshot(), SLOTS, VIP) is None


def test_the_interface_counts_before_nics_that_answer_for_its_address():
    """
    A NIC has the IPv6 address too, so that it answers neighbor solicitations.
    """
    kernel = snapshot([local(VIP, INT0), *ROUTES, local(VIP, MGMT)])

    assert 7 == hop(VIP, kernel).nic


def test_an_address_of_a_nic_without_a_program_is_on_an_attached_network():
    """
    The frame leaves by the attached NIC on the same network, for the MAC of the other one.
    """
    assert NextHop(5, MACS[MGMT], MACS[INT0], 1400, RESOLVED) == hop(HERE)
    assert obstacle(snapshot(), SLOTS, HERE) is None


def test_the_longest_prefix_and_a_live_nic_lead_there():
    """
    Two attached NICs are on networks that have the address.
    """
    wide = connected("10.0.0.0/16", INT1)
    down = LINKS[INT0]._replace(up=False)

    assert 5 == hop(HERE, snapshot([wide, *ROUTES])).nic
    assert 6 == hop(HERE, snapshot([wide, *ROUTES], int0=down)).nic


@pytest.mark.parametrize("nic", [MGMT, INT0])
def test_a_network_that_is_down_is_unresolved(nic):
    """
    And whoever asks is told which NIC it is that is down.
    """
    kernel = snapshot(down=LINKS[nic]._replace(up=False))

    assert NextHopState.UNRESOLVED is hop(HERE, kernel).state
    assert "which is down" in obstacle(kernel, SLOTS, HERE).text


OBSTACLES = [
    ("10.0.1.1", "10.0.1.1 is an address of this switch itself; name another host"),
    ("198.51.100.1", "is an address of this switch itself; name another host"),
    ("10.0.9.1", "itself, on mgmt, and no attached NIC is on that network"),
]


@pytest.mark.parametrize(("address", "reason"), OBSTACLES)
def test_what_cannot_be_reached_says_why(address, reason):
    """
    An address of an attached NIC, one of no NIC, and one of a network without an attached NIC.
    """
    assert NextHop(state=NextHopState.NO_ROUTE) == hop(address)
    assert reason in obstacle(snapshot(), SLOTS, ip_address(address)).text


def test_an_interface_whose_other_end_has_no_program_is_not_attached():
    """
    Nothing is sent there meanwhile.
    """
    slots = {INT0: 5}

    assert NextHopState.NOT_ATTACHED is hop(VIP, slots=slots).state
    assert "other end is not attached" in obstacle(snapshot(), slots, VIP).text


def test_routes_by_a_pseudo_interface_are_not_followed():
    """
    They lead programs into the switch: it would send packets in a circle.
    """
    through = Route(ip_network("0.0.0.0/0"), (Hop(LB0, None),))
    gateway = Hop(INT1, ip_address("10.0.2.254"))
    other = Route(ip_network("0.0.0.0/0"), (gateway,), metric=1000)
    several = Route(ip_network("192.0.2.0/24"), (Hop(LB0, None), gateway))

    routing = snapshot([*ROUTES, through, other, several]).routing

    assert gateway == routing.ways[ip_network("0.0.0.0/0")].hop
    assert gateway == routing.ways[ip_network("192.0.2.0/24")].hop
    assert ip_network("0.0.0.0/0") not in snapshot([*ROUTES, through]).routing.ways


def test_an_own_address_is_no_neighbor():
    """
    Nobody looks for its MAC, and it is not shown as one that does not answer.
    """
    kernel = snapshot()
    result = wanted(kernel, SLOTS, [HERE, VIP])

    assert frozenset() == result.named
    assert [] == neighbors_view(kernel, SLOTS, result.table)


def test_a_real_neighbor_is_still_one():
    """
    On the same network as the own address.
    """
    neighbors = [Neighbor(INT0, HOST, bytes.fromhex("02000000aa01"), Nud.REACHABLE)]
    kernel = Snapshot.of(Routing(LINKS, ROUTES[1:]), neighbors)

    assert RESOLVED is wanted(kernel, SLOTS, [HOST]).table.destinations[HOST].state
