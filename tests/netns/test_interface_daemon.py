"""
The interface daemon in a kernel, without switching processors: what it makes, repairs and removes.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from lbctl.control.interface_daemon import InterfaceDaemon
from lbctl.errors import Conflict, LbctlError
from lbctl.model import Backend, Configuration, Pool, Pseudo
from lbctl.pseudo import device
from lbctl.testbed import namespaces
from tests.support.interfaces import ADDRESSES, CLIENT4, CLIENT6, NONE, PSEUDO, WANTED, host
from tests.support.wire import eventually, wire

__all__ = ["host", "wire"]


def test_the_pair_is_such_as_the_switch_needs_it(host):
    """
    Both ends up and without ARP; whole checksums, a receive queue, and no address of its own.
    """
    host.do(host.daemon.refresh, WANTED)

    found = {link["ifname"]: link for link in host.json("-d", "link")}
    for name in ("lb0", "lb0-s"):
        assert {"NOARP", "UP", "LOWER_UP"} <= set(found[name]["flags"])
        assert 1500 == found[name]["mtu"]
    assert set(ADDRESSES) == host.addresses("lb0")
    assert set() == host.addresses("lb0-s")
    assert "lb0-s" == host.daemon.inner(PSEUDO)
    features = host.wire.run("switch", "ethtool", "-k", "lb0")
    assert "tx-checksumming: off" in features
    assert "generic-receive-offload: on" in features
    assert found["lb0-s"]["num_rx_queues"] >= found["lb0"]["num_tx_queues"]


def test_next_hops_name_both_macs(host):
    """
    What the switching processors need to send there.
    """
    host.do(host.daemon.ensure, WANTED)

    hops = host.do(host.daemon.next_hops, WANTED)

    assert host.daemon.addresses(WANTED) == hops.keys()
    links = {link["ifname"]: link for link in host.json("link")}
    for hop in hops.values():
        assert links["lb0-s"]["ifindex"] == hop.ifindex
        assert links["lb0"]["address"] == hop.destination_mac.hex(":")
        assert links["lb0-s"]["address"] == hop.source_mac.hex(":")
        assert 1500 == hop.mtu


@pytest.mark.parametrize("address", ["203.0.113.1", "2001:db8:f::1"])
def test_attached_nics_answer_for_its_addresses(host, address):
    """
    Though nobody forwards here, and no NIC has the IPv4 address.
    """
    host.do(host.daemon.refresh, WANTED)
    client = host.wire.namespace("client")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def send():
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"hello", (address, 9))

    namespaces.call(client, send)

    mac = host.json("link", "show", "dev", "ext0")[0]["address"]
    known = f"{address} dev eth0 lladdr {mac}"
    eventually(lambda: known in host.wire.run("client", "ip", "neigh"))


def test_to_do_it_twice_changes_nothing(host):
    """
    Neither what there is nor the order of it.
    """
    host.do(host.daemon.refresh, WANTED)
    before = host.everything()

    host.do(host.daemon.refresh, WANTED)
    host.do(host.daemon.remove_all_but, WANTED)
    host.do(InterfaceDaemon("default", host.nics, lambda: host.routes).refresh, WANTED)

    assert before == host.everything()


DAMAGES = [
    ("addr del 203.0.113.1/32 dev lb0", "addr del 2001:db8:f::1/128 dev lb0"),
    ("link set lb0 down", "link set lb0-s down", "link set lb0 arp on"),
    ("link set lb0 mtu 1400", "link set lb0 address 02:00:00:00:00:01"),
    ("rule del from 203.0.113.1", "neigh flush all nud permanent"),
    ("addr del 2001:db8:f::1/128 dev ext0",),
    ("link del lb0",),
]


@pytest.mark.parametrize("lines", DAMAGES, ids=lambda lines: lines[0])
def test_what_somebody_broke_is_mended(host, lines):
    """
    Everything is as it was, but for the ifindex of what was made anew.
    """
    host.do(host.daemon.refresh, WANTED)
    before = host.everything()
    host.wire.ip("switch", *lines)

    host.do(host.daemon.refresh, WANTED)

    if "link del lb0" not in lines:
        assert {k: sorted(v.split()) for k, v in before.items()} == {
            k: sorted(v.split()) for k, v in host.everything().items()
        }
    assert "lb0" == host.way_out(CLIENT4, "203.0.113.1")
    assert "lb0" == host.way_out(CLIENT6, "2001:db8:f::1")
    assert set(ADDRESSES) == host.addresses("lb0")


def test_an_end_that_went_elsewhere_is_made_anew(host):
    """
    Somebody moved it to another namespace.
    """
    host.do(host.daemon.refresh, WANTED)
    host.wire.ip("switch", f"link set lb0-s netns {host.wire.namespace('other')}")

    host.do(host.daemon.refresh, WANTED)

    assert host.do(device.find, "default", "lb0")
    assert "lb0" == host.way_out(CLIENT4, "203.0.113.1")


@pytest.mark.parametrize("name", ["lb0", "lb0-s"])
def test_a_nic_of_somebody_else_is_left_alone(host, name):
    """
    And the error names it.
    """
    host.wire.ip("switch", f"link add {name} type bridge")

    with pytest.raises(Conflict, match=f"there is a NIC {name} already"):
        host.do(host.daemon.ensure, WANTED)

    host.do(host.daemon.remove_all_but, NONE)
    assert name in {link["ifname"] for link in host.json("link")}


def test_a_pair_of_another_instance_is_left_alone(host):
    """
    It is named as well; and its own daemon goes on with it.
    """
    other = InterfaceDaemon("edge", list)
    host.do(other.refresh, WANTED)
    before = host.everything()

    with pytest.raises(Conflict, match="there is a NIC lb0"):
        host.do(host.daemon.ensure, WANTED)
    host.do(host.daemon.remove_all_but, NONE)

    assert before == host.everything()


def test_a_pair_that_was_just_made_is_taken_over(host):
    """
    The daemon was killed before it could write down whose it is.
    """
    macs = [device.mac_of("default", name).hex(":") for name in ("lb0", "lb0-s")]
    host.wire.ip(
        "switch",
        f"link add lb0 address {macs[0]} type veth peer name lb0-s address {macs[1]}",
    )

    host.do(host.daemon.refresh, WANTED)

    assert ["lb0"] == host.do(device.names, "default")


def test_nothing_is_left_of_what_is_removed(host):
    """
    NICs, addresses, rules, routes and neighbors; those of others stay.
    """
    host.wire.ip(
        "switch", "rule add from 198.51.100.1 table 77", "route add default dev mgmt table 77"
    )
    before = host.everything()
    backend = Backend(address="198.51.100.5:8080")
    pool = Pool(name="web", vips=("203.0.113.10:80/tcp",), backends=(backend,))
    host.do(host.daemon.refresh, WANTED.model_copy(update={"pools": (pool,)}))
    assert before != host.everything()

    host.do(host.daemon.remove_all_but, NONE)

    assert before == host.everything()


def test_an_address_leaves_when_it_is_not_configured_any_more(host):
    """
    Not before: a change that fails must find it there.
    """
    fewer = Configuration(pseudo=(Pseudo(name="lb0", addresses=ADDRESSES[:1]),))
    host.do(host.daemon.refresh, WANTED)

    host.do(host.daemon.ensure, fewer)
    assert set(ADDRESSES) == host.addresses("lb0")
    host.do(host.daemon.remove_all_but, fewer)

    assert {ADDRESSES[0]} == host.addresses("lb0")
    assert "2001:db8:f::1/128" not in host.addresses("ext0")


def test_its_mtu_is_the_smallest_of_the_attached_nics(host):
    """
    Or the one that is asked for; more than XDP takes is refused.
    """
    host.wire.ip("switch", "link set ext0 mtu 1400", "link set mgmt mtu 1300")
    host.do(host.daemon.refresh, WANTED)
    assert 1400 == host.json("link", "show", "dev", "lb0")[0]["mtu"]

    large = Configuration(pseudo=(PSEUDO.model_copy(update={"mtu": 3000}),))
    host.do(host.daemon.refresh, large)
    assert 3000 == host.json("link", "show", "dev", "lb0")[0]["mtu"]

    with pytest.raises(LbctlError, match="an MTU of 9000 is more than XDP takes"):
        host.do(
            host.daemon.ensure, Configuration(pseudo=(PSEUDO.model_copy(update={"mtu": 9000}),))
        )


def test_nics_follow_what_is_attached(host):
    """
    One that is detached does not answer for the addresses any more.
    """
    host.attached = ["ext0", "mgmt"]
    host.do(host.daemon.refresh, WANTED)
    assert "2001:db8:f::1/128" in host.addresses("mgmt")

    host.attached = ["ext0"]
    host.do(host.daemon.refresh, WANTED)

    assert "2001:db8:f::1/128" not in host.addresses("mgmt")
    assert "2001:db8:f::1/128" in host.addresses("ext0")


def test_a_back_end_that_is_the_switch_answers_by_an_attached_nic(host):
    """
    From the server's port only, and with the MAC that the attached NIC has now.
    """
    backend = Backend(address="198.51.100.5:8080")
    pool = Pool(name="web", vips=("203.0.113.10:80/tcp",), backends=(backend,))
    wanted = Configuration(pools=(pool,))
    ask = ("route", "get", "192.0.2.7", "from", "198.51.100.5", "ipproto", "tcp", "sport")
    host.wire.ip("switch", "route add default dev ext0")

    host.do(host.daemon.refresh, wanted)
    host.wire.ip("switch", "link set ext0 address 02:00:00:00:00:02")
    host.do(host.daemon.refresh, wanted)

    assert "mgmt" == host.json(*ask, "8080")[0]["dev"]
    assert "ext0" == host.json(*ask, "22")[0]["dev"]
    (neighbor,) = host.json("neigh", "show", "dev", "mgmt", "nud", "permanent")
    assert "02:00:00:00:00:02" == neighbor["lladdr"]


def test_a_nic_that_cannot_answer_is_a_warning(host):
    """
    IPv6 is off there, or ARP is answered for a NIC's own addresses only.
    """
    namespaces.sysctl(
        host.wire.namespace("switch"),
        {"net.ipv6.conf.ext0.disable_ipv6": 1, "net.ipv4.conf.ext0.arp_ignore": 1},
    )

    host.do(host.daemon.refresh, WANTED)

    first, second = host.do(host.daemon.warnings, WANTED)
    assert "ext0 does not answer for 2001:db8:f::1" in first
    assert "ext0 does not answer ARP for pseudo interfaces" in second
    assert [] == host.do(host.daemon.warnings, NONE)


def test_ipv6_that_is_off_says_what_to_type(host):
    """
    The interface cannot have its address.
    """
    namespaces.sysctl(host.wire.namespace("switch"), {"net.ipv6.conf.default.disable_ipv6": 1})

    with pytest.raises(LbctlError, match=r"net.ipv6.conf.lb0.disable_ipv6=0"):
        host.do(host.daemon.ensure, WANTED)


def test_two_interfaces_have_a_table_each(host):
    """
    So each has its own way out.
    """
    second = Pseudo(name="lb1", addresses=("203.0.113.2/24",))
    host.do(host.daemon.refresh, Configuration(pseudo=(PSEUDO, second)))

    assert "lb1" == host.way_out(CLIENT4, "203.0.113.2")
    assert "lb0" == host.way_out(CLIENT4, "203.0.113.1")
    assert ip_address("203.0.113.2") in host.daemon.addresses(Configuration(pseudo=(second,)))
    assert not [r for r in host.json("route") if r["dev"] == "lb1"]
