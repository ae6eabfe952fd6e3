"""
The plan of a test bed: who is where.
"""

from __future__ import annotations

from itertools import chain

import pytest

from lbctl.errors import UsageError
from lbctl.testbed.plan import MOST, ROUTER, SWITCH, VIPS4, VIPS6, Plan


def test_nobody_shares_an_address_or_a_name():
    """
    Not even in the largest of them.
    """
    plan = Plan(clients=MOST, backends=MOST, dsr=True)

    fixed = [
        address
        for net in plan.nets
        for position in (SWITCH, ROUTER)
        for address in (net.ipv4_of(position).ip, net.ipv6_of(position).ip)
    ]
    hosts = list(chain.from_iterable((host.ipv4, host.ipv6) for host in plan.hosts))
    assert len({*fixed, *hosts}) == len(fixed) + len(hosts)
    assert len(set(plan.roles)) == len(plan.roles) == 4 + 2 * MOST


def test_everybody_is_in_their_network():
    """
    And no network has the broadcast address for a host.
    """
    for host in Plan(clients=MOST, backends=MOST).hosts:
        assert host.ipv4 in host.net.ipv4
        assert host.ipv6 in host.net.ipv6
        assert host.ipv4 != host.net.ipv4.broadcast_address


def test_networks_and_vips_are_apart():
    """
    No address of one is in another.
    """
    nets = [*(net.ipv4 for net in Plan().nets), VIPS4, *(net.ipv6 for net in Plan().nets), VIPS6]

    for one in nets:
        others = [net for net in nets if net is not one and net.version == one.version]
        assert not any(one.overlaps(other) for other in others)


def test_hosts_take_turns_between_the_networks():
    """
    So that traffic crosses from NIC to NIC in every way.
    """
    plan = Plan(clients=4, backends=3)

    assert ["ext0", "ext1", "ext0", "ext1"] == [host.net.nic for host in plan.client_hosts]
    assert ["int0", "int1", "int0"] == [host.net.nic for host in plan.server_hosts]
    assert "10.0.1.11 10.0.2.12 10.0.1.13" == " ".join(str(h.ipv4) for h in plan.server_hosts)


@pytest.mark.parametrize(
    "wrong",
    [
        {"clients": 0},
        {"backends": MOST + 1},
        {"prefix": "a b"},
        {"prefix": "../x"},
        {"prefix": ""},
        {"prefix": "x" * 41},
    ],
    ids=str,
)
def test_what_cannot_be_built_is_refused(wrong):
    """
    Before anything is made.
    """
    with pytest.raises(UsageError):
        Plan(**wrong)
