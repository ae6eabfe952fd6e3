"""
The checks of a NIC, and of a veth pair.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.control.preflight.facts import Queues, Source, XdpFeature
from lbctl.control.preflight.nic_checks import CHECKS, no_such_nic, rp_filter
from lbctl.control.preflight.veth_checks import CHECKS as VETH_CHECKS
from lbctl.model import Mode
from tests.unit.control.preflight.made import (
    ALL,
    NIC,
    PEER,
    VETH,
    judged,
    with_link,
    with_peer,
)

VIP = ip_address("203.0.113.10")
FAR = "nsenter --net=/run/netns/far "
CANDIDATE = replace(NIC, attached=None, configured=False, packets=None)
GENERIC = replace(NIC, attached="generic")

NICS = {
    "all is well": (NIC, {}),
    "a candidate that is fit": (CANDIDATE, {}),
    "down": (with_link(up=False), {"nic_down": ("error", "ip link set eth0 up")}),
    "no carrier": (with_link(carrier=False), {"nic_down": ("error", "ethtool eth0")}),
    "no carrier, for the far end is down": (
        with_link(VETH, carrier=False),
        {"nic_down": ("error", f"{FAR}ip link set far0 up")},
    ),
    "not attached": (
        replace(NIC, attached=None, packets=None),
        {"not_attached": ("error", "lbctl attach eth0")},
    ),
    "somebody else's program": (
        replace(with_link(program=7), attached=None, configured=True, program="other"),
        {"foreign_program": ("error", "ip link set dev eth0 xdp off")},
    ),
    "our own program": (with_link(program=7), {}),
    "a tunnel": (with_link(ethernet=False), {"not_ethernet": ("error", "ip link")}),
    "a port of a bridge, with a mate": (
        replace(with_link(master="br0", master_kind="bridge"), mates=("eth1",)),
        {
            "enslaved": ("error", "ip link set eth0 nomaster"),
            "same_bridge": ("error", "ip link set eth0 nomaster"),
        },
    ),
    "a port of a bond": (
        with_link(master="bond0", master_kind="bond"),
        {"enslaved": ("error", "lbctl attach bond0")},
    ),
    "in a VRF": (with_link(master="red", master_kind="vrf"), {}),
    "no native XDP": (
        replace(CANDIDATE, features=XdpFeature(0)),
        {"no_native_mode": ("warning", "ethtool -i eth0")},
    ),
    "generic though native would do": (
        GENERIC,
        {
            "generic_mode": (
                "warning",
                "lbctl detach eth0 && lbctl attach eth0 --mode native",
            )
        },
    ),
    "generic because it was asked for": (
        replace(GENERIC, wanted=Mode.GENERIC),
        {"generic_mode": ("note", "lbctl detach eth0 && lbctl attach eth0 --mode native")},
    ),
    "takes no redirected frames": (
        replace(NIC, features=XdpFeature.BASIC),
        {"no_redirect": ("error", "lbctl detach eth1 && lbctl attach eth1 --mode generic")},
    ),
    "takes none, and would in native mode": (
        replace(GENERIC, features=XdpFeature.BASIC),
        {
            "generic_mode": ("warning", "lbctl detach eth0 && lbctl attach eth0 --mode native"),
            "no_redirect": ("error", "lbctl detach eth0 && lbctl attach eth0 --mode native"),
        },
    ),
    "takes none, but nobody redirects": (replace(NIC, features=XdpFeature.BASIC, senders=()), {}),
    "a candidate may take them once it has a program": (
        replace(CANDIDATE, features=XdpFeature.BASIC),
        {},
    ),
    "the driver does not tell": (
        replace(NIC, features=None),
        {"no_native_mode": "?", "no_redirect": "?"},
    ),
    "no ethtool": (replace(NIC, offloads=None), {"merged_packets": "?"}),
    "large receive offload": (
        replace(NIC, offloads=frozenset({"rx-lro", "rx-gro-hw", "rx-gro"})),
        {"merged_packets": ("warning", "ethtool -K eth0 lro off rx-gro-hw off")},
    ),
    "few queues": (
        replace(NIC, driver="virtio_net", queues=Queues(4, 4, 4), cpus=2),
        {"few_queues": ("note", "ethtool -L eth0 combined 2")},
    ),
    "queues enough": (replace(NIC, driver="virtio_net", queues=Queues(2, 2, 4), cpus=2), {}),
    "jumbo frames on a candidate": (
        with_link(CANDIDATE, mtu=9000),
        {"large_mtu": ("warning", "ip link set eth0 mtu 3500")},
    ),
    "jumbo frames that the driver takes": (with_link(mtu=9000), {}),
    "smaller than another": (
        replace(NIC, largest=(9000, "eth1")),
        {"small_mtu": ("note", "ip link set eth0 mtu 9000")},
    ),
    "smaller than another, and servers are behind it": (
        replace(NIC, largest=(9000, "eth1"), has_servers=True),
        {"small_mtu": ("warning", "ip link set eth0 mtu 9000")},
    ),
    "promiscuous": (
        with_link(promiscuous=True),
        {"promiscuous": ("note", "ip link set eth0 promisc off")},
    ),
    "never a packet": (
        replace(NIC, packets=0, most=5000),
        {"silent_nic": ("note", "ip -s link show eth0")},
    ),
    "never a packet, as on the others": (replace(NIC, packets=0, most=3), {}),
}


@pytest.mark.parametrize(("nic", "expected"), NICS.values(), ids=NICS)
def test_nic(nic, expected):
    """
    What is said of such a NIC.
    """
    assert expected == judged(CHECKS, nic)


def test_there_is_no_such_nic():
    """
    One that is configured can be detached; any other was mistyped.
    """
    assert [None, "lbctl detach eth0", "ip link"] == [
        (told := no_such_nic(nic)) and told.cure
        for nic in (NIC, replace(NIC, link=None), replace(CANDIDATE, link=None))
    ]


def test_who_it_is_whose_program_is_there():
    """
    Name and number.
    """
    nic = replace(with_link(CANDIDATE, program=7), program="other")
    (check,) = [one for one in CHECKS if one.__name__ == "foreign_program"]

    assert "has the XDP program 'other', number 7" == check(nic).what
    assert "without a name" in check(replace(nic, program="")).what


@given(
    setting=st.sampled_from([0, 1, 2]),
    way=st.sampled_from([None, "eth0", "eth1"]),
    checked=st.booleans(),
)
def test_reverse_path_filter(setting, way, checked):
    """
    As RFC 3704 has it, and only where answers from a VIP are waited for.
    """
    sources = (Source(VIP, way),) if checked else ()
    told = rp_filter(replace(NIC, rp_filter=setting, checked=sources))

    lost = {0: False, 1: way != "eth0", 2: way is None}[setting]
    assert (checked and lost) == (told is not None)
    if told:
        expected = "sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0"
        assert ("error", expected) == (told.severity, told.cure)
        assert str(VIP) in told.what


VETHS = {
    "all is well": (VETH, {}),
    "no veth": (replace(NIC, peer=None), {}),
    "generic mode needs none of it": (
        replace(with_peer({"program": 0, "mtu": 9000}, offloads=None), attached="generic"),
        {},
    ),
    "no other end": (
        replace(with_link(VETH, peer=0), peer=None),
        {
            "no_peer": ("error", "ip link delete eth0"),
            **dict.fromkeys(
                ("peer_without_program", "peer_checksums", "peer_mtu", "peer_queues"), "?"
            ),
        },
    ),
    "the far end leaves checksums undone": (
        with_peer(offloads=frozenset({"tx-checksum-ip-generic"})),
        {"peer_checksums": ("error", f"{FAR}ethtool -K far0 tx off")},
    ),
    "the far end cannot be looked into": (
        with_peer(offloads=None, queues=None, enter=None),
        {"peer_checksums": "?", "peer_queues": "?"},
    ),
    "jumbo frames at the far end": (
        with_peer({"mtu": 9000}),
        {"peer_mtu": ("error", f"{FAR}ip link set far0 mtu 3500")},
    ),
    "the far end sends by more queues, which there could be here": (
        replace(with_peer(queues=Queues(4, 4, 4)), queues=Queues(2, 2, 4)),
        {"peer_queues": ("error", "ethtool -L eth0 rx 4")},
    ),
    "the far end sends by more queues than there can be here": (
        with_peer(queues=Queues(4, 4, 4)),
        {"peer_queues": ("error", f"{FAR}ethtool -L far0 tx 2")},
    ),
}


@pytest.mark.parametrize(("nic", "expected"), VETHS.values(), ids=VETHS)
def test_veth(nic, expected):
    """
    What is said of such a pair.
    """
    assert expected == judged(VETH_CHECKS, nic)


@pytest.mark.parametrize(
    ("alone", "attached", "severity"),
    [(False, "native", "warning"), (True, "native", "error"), (True, None, "warning")],
)
def test_a_far_end_without_a_program(alone, attached, severity):
    """
    Some packets are lost; all of them where there is no other NIC to leave by.
    """
    nic = replace(with_peer({"program": 0}), alone=alone, attached=attached)
    ((found, cure),) = judged(VETH_CHECKS, nic).values()

    assert severity == found
    assert cure.startswith(FAR)
    assert "p(['far0'])" in cure


def test_a_veth_to_which_nothing_can_be_redirected():
    """
    GRO at the far end mends it; also before it is attached, for a veth tells that beforehand.
    """
    features = ALL & ~XdpFeature.NDO_XMIT
    for nic in (VETH, replace(VETH, attached=None, configured=False, senders=())):
        found = judged(CHECKS, replace(nic, features=features))
        assert ("error", f"{FAR}ethtool -K far0 gro on") == found["no_redirect"]


def test_a_veth_without_any_features_has_too_few_queues():
    """
    That is how the kernel tells; it is no matter of its driver, and said once.
    """
    nic = replace(with_peer(queues=Queues(4, 4, 4)), features=XdpFeature(0), peer=PEER)

    assert {} == judged(CHECKS, nic)
