"""
A back-end that is the switch itself: a program at an address of a NIC that is not attached.
"""

from __future__ import annotations

import json

import pytest

from lbctl.testbed import namespaces
from tests.netns.live import connect, grown, switch, until, vip4, vip6
from tests.netns.programs import PORT, host, serve, talk
from tests.support.exchange import digest_of, drain

WEB = {4: vip4(10), 6: vip6(10)}
MINE = {4: "10.0.1.200", 6: "2001:db8:a::200"}
LENGTH = {4: 24, 6: 64}
FAMILIES = (4, 6)
SIZE = 20_000_000


@pytest.fixture(scope="module")
def live():
    """
    A switch with one NIC more in the first inside network, which is not attached.

        server0 ── [br0] ── int0, attached ── switch
                       └─── mgmt 10.0.1.200 ── program
    """
    with switch(clients=2, backends=1) as live:
        inside, here = live.bed.plan.namespace("int"), live.bed.switch
        namespaces.ip(
            inside,
            [
                f"link add mgmtport type veth peer name mgmt netns {here}",
                "link set mgmtport master br0 up",
            ],
        )
        lines = [f"addr add {MINE[family]}/{LENGTH[family]} dev mgmt" for family in FAMILIES]
        namespaces.ip(here, [lines[0], f"{lines[1]} nodad", "link set mgmt up"])
        namespaces.offloads(here, ["mgmt"], tx_checksum=False, gro=False)
        # Two NICs on one network: each is to answer ARP for its own addresses only.
        namespaces.sysctl(here, {"net.ipv4.conf.mgmt.arp_ignore": 1})
        for family in FAMILIES:
            serve(live, "switch", MINE[family])
            backend = f"[{MINE[family]}]:{PORT}" if family == 6 else f"{MINE[family]}:{PORT}"
            live.pool(f"tcp{family}", f"{WEB[family]}:{PORT}/tcp", [backend])
            live.pool(f"udp{family}", f"{WEB[family]}:{PORT}/udp", [backend])
        yield live


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("role", ["client0", "client1", "server0"])
@pytest.mark.parametrize("verb", ["fetch", "store", "ask"])
def test_clients_are_served_by_a_program_on_the_switch(live, family, role, verb):
    """
    Its answers come from the VIP, for they pass through the switch again.
    """
    size = 1000 if verb == "ask" else SIZE
    before = live.verdicts()

    assert digest_of(size) == talk(live, role, verb, WEB[family].strip("[]"), size)

    counted = grown(before, live.verdicts())
    assert counted["TO_BACKEND_NEW"]
    assert counted["TO_CLIENT"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_program_sees_the_clients_address(live, family):
    """
    As any back-end does.
    """
    talk(live, "client0", "fetch", WEB[family].strip("[]"), 100)

    log = live.bed.folder / f"exchange-switch-{MINE[family]}.log"
    client = host(live, "client", 0, family)
    until(lambda: client in log.read_text().split(), "the program hears of somebody else")


def rules(live):
    """The rules of the switch's kernel by which answers take another way."""
    found = []
    for option in ("-4", "-6"):
        done = live.bed.run("switch", ["ip", option, "-j", "rule"])
        found += [rule["src"] for rule in json.loads(done.stdout) if rule["src"] != "all"]
    return found


def test_only_answers_of_the_server_take_the_way_through_the_switch(live):
    """
    Whatever else the NIC is for, a login say, is as it was.
    """
    ask = ["ip", "-j", "route", "get", "198.51.100.11", "from", MINE[4], "ipproto", "tcp", "sport"]

    nics = {
        port: json.loads(live.bed.run("switch", [*ask, port]).stdout)[0]["dev"]
        for port in (str(PORT), "22")
    }

    assert {str(PORT): "mgmt", "22": "ext0"} == nics


def test_a_changed_mac_is_followed(live):
    """
    Of either NIC: of the one that the program is at, and of the one that leads there.
    """
    for nic, mac in (("mgmt", "02:00:00:00:00:51"), ("int0", "02:00:00:00:00:52")):
        live.ip("switch", f"link set {nic} address {mac}")

        until(lambda: is_served(live), f"{nic}: nobody answers")


def is_served(live):
    """Whether a client is answered at once."""
    try:
        with live.inside("client0", connect, WEB[4], PORT, 1) as plug:
            plug.sendall(b"fetch 100\n")
            return digest_of(100) == drain(plug)[0]
    except OSError:
        return False


def test_nothing_is_left_when_the_pools_are_gone(live):
    """
    No rule, and the neighbor that stood for the switch is forgotten.
    """
    assert set(MINE.values()) == set(rules(live))
    configuration = live.export()

    live.apply({**configuration, "pools": []})

    assert [] == rules(live)
    left = live.bed.run("switch", ["ip", "neigh", "show", "dev", "mgmt", "nud", "permanent"])
    assert not left.stdout
    live.apply(configuration)
    assert is_served(live)


def test_a_network_without_an_attached_nic_is_refused(live):
    """
    The address is there, but no packet of the switch gets to it.
    """
    live.ip("switch", "addr add 192.0.2.1/24 dev mgmt")

    complaint = live.refused(
        1, "pool", "add", "far", "--vip", f"{vip4(20)}:80/tcp", "--backend", "192.0.2.1:80"
    )

    assert "192.0.2.1 is an address of this switch itself, on mgmt" in complaint
