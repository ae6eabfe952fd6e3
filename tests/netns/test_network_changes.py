"""
The network changes under the switch: it follows by itself, and takes nothing that is another's.
"""

from __future__ import annotations

import json

import pytest

from lbctl.testbed import namespaces
from lbctl.testbed.build import _join
from lbctl.testbed.far_end import pass_everything
from lbctl.testbed.plan import SWITCH
from tests.netns.live import (
    ask,
    connect,
    going,
    none_failed,
    server_address,
    switch,
    until,
    vip4,
    vip6,
)

ALL, ALONE, SIX = 10, 20, 30  # positions of VIPs
TELLING = {  # whoever gets another MAC or comes up says so
    "net.ipv4.conf.all.arp_notify": 1,
    "net.ipv4.conf.default.arp_notify": 1,
    "net.ipv6.conf.all.ndisc_notify": 1,
    "net.ipv6.conf.default.ndisc_notify": 1,
    "net.ipv6.conf.all.keep_addr_on_down": 1,
    "net.ipv6.conf.default.keep_addr_on_down": 1,
}


@pytest.fixture(scope="module")
def live():
    """One VIP for all servers and one for each, IPv4 alone at first."""
    with switch() as live:
        for role in ("switch", "server0", "server1"):
            namespaces.sysctl(live.bed.plan.namespace(role), TELLING)
        live.pool("web", f"{vip4(ALL)}:80/tcp", live.backends())
        for number, backend in enumerate(live.backends()):
            live.pool(f"only{number}", f"{vip4(ALONE + number)}:80/tcp", [backend])
        yield live


def served(live, vip):
    """Who serves a VIP just now; nobody if no answer comes in a moment."""
    try:
        with live.inside("client0", connect, vip, 80, 1) as plug:
            return ask(plug)
    except OSError:
        return None


def recovers(live, number, vip=None):
    """Wait until a server's own VIP is served again."""
    vip = vip or vip4(ALONE + number)
    name = f"server{number}\n".encode()
    until(lambda: served(live, vip) == name, f"server{number} is not reached")


def links(live):
    """The NICs of the switch by name, as the kernel has them."""
    done = live.bed.run("switch", ["ip", "-j", "link", "show"])
    return {link["ifname"]: link for link in json.loads(done.stdout)}


def test_the_program_grows_under_traffic(live):
    """
    The first IPv6 pool, the first DSR pool: another program each, and no request fails.
    """
    before = live.tags()
    vip = f"{vip6(SIX)}:80/tcp"
    with live.crowd(f"http://{vip4(ALL)}/") as crowd:
        going(crowd)
        live.pool("six", vip, live.backends(6))
        six = live.tags()
        answer = live.curl(f"http://{vip6(SIX)}/")
        live.pool("dsr", f"{vip4(SIX)}:80/tcp", live.backends(port=80), "--forward", "dsr")
        dsr = live.tags()
        live.lbctl("pool", "remove", "dsr")
        going(crowd)
        none_failed(crowd)

    assert answer.stdout.startswith("server"), answer.stderr
    assert [1, 1, 1] == [len(tags) for tags in (before, six, dsr)]
    assert before != six != dsr


@pytest.mark.parametrize("family", [4, 6])
def test_a_server_gets_another_mac(live, family):
    """
    As when it is replaced, or its address moves; it announces the new one.
    """
    server = live.bed.servers[0]
    vip = vip4(ALONE) if family == 4 else vip6(ALONE)
    if family == 6:
        live.pool("moving6", f"{vip}:80/tcp", [server_address(server, 6)])
    recovers(live, 0, vip)
    mac = f"02:00:00:00:77:0{family}"

    live.ip("server0", f"link set eth0 address {mac}")

    recovers(live, 0, vip)
    known = {row["mac"] for row in live.json("neighbor", "list") if row["used_by"]}
    assert mac in known


@pytest.mark.parametrize("nic", ["int1", "ext0"])
def test_a_nic_goes_down_and_comes_back(live, nic):
    """
    It is told while it is down; the others work on; nobody has to do anything.
    """
    with live.crowd(f"http://{vip4(ALONE)}/") as crowd:
        going(crowd)
        if nic != "int1":
            none_failed(crowd)
        live.ip("switch", f"link set {nic} down")
        until(lambda: any(nic in line for line in live.warnings()), "no warning")
        if nic == "int1":
            going(crowd)
            none_failed(crowd)
        assert served(live, vip4(ALONE + 1)) is None
        live.ip("switch", f"link set {nic} up")
        recovers(live, 1)

    until(lambda: [] == live.warnings(), "the warnings stay")


@pytest.mark.parametrize("number", [3, 0])
def test_a_nic_is_made_anew(live, number):
    """
    As when a driver is loaded again, with the same MAC: it is attached again by itself.
    """
    net = live.bed.plan.nets[number]
    before, generation = links(live)[net.nic], live.generation

    live.ip("switch", f"link delete {net.nic}")
    until(lambda: any(net.nic in line for line in live.warnings()), "no warning")
    _join(live.bed.plan, net, "switch", net.nic, SWITCH)
    live.ip("switch", f"link set {net.nic} address {before['address']}")
    _harden_one(live, net)

    recovers(live, 1)
    until(lambda: [] == live.warnings(), "the warnings stay")
    (row,) = [row for row in live.json("status")["nics"] if row["name"] == net.nic]
    now = links(live)[net.nic]
    assert before["ifindex"] != now["ifindex"]
    assert row["program_tag"] == now["xdp"]["prog"]["tag"]
    assert generation == live.generation
    assert 1 == len(live.tags())


def _harden_one(live, net):
    """Make the far end of a new cable such that XDP works on it, as the test bed does."""
    namespace, port = live.bed.plan.namespace(net.side), f"switch{net.number}"
    namespaces.offloads(namespace, [port], tx_checksum=False, gro=True)
    namespaces.call(namespace, lambda: pass_everything([port]))
    namespaces.offloads(live.bed.switch, [net.nic], tx_checksum=False, gro=True)


def test_a_nic_that_came_with_another_name(live):
    """
    It has our program, so it is followed, and traffic flows; its old name is missed.
    """
    live.ip("switch", "link set int1 name other1")
    try:
        until(lambda: any("int1" in s for s in live.warnings()), "no warning")
        recovers(live, 1)
    finally:
        live.ip("switch", "link set other1 name int1")
    until(lambda: [] == live.warnings(), "the warnings stay")
    recovers(live, 1)


def test_a_foreign_program_is_left_alone(live):
    """
    Its name is told, nothing is changed; when it is gone, the NIC can be had.
    """
    live.lbctl("detach", "int1")
    namespaces.call(live.bed.switch, lambda: pass_everything(["int1"]))
    foreign = links(live)["int1"]["xdp"]["prog"]["id"]

    line = live.refused(4, "attach", "ext1", "int1")
    still = links(live)["int1"]["xdp"]["prog"]["id"]
    live.ip("switch", "link set int1 xdp off")
    live.lbctl("attach", "int1")

    assert "testbed_pass" in line
    assert foreign == still
    recovers(live, 1)


def test_detach_gives_the_nics_back(live):
    """
    No program is left on them; what is not for a VIP goes on, VIPs end.
    """
    with live.crowd(f"http://{live.backends()[1]}/") as crowd:
        going(crowd)
        live.lbctl("detach", "--all")
        bare = [name for name, link in links(live).items() if "xdp" in link]
        nobody = served(live, vip4(ALONE))
        going(crowd)
        live.lbctl("attach", *live.bed.plan.nics)
        going(crowd)
        none_failed(crowd)

    assert ([], None) == (bare, nobody)
    recovers(live, 0)
