"""
The routing daemon against the real kernel: what happens on the wire is in the table in time.
"""

from __future__ import annotations

import socket
import threading
import time
from ipaddress import ip_address
from pathlib import Path

import pytest

from lbctl.control.routing import netlink
from lbctl.control.routing_daemon import RoutingDaemon
from lbctl.shared.routing import NextHopState
from lbctl.testbed import namespaces
from tests.support.routing import RoutingSwitch
from tests.support.wire import Wire, eventually, wire

__all__ = ["wire"]

IN_TIME = 1.0  # seconds within which the switch must follow
SERVER4, SERVER6 = ip_address("10.0.1.11"), ip_address("2001:db8:2::11")
FAR = ip_address("10.9.9.9")
ADDRESSES = [SERVER4, SERVER6]
NEW_MAC = "02:00:00:00:00:99"


@pytest.fixture
def switch(wire: Wire) -> RoutingSwitch:
    """See RoutingSwitch; both addresses of the server are resolved back-ends."""
    made = RoutingSwitch(wire)
    for address in ADDRESSES:
        made.table.destination(address)
    made.start()
    assert dict.fromkeys(ADDRESSES) == made.daemon.resolve(ADDRESSES)
    return made


@pytest.mark.parametrize("address", ADDRESSES, ids=str)
def test_a_back_end_is_resolved_before_it_is_used(switch, address):
    """
    resolve() returns only when the destination's record is complete.
    """
    hop = switch.hop(address)

    assert (1, NextHopState.RESOLVED, 1500) == (hop.nic, hop.state, hop.mtu)
    assert switch.wire.mac("server", "eth0") == hop.destination_mac
    assert switch.wire.mac("switch", "int0") == hop.source_mac


@pytest.mark.parametrize("address", ADDRESSES, ids=str)
def test_a_changed_mac_is_followed_without_an_announcement(switch, address):
    """
    The server gets another MAC and says nothing: it is noticed because it is asked.
    """
    _change_mac(switch.wire)

    took = eventually(lambda: switch.mac(address) == bytes.fromhex(NEW_MAC.replace(":", "")))

    assert took < 2 * IN_TIME


def test_a_changed_mac_is_followed_when_it_is_announced(switch):
    """
    A gratuitous ARP is believed at once, long before the server is asked again.
    """
    switch.wire.run("server", "sysctl", "-qw", "net.ipv4.conf.eth0.arp_notify=1")
    _change_mac(switch.wire)

    took = eventually(lambda: switch.mac(SERVER4) == bytes.fromhex(NEW_MAC.replace(":", "")))

    assert took < 0.2


def _change_mac(wire: Wire) -> None:
    """The link stays up meanwhile, as it would behind a bridge."""
    wire.ip("server", f"link set eth0 address {NEW_MAC}")


def test_a_changed_mac_of_the_switch_itself_is_followed(switch):
    """
    The source MAC of frames is the NIC's own.
    """
    switch.wire.ip("switch", f"link set int0 address {NEW_MAC}")

    took = eventually(lambda: switch.hop(SERVER4).source_mac.hex(":") == NEW_MAC)

    assert took < IN_TIME
    assert "int0" in switch.links


@pytest.mark.parametrize("side", ["switch int0", "server eth0"], ids=["own", "far"])
def test_a_link_that_goes_down_takes_its_hops_along(switch, side):
    """
    Down here, or without a carrier because the far end is down; and back again.

    The kernel itself tells of a lost carrier at most once a second.
    """
    namespace, nic = side.split()
    switch.wire.ip(namespace, f"link set {nic} down")

    took = eventually(lambda: not switch.mac(SERVER4))

    assert took < (IN_TIME if side.startswith("switch") else 1 + IN_TIME)
    eventually(lambda: "int0" in switch.links)
    switch.wire.ip(namespace, f"link set {nic} up")
    eventually(lambda: bool(switch.mac(SERVER4)), within=3.0)


def test_a_moved_route_is_followed(switch):
    """
    A back-end behind a router moves from one NIC to the other, and its route is removed.
    """
    switch.wire.ip("switch", f"route add {FAR}/32 via 10.0.2.12")
    switch.table.destination(FAR)
    assert {FAR: None} == switch.daemon.resolve([FAR])
    assert switch.wire.mac("router", "eth0") == switch.mac(FAR)
    bumps = switch.table.bumps

    switch.wire.ip("switch", f"route replace {FAR}/32 via 10.0.1.11 mtu 1400")
    took = eventually(lambda: switch.mac(FAR) == switch.wire.mac("server", "eth0"))

    assert took < IN_TIME
    assert (1, 1400) == (switch.hop(FAR).nic, switch.hop(FAR).mtu)
    assert switch.mac(FAR) == switch.route(f"{FAR}/32").destination_mac
    assert switch.table.bumps > bumps
    switch.wire.ip("switch", f"route del {FAR}/32")
    assert eventually(lambda: switch.hop(FAR).state is NextHopState.NO_ROUTE) < IN_TIME
    assert switch.route(f"{FAR}/32") is None


def test_the_other_route_serves_when_the_better_one_is_down(switch):
    """
    Of two routes the one with the lower metric, unless its NIC has no carrier.
    """
    switch.wire.ip("switch", f"route add {FAR}/32 via 10.0.1.11 metric 10")
    switch.wire.ip("switch", f"route add {FAR}/32 via 10.0.2.12 metric 20")
    switch.table.destination(FAR)
    assert {FAR: None} == switch.daemon.resolve([FAR])
    assert 1 == switch.hop(FAR).nic

    switch.wire.ip("server", "link set eth0 down")

    assert eventually(lambda: bool(switch.mac(FAR)) and switch.hop(FAR).nic == 2) < 1 + IN_TIME


def test_the_other_hop_of_a_multipath_route_serves_when_one_is_down(switch):
    """
    The first hop that is alive.
    """
    switch.wire.ip("switch", f"route add {FAR}/32 nexthop via 10.0.1.11 nexthop via 10.0.2.12")
    switch.table.destination(FAR)
    assert {FAR: None} == switch.daemon.resolve([FAR])

    switch.wire.ip("server", "link set eth0 down")

    assert eventually(lambda: bool(switch.mac(FAR)) and switch.hop(FAR).nic == 2) < 1 + IN_TIME


def test_neighbors_on_attached_nics_have_host_routes(switch):
    """
    And lose them when the kernel forgets them; a connected prefix itself is unresolved.
    """
    _greet(switch)
    eventually(lambda: switch.route("10.0.2.12/32") is not None)

    hop = switch.route("10.0.2.12/32")
    assert (2, NextHopState.RESOLVED) == (hop.nic, hop.state)
    assert NextHopState.UNRESOLVED is switch.route("10.0.2.0/24").state
    assert NextHopState.NOT_ATTACHED is switch.route("10.0.9.0/24").state
    switch.wire.ip("switch", "neigh del 10.0.2.12 dev int1")
    eventually(lambda: switch.route("10.0.2.12/32") is None)


def _greet(switch: RoutingSwitch) -> None:
    """Make the switch's kernel learn the router: a datagram that nobody wants."""

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"hello", ("10.0.2.1", 9))

    namespaces.call(switch.wire.namespace("router"), send)


def test_the_switchs_own_addresses_are_the_kernels(switch):
    """
    Those that come and go too, even behind a default route.
    """
    switch.wire.ip("switch", "route add default via 10.0.2.12")
    switch.daemon.resolve([ip_address("203.0.113.1")])
    assert NextHopState.RESOLVED is switch.route("0.0.0.0/0").state
    assert NextHopState.UNRESOLVED is switch.route("10.0.1.1/32").state

    switch.wire.ip("switch", "addr add 203.0.113.1/32 dev lo")
    eventually(lambda: switch.route("203.0.113.1/32") == switch.route("10.0.1.1/32"))

    switch.wire.ip("switch", "addr del 203.0.113.1/32 dev lo")
    eventually(lambda: switch.route("203.0.113.1/32") is None)


def test_a_back_end_that_dies_loses_its_hop_and_gets_it_back(switch):
    """
    It stops answering, with its link up: the kernel gives it up, and so does the switch.
    """
    switch.wire.ip("server", "link set eth0 arp off", "addr flush dev eth0 scope global")
    eventually(lambda: not switch.mac(SERVER4), within=8.0)

    switch.wire.ip("server", "link set eth0 arp on", "addr add 10.0.1.11/24 dev eth0")

    eventually(lambda: bool(switch.mac(SERVER4)), within=9.0)


def test_a_forgotten_neighbor_keeps_its_mac_while_it_is_looked_for(switch):
    """
    The kernel throws neighbors away when it has too many; packets of connections go on.
    """
    writes = switch.table.history(SERVER4)
    switch.wire.ip("server", "link set eth0 arp off")  # it hears packets, but answers no question
    switch.wire.ip("switch", "neigh flush dev int0")
    switch.wire.ip("switch", "route add 192.0.2.0/24 via 10.0.2.12")  # makes the daemon look

    eventually(lambda: switch.route("192.0.2.0/24") is not None)
    eventually(lambda: _neighbor(switch, "10.0.1.11") == "incomplete")

    assert {NextHopState.RESOLVED} == {hop.state for hop in writes}


def _neighbor(switch: RoutingSwitch, address: str) -> str:
    view = switch.daemon.neighbors_view()
    return next((item["state"] for item in view if item["address"] == address), "none")


def test_new_nics_and_destinations_are_noticed_without_being_told(switch):
    """
    Nobody calls refresh() here.
    """
    late = ip_address("10.0.9.13")
    switch.table.destination(late)
    eventually(lambda: switch.hop(late).state is NextHopState.NOT_ATTACHED, within=2.0)

    switch.attach("int0", "int1", "mgmt")

    eventually(lambda: bool(switch.mac(late)), within=3.0)
    assert 3 == switch.hop(late).nic


def test_refresh_is_done_when_it_returns(switch):
    """
    After a NIC was attached, say.
    """
    switch.wire.ip("switch", "route add 192.0.2.0/24 via 10.0.2.12")
    switch.daemon.refresh()
    assert 2 == switch.route("192.0.2.0/24").nic

    switch.attach("int1")
    switch.daemon.refresh()

    assert NextHopState.NOT_ATTACHED is switch.hop(SERVER4).state
    assert 1 == switch.route("192.0.2.0/24").nic


REASONS = [
    ("10.0.1.1", "10.0.1.1 is an address of this switch itself; name another host"),
    ("203.0.113.9", "no route leads to it; add one: `ip route add 203.0.113.9 via GATEWAY`"),
    ("10.0.9.13", "its route leaves by mgmt; type `lbctl attach mgmt`"),
    ("10.0.1.77", "it does not answer ARP on int0; is it up? try `ping 10.0.1.77`"),
    ("2001:db8:2::77", "it does not answer neighbor solicitation on int0; is it up?"),
    ("192.0.2.5", "its gateway 10.0.2.99 does not answer ARP on int1; is it up?"),
    ("198.51.100.5", "the route 198.51.100.0/24 forbids it"),
    ("203.0.113.200", "is an address of this switch itself"),
]


@pytest.mark.parametrize(("address", "reason"), REASONS, ids=[case[0] for case in REASONS])
def test_an_unreachable_back_end_says_why(switch, address, reason):
    """
    One line that names the host and what to type.
    """
    switch.wire.ip(
        "switch",
        "route add 192.0.2.0/24 via 10.0.2.99",
        "route add blackhole 198.51.100.0/24",
        "route add local 203.0.113.192/26 dev lo",
    )
    host = ip_address(address)

    answer = switch.daemon.resolve([host, SERVER4], timeout=0.3)

    assert answer[SERVER4] is None
    assert reason in answer[host]
    assert address in answer[host]
    assert "\n" not in answer[host]


def test_resolve_says_that_a_link_is_down(switch):
    """
    A cable that is out is told apart from a server that is off.
    """
    switch.wire.ip("server", "link set eth0 down")

    eventually(lambda: "int0, which is down" in str(switch.daemon.resolve([SERVER4], 0.1)))


def test_a_storm_of_changes_is_survived(wire, monkeypatch, caplog):
    """
    More events than the socket holds, so that the last one is lost: it is followed all the same.
    """
    monkeypatch.setattr(netlink, "RECEIVE_BUFFER", 4096)
    switch = RoutingSwitch(wire)
    switch.start()
    storm = [
        f"neigh add 10.0.2.{n} lladdr {NEW_MAC} dev int1 nud permanent" for n in range(20, 200)
    ]

    with switch.daemon._news:  # it cannot read meanwhile
        switch.wire.ip("switch", *storm, "link set int1 mtu 1400")

    eventually(lambda: switch.route("10.0.2.0/24").mtu == 1400)
    assert "too many changes at once" in caplog.text
    assert NEW_MAC == switch.route("10.0.2.199/32").destination_mac.hex(":")


def test_a_new_daemon_takes_the_table_over(switch):
    """
    What the one before it resolved stays resolved, even if the kernel has forgotten it since.
    """
    mac = switch.mac(SERVER4)
    switch.daemon.stop()
    switch.wire.ip("switch", "neigh flush dev int0", "route add 192.0.2.0/24 via 10.0.2.12")
    switch.table.forget_gateways()
    writes = switch.table.history(SERVER4)
    second = RoutingDaemon(switch.table, lambda: list(switch.nics), None)

    namespaces.call(switch.wire.namespace("switch"), second.start)
    switch.wire.defer(second.stop)

    assert 2 == switch.route("192.0.2.0/24").nic
    assert {mac} == {hop.destination_mac for hop in writes} | {switch.mac(SERVER4)}


def test_an_error_does_not_end_the_daemon(switch, caplog):
    """
    It is logged, and the change is followed a moment later.
    """
    switch.table.fail_next(OSError(5, "broken"))

    switch.wire.ip("switch", "route add 192.0.2.0/24 via 10.0.2.12")

    eventually(lambda: switch.route("192.0.2.0/24") is not None)
    assert "broken" in caplog.text


@pytest.mark.usefixtures("switch")
def test_it_costs_nothing_to_have_nothing_to_do():
    """
    Two back-ends are kept alive with next to no CPU time.
    """
    begin = time.monotonic()
    before = _cpu_of_thread("routing-daemon")
    time.sleep(2)

    share = (_cpu_of_thread("routing-daemon") - before) / (time.monotonic() - begin)

    assert share < 0.02


def _cpu_of_thread(name: str) -> float:
    """Seconds of CPU that a thread of this process has had."""
    thread = next(item for item in threading.enumerate() if item.name == name)
    stat = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text()
    return int(stat.split()[0]) / 1e9


def test_the_views_name_what_is_used(switch):
    """
    As GET /v1/routes and /v1/neighbors answer.
    """
    switch.wire.ip("switch", "route add 192.0.2.0/24 via 10.0.2.12")
    switch.daemon.resolve([ip_address("192.0.2.1")])

    routes = {item["prefix"]: item for item in switch.daemon.routes_view()}
    neighbors = {item["address"]: item for item in switch.daemon.neighbors_view()}

    mac = switch.wire.mac("router", "eth0").hex(":")
    assert {
        "prefix": "192.0.2.0/24",
        "next_hop": "10.0.2.12",
        "nic": "int1",
        "mac": mac,
        "state": "resolved",
    } == routes["192.0.2.0/24"]
    assert "connected" == routes["10.0.1.0/24"]["state"]
    assert "not-attached" == routes["10.0.9.0/24"]["state"]
    assert ["route 192.0.2.0/24"] == neighbors["10.0.2.12"]["used_by"]
    assert ["back-end 10.0.1.11"] == neighbors["10.0.1.11"]["used_by"]
    assert ("int1", mac) == (neighbors["10.0.2.12"]["nic"], neighbors["10.0.2.12"]["mac"])
    assert not any(address.startswith("fe80") for address in neighbors)  # nothing is sent there
