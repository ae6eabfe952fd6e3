"""
From the kernel's routes to the switch's: the pure half of the routing daemon.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.control.routing.records import Hop, Link, Neighbor, Nud, Route
from lbctl.control.routing.snapshot import Routing, Snapshot
from lbctl.control.routing.translation import (
    DeleteRoute,
    PutRoute,
    ReleaseHop,
    SetDestination,
    SetHop,
    Table,
    changes,
    wanted,
)
from lbctl.control.routing.writer import TableWriter
from lbctl.shared.abi import NextHopState
from lbctl.shared.routing import NextHop
from tests.support.routing import FakeRoutingTable

INT0, INT1, MGMT = 2, 3, 4
MACS = {index: bytes([2, 0, 0, 0, 1, index]) for index in (INT0, INT1, MGMT)}
LINKS = {
    INT0: Link(INT0, "int0", MACS[INT0], 1500, up=True),
    INT1: Link(INT1, "int1", MACS[INT1], 9000, up=True),
    MGMT: Link(MGMT, "mgmt", MACS[MGMT], 1500, up=True),
}
SLOTS = {INT0: 5, INT1: 6}
SERVER, GATEWAY, FAR = map(ip_address, ("10.0.1.11", "10.0.2.254", "203.0.113.7"))
HOST_MAC, GATEWAY_MAC = bytes.fromhex("02000000aa01"), bytes.fromhex("02000000aa02")
CONNECTED = [
    Route(ip_network("10.0.1.0/24"), (Hop(INT0, None),)),
    Route(ip_network("10.0.2.0/24"), (Hop(INT1, None),)),
    Route(ip_network("10.0.9.0/24"), (Hop(MGMT, None),)),
    Route(ip_network("10.0.1.1/32"), (), local=True),
]
DEFAULT = Route(ip_network("0.0.0.0/0"), (Hop(INT1, GATEWAY),))
NEIGHBORS = [
    Neighbor(INT0, SERVER, HOST_MAC, Nud.REACHABLE),
    Neighbor(INT1, GATEWAY, GATEWAY_MAC, Nud.STALE),
]
RESOLVED, UNRESOLVED = NextHopState.RESOLVED, NextHopState.UNRESOLVED


def translate(routes, neighbors=NEIGHBORS, destinations=(), links=LINKS):
    """What the switch should know of these."""
    kernel = Snapshot.of(Routing(links, routes), neighbors)
    return wanted(kernel, SLOTS, [ip_address(text) for text in destinations])


def route(result, prefix):
    """The hop that a prefix leads to."""
    key = result.table.routes.get(ip_network(prefix))
    return result.table.hops[key] if key else None


def test_a_gateway_gives_its_mac_to_every_prefix_behind_it():
    """
    And the NIC's own MAC is the source; one record serves both prefixes.
    """
    result = translate([*CONNECTED, DEFAULT, DEFAULT._replace(prefix=ip_network("192.0.2.0/24"))])

    assert NextHop(6, GATEWAY_MAC, MACS[INT1], 9000, RESOLVED) == route(result, "0.0.0.0/0")
    routes = result.table.routes
    assert routes[ip_network("0.0.0.0/0")] == routes[ip_network("192.0.2.0/24")]


def test_a_connected_prefix_is_unresolved_and_its_neighbors_are_hosts():
    """
    A client beside the switch is answered by its own route, or where it came from.
    """
    result = translate(CONNECTED)

    assert UNRESOLVED is route(result, "10.0.1.0/24").state
    assert NextHop(5, HOST_MAC, MACS[INT0], 1500, RESOLVED) == route(result, "10.0.1.11/32")
    assert frozenset() == result.named


def test_a_prefix_by_another_nic_says_so():
    """
    The packet is then dropped under that name, and not sent into nowhere.
    """
    result = translate(CONNECTED, [Neighbor(MGMT, ip_address("10.0.9.5"), HOST_MAC, Nud.STALE)])

    assert NextHopState.NOT_ATTACHED is route(result, "10.0.9.0/24").state
    assert route(result, "10.0.9.5/32") is None


def test_link_local_prefixes_are_the_kernels():
    """
    They mean another link each.
    """
    link_local = Route(ip_network("fe80::/64"), (Hop(INT0, None),))

    assert route(translate([*CONNECTED, link_local]), "fe80::/64") is None


@pytest.mark.parametrize("prefix", ["203.0.113.1/32", "203.0.113.64/26", "2001:db8::1/128"])
def test_what_is_for_the_switch_itself_is_the_kernels(prefix):
    """
    Though a default route, a route of the same prefix or a neighbor's answer speaks for another.
    """
    own = Route(ip_network(prefix), (), local=True)
    default = DEFAULT._replace(prefix=ip_network("::/0") if ":" in prefix else DEFAULT.prefix)
    same = DEFAULT._replace(prefix=own.prefix)
    impostor = Neighbor(INT1, own.prefix.network_address, HOST_MAC, Nud.STALE)

    result = translate([own, default, same, *CONNECTED], [*NEIGHBORS, impostor])

    assert NextHop(state=UNRESOLVED) == route(result, prefix)
    assert RESOLVED is route(result, str(default.prefix)).state


@pytest.mark.parametrize("prefix", ["127.0.0.0/8", "::1/128", "fe80::1/128", "169.254.0.9/32"])
def test_addresses_that_never_come_over_a_nic_or_a_router_need_no_route(prefix):
    """
    Loopback and link-local ones.
    """
    assert route(translate([Route(ip_network(prefix), (), local=True)]), prefix) is None


def test_a_forbidden_prefix_hides_the_shorter_one():
    """
    Blackhole, unreachable, prohibit.
    """
    result = translate([*CONNECTED, DEFAULT, Route(ip_network("198.51.100.0/24"), ())])

    assert NextHopState.NO_ROUTE is route(result, "198.51.100.0/24").state


def test_the_lowest_metric_wins():
    """
    Whatever the order in which the kernel tells them.
    """
    worse = Route(DEFAULT.prefix, (Hop(INT0, SERVER),), metric=10)

    for routes in ([worse, DEFAULT], [DEFAULT, worse]):
        assert 6 == route(translate([*CONNECTED, *routes]), "0.0.0.0/0").nic


def test_a_route_without_carrier_is_the_last_resort():
    """
    The next best one serves; if there is none, the prefix stays, unresolved.
    """
    down = {**LINKS, INT1: LINKS[INT1]._replace(up=False)}
    worse = Route(DEFAULT.prefix, (Hop(INT0, SERVER),), metric=10)

    assert 5 == route(translate([*CONNECTED, worse, DEFAULT], links=down), "0.0.0.0/0").nic
    alone = translate([*CONNECTED, DEFAULT], links=down)
    assert UNRESOLVED is route(alone, "0.0.0.0/0").state
    assert frozenset() == alone.named  # who would answer on a dead link?


def test_of_several_hops_the_first_live_one_is_taken():
    """
    And a route whose hops the kernel all passes over does not exist.
    """
    hops = (Hop(INT0, SERVER, carrier=False), Hop(INT1, GATEWAY))
    dead = Route(ip_network("192.0.2.0/24"), (Hop(INT0, SERVER, dead=True),))

    result = translate([*CONNECTED, DEFAULT._replace(hops=hops), dead])

    assert 6 == route(result, "0.0.0.0/0").nic
    assert route(result, "192.0.2.0/24") is None


@pytest.mark.parametrize(("mtu", "expected"), [(0, 9000), (1400, 1400), (65000, 9000)])
def test_the_mtu_is_the_smaller_of_routes_and_links(mtu, expected):
    """
    0: the route says nothing.
    """
    assert expected == route(translate([*CONNECTED, DEFAULT._replace(mtu=mtu)]), "0.0.0.0/0").mtu


DESTINATIONS = [
    ("10.0.1.11", NextHop(5, HOST_MAC, MACS[INT0], 1500, RESOLVED)),
    ("203.0.113.7", NextHop(6, GATEWAY_MAC, MACS[INT1], 9000, RESOLVED)),
    ("10.0.1.12", NextHop(5, bytes(6), MACS[INT0], 1500, UNRESOLVED)),
    ("10.0.9.5", NextHop(state=NextHopState.NOT_ATTACHED)),
    ("10.0.1.1", NextHop(state=NextHopState.NO_ROUTE)),
    ("2001:db8::1", NextHop(state=NextHopState.NO_ROUTE)),
]


@pytest.mark.parametrize(("address", "hop"), DESTINATIONS, ids=[case[0] for case in DESTINATIONS])
def test_a_back_end_is_reached_as_the_kernel_would(address, hop):
    """
    On-link, through a gateway, not yet resolved, by another NIC, ourselves, no route.
    """
    result = translate([*CONNECTED, DEFAULT], destinations=[address])

    assert {ip_address(address): hop} == result.table.destinations


def test_back_ends_and_gateways_are_to_be_kept_alive():
    """
    But nobody whom the kernel merely happens to know, and nobody on another's NIC.
    """
    result = translate([*CONNECTED, DEFAULT], destinations=["10.0.1.12", "10.0.9.5"])

    assert {(INT0, ip_address("10.0.1.12")), (INT1, GATEWAY)} == result.named


@pytest.mark.parametrize("mac", [b"", bytes(6), bytes.fromhex("01005e000001"), bytes(8)])
def test_what_is_no_macs_of_a_host_is_not_sent_to(mac):
    """
    Unknown, none, a group's, InfiniBand.
    """
    result = translate(CONNECTED, [Neighbor(INT0, SERVER, mac, Nud.NOARP)], [str(SERVER)])

    assert UNRESOLVED is result.table.destinations[SERVER].state
    assert route(result, "10.0.1.11/32") is None


def test_an_ipv4_route_may_have_an_ipv6_gateway():
    """
    RFC 5549: the MAC is that of the IPv6 neighbor.
    """
    gateway = ip_address("fe80::1")
    neighbors = [Neighbor(INT1, gateway, GATEWAY_MAC, Nud.REACHABLE)]

    result = translate([Route(DEFAULT.prefix, (Hop(INT1, gateway),))], neighbors, ["203.0.113.7"])

    assert GATEWAY_MAC == result.table.destinations[FAR].destination_mac


PREFIXES = st.sampled_from([ip_network(f"10.{n}.0.0/16") for n in range(6)])
KEYS = st.sampled_from([(n, "", 0) for n in range(1, 5)])
HOPS = st.builds(NextHop, nic=st.integers(1, 3), state=st.sampled_from(NextHopState))


@st.composite
def tables(draw):
    """A table whose routes lead to hops that it has."""
    hops = draw(st.dictionaries(KEYS, HOPS, min_size=1))
    routes = draw(st.dictionaries(PREFIXES, st.sampled_from(sorted(hops))))
    return Table(hops, routes, draw(st.dictionaries(st.sampled_from([SERVER, FAR]), HOPS)))


@given(tables(), tables())
def test_changes_lead_from_any_table_to_any_other_without_a_gap(kernel, switch):
    """
    After each step, what is routable before and after is routable, by a hop that exists.
    """
    hops, routes = dict(switch.hops), dict(switch.routes)
    destinations = dict(switch.destinations)
    stay = kernel.routes.keys() & switch.routes.keys()
    for change in changes(kernel, switch):
        match change:
            case SetHop(key, hop):
                hops[key] = hop
            case SetDestination(address, hop):
                destinations[address] = hop
            case PutRoute(prefix, key):
                routes[prefix] = key
            case DeleteRoute(prefix):
                del routes[prefix]
            case ReleaseHop(key):
                del hops[key]
        assert stay <= routes.keys()
        assert set(routes.values()) <= hops.keys()
    assert (kernel.hops, kernel.routes) == (hops, routes)
    assert kernel.destinations.items() <= destinations.items()


@given(tables())
def test_equal_tables_need_no_change(table):
    """
    Or the switch would never come to rest.
    """
    assert [] == list(changes(table, table))


def test_connections_are_told_of_moved_prefixes_and_of_nothing_else():
    """
    A changed MAC is in the record that they name already.
    """
    table = FakeRoutingTable()
    writer = TableWriter(table)
    writer.read()
    writer.write(translate([*CONNECTED, DEFAULT]).table)
    assert 1 == table.bumps

    other = [NEIGHBORS[0], NEIGHBORS[1]._replace(mac=HOST_MAC)]
    writer.write(translate([*CONNECTED, DEFAULT], other).table)
    assert 1 == table.bumps  # the default route's hop was changed in place

    writer.write(translate([*CONNECTED, DEFAULT], [NEIGHBORS[1]]).table)
    assert 2 == table.bumps  # the server's host route went


def test_connections_are_told_before_a_record_is_used_again():
    """
    They may still name it.
    """
    table = FakeRoutingTable()
    writer = TableWriter(table)
    writer.read()
    writer.write(translate([*CONNECTED, DEFAULT]).table)
    table.log.clear()

    writer.write(translate(CONNECTED, NEIGHBORS[:1]).table)

    kinds = [entry[0] for entry in table.log]
    assert kinds.index("delete") < kinds.index("bump") < kinds.index("release")


def test_a_full_table_serves_back_ends_and_gateways_and_tells_of_the_rest():
    """
    Neighbors that are nobody's next hop come last.
    """
    crowd = [Neighbor(INT0, ip_address(f"10.0.1.{n}"), HOST_MAC, Nud.STALE) for n in range(20, 60)]
    goal = translate([*CONNECTED, DEFAULT], [*NEIGHBORS, *crowd], ["10.0.1.11"])
    table = FakeRoutingTable(room=8)
    table.destination(SERVER)
    writer = TableWriter(table)
    writer.read()

    writer.write(goal.table)

    assert RESOLVED is table.next_hop(table.destination(SERVER)).state
    default = table.routes()[DEFAULT.prefix]
    assert GATEWAY_MAC == table.next_hop(default).destination_mac
    assert ["next hops: all are in use"] == writer.failures
    writer.write(translate([*CONNECTED, DEFAULT], NEIGHBORS, ["10.0.1.11"]).table)
    assert [] == writer.failures


def test_a_destination_that_is_given_away_anew_is_filled_anew():
    """
    Its record was emptied meanwhile, though nothing changed in the kernel.
    """
    table = FakeRoutingTable()
    writer = TableWriter(table)
    writer.read()
    goal = translate(CONNECTED, destinations=["10.0.1.11"]).table
    table.destination(SERVER)
    writer.write(goal)
    table.release(SERVER)
    table.destination(SERVER)

    writer.write(goal)

    assert HOST_MAC == table.next_hop(table.destination(SERVER)).destination_mac
