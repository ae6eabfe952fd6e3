"""
Checks of a VIP on one certain server of several: the kernel's rules and routes, on a real wire.

The switch here is a plain namespace; `test_the_answer_passes_the_switching_processor` has one
with programs on its NICs.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import closing
from ipaddress import ip_address

import pytest

from lbctl.control.health.check import look
from lbctl.control.health.dsr import COUNT, FIRST, PRIORITY, VipRoutes
from lbctl.control.health.target import Target
from lbctl.model import (
    HttpCheck,
    IcmpCheck,
    Protocol,
    ScriptCheck,
    SocketAddress,
    TcpCheck,
    UdpCheck,
    Vip,
)
from lbctl.testbed import namespaces
from tests.netns import live
from tests.support.wire import Wire, eventually, wire

__all__ = ["wire"]

PATIENT = {"interval": 20, "timeout": 20}
HASTY = {"timeout": 0.3}
VIPS = {4: "203.0.113.10", 6: "2001:db8:f::10"}
SERVERS = {4: ("10.0.1.11", "10.0.1.12"), 6: ("2001:db8:a::11", "2001:db8:a::12")}
FAMILIES = (4, 6)
CONNECT = """
import os, socket
with socket.socket() as client:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, int(os.environ["LBCTL_MARK"]))
    client.connect((os.environ["LBCTL_VIP"], int(os.environ["LBCTL_PORT"])))
"""
SERVER = "lbctl.testbed.server"


class Farm:
    """A switch and two servers on one network; only the first has the VIPs."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        wire.ip("switch", "link add int0 type bridge", "link set int0 up")
        wire.ip(
            "switch", "address add 10.0.1.1/24 dev int0", "address add 2001:db8:a::1/64 dev int0"
        )
        for number, name in enumerate(("one", "two")):
            wire.cable("switch", f"port{number}", name, "eth0")
            wire.ip("switch", f"link set port{number} master int0")
            own = (f"{SERVERS[4][number]}/24", f"{SERVERS[6][number]}/64")
            wire.ip(name, *(f"address add {address} dev eth0" for address in own))
            self.serve(name)
        wire.ip("one", *(f"address add {vip} dev lo" for vip in VIPS.values()))

    def serve(self, name: str) -> None:
        """Have a server answer on port 80, and wait until it does."""
        self.wire.popen(name, [sys.executable, "-m", SERVER, "--name", name, "--port", "80"])
        ours = lambda: self.wire.run(name, "ss", "-Hltun", "sport = :80").count(":80") == 3  # noqa: E731
        eventually(ours)

    def inside(self, function):
        """Call it in the switch's namespace."""
        return namespaces.call(self.wire.namespace("switch"), function)

    def routes(self) -> VipRoutes:
        """VipRoutes in that namespace; closed in the end."""
        routes = self.inside(VipRoutes)
        self.wire.defer(routes.close)
        return routes

    def look(self, target: Target):
        """One look from there."""
        return self.inside(lambda: asyncio.run(look(target)))

    def ours(self, family: int) -> list[str]:
        """The rules and routes that are VipRoutes' own."""
        rules = self.wire.run("switch", "ip", f"-{family}", "rule").splitlines()
        found = [line for line in rules if line.startswith(f"{PRIORITY}:")]
        for number in range(FIRST, FIRST + 4):
            command = ["ip", f"-{family}", "route", "show", "table", str(number)]
            name = self.wire.namespace("switch")
            done = subprocess.run(
                namespaces.inside(name, command), capture_output=True, text=True, check=False
            )
            found += done.stdout.splitlines()
        return found


@pytest.fixture
def farm(wire):
    """See Farm."""
    return Farm(wire)


def target(family, number, check):
    """A check of the VIP on one of the servers."""
    address = SocketAddress(ip_address(SERVERS[family][number]), 80)
    vip = Vip(ip_address(VIPS[family]), 80, Protocol.TCP)
    return Target(f"pool{family}", address, check.model_copy(update={"to_vip": True}), vip)


def marked(routes, *targets):
    """The same with the marks that they got."""
    marks = routes.assign(targets)
    return [each._replace(mark=marks.get((each.pool, each.address), 0)) for each in targets]


def both(check):
    """Targets of both families at the first server."""
    return [target(family, 0, check) for family in FAMILIES]


@pytest.mark.parametrize(
    "check",
    [
        TcpCheck(**PATIENT),
        HttpCheck(body="one", **PATIENT),
        UdpCheck(send="hello", expect="one hello", **PATIENT),
        IcmpCheck(**PATIENT),
    ],
    ids=lambda check: check.check,
)
def test_a_server_that_has_the_vip_is_well(farm, check):
    """
    By IPv4 and by IPv6; the answer comes from the VIP.
    """
    outcomes = [farm.look(each) for each in marked(farm.routes(), *both(check))]

    assert [True, True] == [outcome.ok for outcome in outcomes], outcomes


@pytest.mark.parametrize("family", FAMILIES)
def test_a_server_that_lacks_the_vip_is_not(farm, family):
    """
    Though it serves at its own address: a client would get no answer.
    """
    (two,) = marked(farm.routes(), target(family, 1, HttpCheck(**HASTY)))

    assert "no answer in 300 ms" == farm.look(two).reason
    assert farm.look(two._replace(vip=None, mark=0)).ok


@pytest.mark.parametrize("family", FAMILIES)
def test_each_server_answers_for_itself(farm, family):
    """
    Both have the VIP now, and each says its own name.
    """
    farm.wire.ip("two", f"address add {VIPS[family]} dev lo")
    checks = [HttpCheck(body=name, **PATIENT) for name in ("one", "two")]
    wanted = [target(family, number, check) for number, check in enumerate(checks)]

    outcomes = [farm.look(each) for each in marked(farm.routes(), *wanted)]

    assert [True, True] == [outcome.ok for outcome in outcomes], outcomes


def test_a_server_in_two_pools_has_one_way(farm):
    """
    A mark means a server, whatever it is asked for.
    """
    one = target(4, 0, TcpCheck())
    marks = farm.routes().assign([one, one._replace(pool="other")])

    assert {("pool4", one.address): FIRST, ("other", one.address): FIRST} == marks
    assert 3 == len(farm.ours(4))


def test_ways_that_nobody_wants_any_more_are_removed(farm):
    """
    The others stay as they are; in the end nothing is left.
    """
    routes = farm.routes()
    one, two = target(4, 0, TcpCheck()), target(4, 1, TcpCheck())
    before = [routes.assign([one, two]), farm.ours(4)]
    after = [routes.assign([two]), farm.ours(4)]
    routes.clear()

    assert [2, 6] == [len(each) for each in before]
    assert [1, 3] == [len(each) for each in after]
    assert before[0]["pool4", two.address] == after[0]["pool4", two.address]
    assert set(after[1]) < set(before[1])
    assert [] == farm.ours(4)


def test_what_a_crash_has_left_is_removed_and_nothing_else(farm):
    """
    A new daemon that wants nothing cleans up; rules of others stay, even with our mark.
    """
    routes = farm.routes()
    routes.assign(both(TcpCheck()))
    farm.wire.ip("switch", f"rule add fwmark {FIRST} lookup main priority 200")
    left = [len(farm.ours(family)) for family in FAMILIES]

    farm.routes().assign([])

    assert [3, 3] == left
    assert [[], []] == [farm.ours(family) for family in FAMILIES]
    assert "200:" in farm.wire.run("switch", "ip", "rule")


@pytest.mark.parametrize("family", FAMILIES)
def test_without_its_link_a_check_goes_nowhere_else(farm, family):
    """
    Not by the default route, where another server would answer; afterwards the way is mended.
    """
    farm.wire.ip("two", f"address add {VIPS[family]} dev lo")
    farm.wire.cable("switch", "other", "two", "eth1")
    far = {4: ("192.0.2.1/24", "192.0.2.2/24"), 6: ("2001:db8:b::1/64", "2001:db8:b::2/64")}
    here, there = far[family]
    farm.wire.ip("switch", f"address add {here} dev other")
    farm.wire.ip("two", f"address add {there} dev eth1")
    farm.wire.ip("switch", f"route add default via {there.split('/')[0]}")
    routes = farm.routes()
    (one,) = marked(routes, target(family, 0, HttpCheck(body="one", **PATIENT)))
    elsewhere = farm.look(one._replace(mark=FIRST + COUNT))  # a mark without a rule
    farm.wire.ip("switch", "link set int0 down")
    lost = farm.look(one)
    farm.wire.ip("switch", "link set int0 up")
    if family == 6:  # the kernel forgets the address with the link
        farm.wire.ip("switch", "address replace 2001:db8:a::1/64 dev int0")
    asyncio.run(routes.mend(one))

    assert "'one' is not in the body" == elsewhere.reason
    assert (False, "no route to host") == (lost.ok, lost.reason)
    assert farm.look(one).ok


def test_a_way_can_be_made_while_the_link_is_down(farm, caplog):
    """
    The check fails until the link is there; the log says what is wrong.
    """
    farm.wire.ip("switch", "link set int0 down")
    routes = farm.routes()
    (one,) = marked(routes, target(4, 0, TcpCheck(**PATIENT)))
    lost = farm.look(one)
    farm.wire.ip("switch", "link set int0 up")
    asyncio.run(routes.mend(one))

    assert (False, "no route to host", True) == (lost.ok, lost.reason, lost.conclusive)
    assert f"no route for checks via {SERVERS[4][0]}" in caplog.text
    assert farm.look(one).ok


def test_a_vip_that_is_the_switchs_own_is_refused(farm, caplog):
    """
    The packet would never leave, and the switch would answer itself.
    """
    farm.wire.ip("switch", f"address add {VIPS[4]} dev lo")
    (one,) = marked(farm.routes(), target(4, 0, TcpCheck()))

    assert 0 == one.mark
    assert f"{VIPS[4]} is an address of this switch itself; turn off to_vip" in caplog.text
    assert not farm.look(one).conclusive


@pytest.mark.parametrize(
    ("rp_filter", "route", "passes"),
    [
        (0, None, True),
        (1, None, False),
        (1, "default via 10.0.1.12", True),
        (1, "default dev other", False),
        (2, None, False),
        (2, "default dev other", True),
    ],
)
def test_a_reverse_path_filter_is_warned_of_when_it_drops(farm, caplog, rp_filter, route, passes):
    """
    Exactly then: the answer comes from the VIP, to which the switch may have no route.
    """
    farm.wire.cable("switch", "other", "two", "eth1")
    if route:
        farm.wire.ip("switch", f"route add {route}")
    namespaces.sysctl(farm.wire.namespace("switch"), {"net.ipv4.conf.int0.rp_filter": rp_filter})
    (one,) = marked(farm.routes(), target(4, 0, TcpCheck(**(PATIENT if passes else HASTY))))
    outcome = farm.look(one)

    assert passes == outcome.ok
    assert passes is not ("int0: the reverse path filter drops answers" in caplog.text)


def test_a_script_is_told_the_mark(farm, tmp_path):
    """
    It can give it to whatever it asks with.
    """
    program = tmp_path / "check"
    program.write_text(f"#!{sys.executable}\n{CONNECT}", encoding="ascii")
    program.chmod(0o755)
    limits = (PATIENT, {"interval": 2, "timeout": 2})
    one, two = (
        target(4, number, ScriptCheck(command=str(program), **limit))
        for number, limit in enumerate(limits)
    )

    outcomes = [farm.look(each) for each in marked(farm.routes(), one, two)]

    assert [True, False] == [outcome.ok for outcome in outcomes], outcomes


def test_the_answer_passes_the_switching_processor():
    """
    A packet from the VIP to the switch itself belongs to the kernel; so does one of a back-end.
    """
    check = HttpCheck(to_vip=True, **PATIENT)
    vips = {4: live.VIPS4[10], 6: live.VIPS6[0x10]}
    targets = []
    with live.switch(dsr=True) as switch:
        configuration = switch.export()
        configuration["pools"] = []
        for family, vip in vips.items():
            name, backends = f"web{family}", switch.backends(family, 80)
            made = {"name": name, "forward": "dsr", "vips": [str(Vip(vip, 80, Protocol.TCP))]}
            configuration["pools"].append(made | {"backends": [{"address": b} for b in backends]})
            targets += [
                Target(name, SocketAddress.parse(each), check, Vip(vip, 80, Protocol.TCP))
                for each in backends
            ]
        switch.apply(configuration)
        inside = switch.bed.plan.namespace("switch")
        with closing(namespaces.call(inside, VipRoutes)) as routes:
            asked = marked(routes, *targets)
            asked += [each._replace(vip=None, mark=0) for each in targets]
            outcomes = namespaces.call(inside, lambda: asyncio.run(_looks(asked)))

    assert 12 == len(outcomes)
    assert {True} == {outcome.ok for outcome in outcomes}, outcomes


async def _looks(targets):
    return await asyncio.gather(*map(look, targets))
