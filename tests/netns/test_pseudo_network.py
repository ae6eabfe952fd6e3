"""
Pseudo interfaces in difficult networks: unknown MACs, no addresses, small MTUs.
"""

from __future__ import annotations

import socket
from contextlib import closing
from functools import partial

import pytest

from lbctl.testbed import namespaces
from tests.netns.live import Switch as Live
from tests.netns.live import grown, network, switch, until, vip4, vip6
from tests.netns.programs import PORT, host, serve, talk
from tests.support.exchange import digest_of

HERE = {4: vip4(1), 6: vip6(1).strip("[]")}
VIPS = {4: "203.0.113.0/24", 6: "2001:db8:f::/64"}
FAMILIES = (4, 6)
SIZE = 100_000
# Of <linux/in.h> and <linux/in6.h>; Python has no names for them.
DISCOVER = {4: (socket.IPPROTO_IP, 10, 14), 6: (socket.IPPROTO_IPV6, 23, 24)}
ALWAYS = 2  # IP_PMTUDISC_DO: never a fragment


def add_pseudo(live):
    """Make the pseudo interface."""
    words = [word for family in FAMILIES for word in ("--address", HERE[family])]
    live.lbctl("pseudo", "add", "lb0", *words)


@pytest.fixture(scope="module")
def live():
    """A switch with a pseudo interface, and programs there and on the server."""
    with switch(clients=1, backends=1) as live:
        add_pseudo(live)
        for family in FAMILIES:
            serve(live, "server0", host(live, "server", 0, family))
            serve(live, "switch", HERE[family])
        yield live


@pytest.fixture
def quiet(live):
    """The same, and the switch knows no neighbor of the server's network."""
    until(lambda: not neighbors(live, "int0"), "the kernel keeps its neighbors")
    return live


def neighbors(live, nic):
    """Forget the neighbors of a NIC; returns those that are still known."""
    live.ip("switch", f"neigh flush dev {nic}")
    done = live.bed.run("switch", ["ip", "neigh", "show", "dev", nic])
    return [line for line in done.stdout.splitlines() if "lladdr" in line and "fe80" not in line]


def from_pseudo(live):
    """How many packets of programs the switch has sent on, and how many it has dropped."""
    verdicts = live.verdicts()
    return {name: verdicts.get(name, 0) for name in ("FROM_PSEUDO", "DROP_NO_NEIGHBOR")}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_program_may_be_the_first_to_speak(quiet, family):
    """
    To a host whose MAC nobody knows: the kernel asks for it, and then packets are the switch's.
    """
    there = host(quiet, "server", 0, family)
    before = from_pseudo(quiet)

    assert digest_of(SIZE) == talk(quiet, "switch", "fetch", there, SIZE, HERE[family])

    def through_the_switch():
        talk(quiet, "switch", "fetch", there, SIZE, HERE[family])
        return grown(before, from_pseudo(quiet)).get("FROM_PSEUDO", 0) > 20

    until(through_the_switch, "its packets do not go through the switch")
    assert "DROP_NO_NEIGHBOR" not in grown(before, from_pseudo(quiet))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_switch_without_any_address(family):
    """
    All NICs are bare; the control VIP alone is what others see, and from which it sends.
    """
    with network(clients=1, backends=1) as bed:
        live = Live(bed)
        for net in bed.plan.nets:
            prefix = net.ipv4 if family == 4 else net.ipv6
            live.ip("switch", f"addr flush dev {net.nic} scope global")
            live.ip("switch", f"route add {prefix} dev {net.nic}")
        for role in ("client0", "server0"):
            live.ip(role, f"route add {VIPS[family]} dev eth0")
        live.start()
        live.lbctl("attach", *bed.plan.nics)
        add_pseudo(live)
        serve(live, "switch", HERE[family])
        serve(live, "server0", host(live, "server", 0, family))

        for role in ("client0", "server0"):
            for verb in ("fetch", "store", "ask"):
                size = SIZE if verb != "ask" else 1000
                assert digest_of(size) == talk(live, role, verb, HERE[family], size)
        there = host(live, "server", 0, family)
        assert digest_of(SIZE) == talk(live, "switch", "store", there, SIZE, HERE[family])
        # One that names no address of its own gets the control VIP: there is no other.
        assert digest_of(SIZE) == talk(live, "switch", "store", there, SIZE)


def send_large(family, address, source, size):
    """Send a datagram that must not be cut; returns the MTU that the kernel believes in then."""
    level, option, mtu = DISCOVER[family]
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    with closing(socket.socket(kind, socket.SOCK_DGRAM)) as plug:
        plug.settimeout(5)
        plug.setsockopt(level, option, ALWAYS)
        plug.bind((source, 0))
        plug.connect((address, PORT))
        with pytest.raises(OSError, match="Message too long"):  # noqa: PT012 - whichever hears of it
            plug.send(bytes(size))
            plug.recv(100)
        return plug.getsockopt(level, mtu)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_too_large_for_the_interface_is_told(quiet, family):
    """
    To the client, which sends smaller packets from then on.
    """
    quiet.lbctl("pseudo", "set", "lb0", "--mtu", "1400")
    source = host(quiet, "client", 0, family)
    known = quiet.inside("client0", partial(send_large, family, HERE[family], source, 1400))

    assert 1400 == known
    assert digest_of(SIZE) == talk(quiet, "client0", "store", HERE[family], SIZE)
    quiet.lbctl("pseudo", "set", "lb0", "--mtu", "auto")


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_too_large_for_a_route_is_told(quiet, family):
    """
    To the program on the switch.
    """
    there = host(quiet, "server", 0, family)
    prefix = quiet.bed.servers[0].net.ipv4 if family == 4 else quiet.bed.servers[0].net.ipv6
    quiet.ip("switch", f"route del {prefix} dev int0")
    quiet.ip("switch", f"route add {prefix} dev int0 mtu 1300")
    before = from_pseudo(quiet)

    def is_known():
        talk(quiet, "switch", "fetch", there, 100, HERE[family])
        return grown(before, from_pseudo(quiet)).get("FROM_PSEUDO")

    until(is_known, "its packets do not go through the switch")

    known = quiet.inside("switch", partial(send_large, family, there, HERE[family], 1400))

    quiet.ip("switch", f"route replace {prefix} dev int0")
    assert 1300 == known


def test_routes_that_come_and_go_are_followed(quiet):
    """
    A prefix behind a gateway leads through the switch, for as long as the gateway is known.
    """
    gateway = host(quiet, "server", 0, 4)

    def way():
        command = ["ip", "route", "get", "192.0.2.7", "from", HERE[4]]
        return quiet.bed.run("switch", command).stdout

    quiet.ip("switch", f"route add 192.0.2.0/24 via {gateway}")
    until(lambda: "dev lb0" in way(), "the route is not followed")
    quiet.ip("switch", "route del 192.0.2.0/24")
    until(lambda: "dev lb0" not in way(), "the lost route is not followed")


def test_a_strict_filter_is_told(quiet):
    """
    The kernel would answer no ARP for the control VIP.
    """
    space = quiet.bed.plan.namespace("switch")
    namespaces.sysctl(space, {"net.ipv4.conf.ext0.rp_filter": 1})

    warnings = quiet.warnings()

    namespaces.sysctl(space, {"net.ipv4.conf.ext0.rp_filter": 0})
    assert any("rp_filter" in warning for warning in warnings), warnings
