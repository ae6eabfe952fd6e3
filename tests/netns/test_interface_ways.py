"""
The interface daemon in a kernel: by which NIC it has the kernel send what programs send.
"""

from __future__ import annotations

from ipaddress import ip_network

from tests.support.interfaces import ADDRESSES, CLIENT4, CLIENT6, NONE, WANTED, host
from tests.support.wire import wire

__all__ = ["host", "wire"]


def test_its_packets_leave_by_it_wherever_they_go(host):
    """
    Those of other addresses leave as before.
    """
    host.do(host.daemon.refresh, WANTED)

    assert "lb0" == host.way_out(CLIENT4, "203.0.113.1")
    assert "lb0" == host.way_out(CLIENT6, "2001:db8:f::1")
    assert "ext0" == host.way_out(CLIENT4, "198.51.100.1")
    assert "ext0" == host.way_out(CLIENT6, "2001:db8:1::1")


def test_where_the_switch_knows_no_way_the_kernel_sends_itself(host):
    """
    It asks for the MAC; the switch gets to know it, and the next packets are the switch's.
    """
    host.routes = {ip_network("198.51.100.0/24"): False, ip_network("2001:db8:1::/64"): False}
    host.do(host.daemon.refresh, WANTED)
    for text, family in ((CLIENT4, 4), (CLIENT6, 6)):
        source = ADDRESSES[family == 6].partition("/")[0]
        assert "ext0" == host.way_out(text, source)
        host.routes[ip_network(text)] = True

        host.do(host.daemon.follow)

        assert "lb0" == host.way_out(text, source)
        host.routes[ip_network(text)] = False
        host.do(host.daemon.follow)
        assert "ext0" == host.way_out(text, source)


def test_a_network_may_change_from_one_to_the_other(host):
    """
    Its route is made anew, not doubled; what is inside it counts before it.
    """
    networks = [ip_network("198.51.100.0/24"), ip_network("2001:db8:1::/64")]
    inside = [ip_network(CLIENT4), ip_network(CLIENT6)]
    for known in (True, False, True):
        host.routes = dict.fromkeys([ip_network("0.0.0.0/0"), ip_network("::/0")], not known)
        host.routes |= dict.fromkeys(networks, known) | dict.fromkeys(inside, not known)

        host.do(host.daemon.refresh, WANTED)

        nic = "ext0" if known else "lb0"
        assert nic == host.way_out(CLIENT4, "203.0.113.1")
        assert nic == host.way_out(CLIENT6, "2001:db8:f::1")


def test_it_follows_what_was_asked_for_last(host):
    """
    Once there is no pseudo interface, changed routes are nothing to it.
    """
    host.do(host.daemon.refresh, WANTED)
    host.do(host.daemon.remove_all_but, NONE)
    before = host.everything()
    host.routes = {}

    host.do(host.daemon.follow)

    assert before == host.everything()
