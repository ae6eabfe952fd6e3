"""
`lbctl preflight` on one switch that is broken and mended, one thing after the other.

Each finding's cure is run as it stands, by a shell, where it is for: that is how things are mended
here.
"""

from __future__ import annotations

import json
import subprocess
from typing import NamedTuple

import pytest

from lbctl.testbed import namespaces
from lbctl.testbed.far_end import pass_everything
from lbctl.testbed.processes import environment
from tests.netns.live import datagrams, switch, until, vip4, vip6

SERVER, SERVER6 = "10.0.1.11", "2001:db8:a::11"
MAIN, VIPS = "", " table 100"  # where the servers' routes for the VIPs are


@pytest.fixture(scope="module")
def live():
    """A switch with a pool of each kind and family."""
    with switch(dsr=True) as made:
        found = made.export()
        check = {"check": "tcp", "to_vip": True}
        found["pools"] = [
            pool("web", f"{vip4(10)}:80/tcp", made.backends(), health={"check": "tcp"}),
            pool("web6", f"{vip6(10)}:80/tcp", made.backends(6)),
            pool("direct", f"{vip4(20)}:80/tcp", made.backends(port=80), "dsr", health=check),
            pool("direct6", f"{vip6(20)}:80/tcp", made.backends(6, 80), "dsr"),
            pool("names", f"{vip4(30)}:53/udp", made.backends()),
        ]
        made.apply(found)
        yield made


def pool(name, vip, backends, forward="nat", **more):
    """A pool as a file has it."""
    members = [{"address": address} for address in backends]
    return {"name": name, "vips": [vip], "forward": forward, "backends": members, **more}


def findings(live, *names):
    """What is wrong, without mere notes."""
    found = live.api.preflight(names)["findings"]
    return [finding for finding in found if finding["severity"] != "note"]


def of(found, broken):
    """Those findings that are about what was broken."""
    about = (broken.check, broken.subject)
    return [one for one in found if (one["check"], one["subject"]) == about]


def shell(live, role, line):
    """Run a line in the namespace of a role, or outside of all; it must not fail."""
    words = ["bash", "-c", line]
    command = namespaces.inside(live.bed.plan.namespace(role), words) if role else words
    places = {"LBCTL_SOCKET": str(live.socket), "LBCTL_NAME": live.name}
    done = subprocess.run(
        command, env={**environment(), **places}, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, f"{line}: {done.stderr}"


def default_routes(where):
    """The lines that give server0 its default routes by the switch, or by the router."""
    host = "1" if where == MAIN else "254"
    return (
        f"ip route replace default via 10.0.1.{host}{where}",
        f"ip -6 route replace default via 2001:db8:a::{host}{where}",
    )


class Broken(NamedTuple):
    """
    What breaks by *line*, which a shell runs in the namespace of *role*.

    *check* and *subject*: the finding, whose cure is run in the namespace *cured* ("": outside of
    all, None: it mends nothing); *after*: lines that put back what is still missing, in *role*.
    """

    check: str
    severity: str
    subject: str
    role: str
    line: str
    cured: str | None = ""
    after: tuple[str, ...] = ()


WEB, WEB6 = f"back-end {SERVER}:8080 of pool web", f"back-end [{SERVER6}]:8080 of pool web6"
CASES = (
    Broken(
        "no-neighbor",
        "error",
        WEB,
        "server0",
        "ip link set eth0 down",
        None,
        (
            "ip link set eth0 up",
            f"ip -6 address replace {SERVER6}/64 dev eth0 nodad",
            *default_routes(MAIN),
            *default_routes(VIPS),
        ),
    ),
    Broken("nic-down", "error", "NIC ext0", "ext", "ip link set switch0 down"),
    Broken("small-mtu", "warning", "NIC int0", "switch", "ip link set int0 mtu 1400", "switch"),
    Broken("peer-without-program", "warning", "NIC ext0", "ext", "ip link set switch0 xdp off"),
    Broken("peer-checksums", "error", "NIC int1", "int", "ethtool -K switch1 tx on"),
    Broken(
        "return-route",
        "error",
        WEB,
        "server0",
        "ip route replace default via 10.0.1.254",
        "server0",
    ),
    Broken(
        "return-route",
        "error",
        WEB6,
        "server0",
        "ip -6 route replace default via 2001:db8:a::254",
        "server0",
    ),
    Broken(
        "vip-missing",
        "error",
        "back-end 10.0.2.12:80 of pool direct",
        "server1",
        "ip route del local 203.0.113.0/24 dev lo",
        "server1",
        (f"ip address del {vip4(20)}/32 dev lo", "ip route add local 203.0.113.0/24 dev lo"),
    ),
    Broken(
        "rp-filter",
        "error",
        "NIC int0",
        "switch",
        "sysctl -w net.ipv4.conf.int0.rp_filter=1",
        "switch",
    ),
)


def test_a_clean_switch(live):
    """
    No error and no warning, and `status` has none either; every check could be made.
    """
    until(lambda: not findings(live), "the switch does not settle")
    report = live.api.preflight(())

    assert {"note"} == {one["severity"] for one in report["findings"]}
    assert [] == report["not_checked"]
    assert {"no-neighbor", "return-route", "vip-missing", "peer-checksums"} < set(report["checks"])
    assert [] == live.warnings()
    assert live.lbctl("preflight").startswith("note: ")


@pytest.mark.parametrize("broken", CASES, ids=lambda one: f"{one.check}-{one.subject[-4:]}")
def test_what_is_broken_is_found_and_its_cure_mends_it(live, broken):
    """
    The finding names it; after its cure nothing is wrong any more.
    """
    shell(live, broken.role, broken.line)
    try:
        (found,) = until(lambda: of(findings(live), broken), f"{broken.check} is not found")
        if broken.cured is not None:
            shell(live, broken.cured, found["cure"])
    finally:
        for line in broken.after:
            shell(live, broken.role, line)

    assert broken.severity == found["severity"]
    until(lambda: not findings(live), f"{broken.check} is still found")


def test_a_far_end_without_program_and_gro(live):
    """
    Nothing can be redirected there; GRO mends that alone.
    """
    broken = Broken("no-redirect", "error", "NIC ext1", "ext", "")
    shell(live, "ext", "ip link set switch1 xdp off; ethtool -K switch1 gro off")
    found = findings(live)
    shell(live, "", of(found, broken)[0]["cure"])
    left = findings(live)
    live.inside("ext", pass_everything, ["switch1"])

    assert ["no-redirect", "peer-without-program"] == sorted(one["check"] for one in found)
    assert ["peer-without-program"] == [one["check"] for one in left]


def test_status_says_it_too(live):
    """
    In one line, with what to type; but once, where it has words of its own.
    """
    shell(live, "int", "ethtool -K switch0 tx on")
    line = until(lambda: [w for w in live.warnings() if "checksums" in w], "status is silent")
    shell(live, "int", "ethtool -K switch0 tx off; ip link set switch1 down")
    down = until(lambda: [w for w in live.warnings() if "NIC int1" in w], "status is silent")
    shell(live, "int", "ip link set switch1 up")

    assert 1 == len(line)
    assert line[0].endswith("ethtool -K switch0 tx off`")
    assert ["NIC int1 is down; run `ip link set int1 up`"] == down
    until(lambda: not live.warnings(), "status goes on")


def test_a_nic_that_is_not_attached(live):
    """
    Somebody else's program on it is named; the exit status is 1, with the first cure.
    """
    shell(live, "switch", "ip link add spare type veth peer name spare1")
    live.inside("switch", pass_everything, ["spare"])
    shell(live, "switch", "ip link set spare up; ip link set spare1 up")
    done = live.typed("preflight", "spare", "-o", "json")
    found = [one for one in json.loads(done.stdout)["findings"] if one["severity"] == "error"]
    shell(live, "switch", found[0]["cure"])
    after = [one["severity"] for one in findings(live, "spare")]
    shell(live, "switch", "ip link delete spare")

    assert ["foreign-program", "no-redirect", "peer-checksums"] == [one["check"] for one in found]
    assert "has the XDP program 'testbed_pass', number " in found[0]["what"]
    assert 1 == done.returncode
    assert "Error: 3 errors; begin with `ip link set dev spare xdp off`\n" == done.stderr
    assert ["error", "error", "warning"] == after
    assert ["no-such-nic"] == [one["check"] for one in findings(live, "spare")]


def test_a_server_that_nobody_checks(live):
    """
    It is tried; when it has refused some connections, `status` says so without trying.
    """
    live.pool("deaf", f"{vip4(40)}:80/tcp", [f"{SERVER}:81"])
    found = findings(live)
    for _ in range(3):
        assert 7 == live.curl(f"http://{vip4(40)}/").returncode  # refused
    lines = until(live.warnings, "status is silent")
    live.lbctl("pool", "remove", "deaf")

    assert [("backend-refuses", "error")] == [(one["check"], one["severity"]) for one in found]
    expected = f"back-end {SERVER}:81 of pool deaf was given 3 connections and refused them all"
    assert [expected] == [line.split(";")[0] for line in lines]


def test_without_a_daemon(live):
    """
    Machine and NICs are looked at all the same; the exit status says that nobody answered.
    """
    places = {"LBCTL_SOCKET": "/nonexistent/lbctld.sock"}
    done = live.typed("preflight", "lo", "-o", "json", env=places)
    report = json.loads(done.stdout)

    assert 5 == done.returncode
    assert "no daemon answers on /nonexistent/lbctld.sock" in done.stderr
    assert ["no-daemon", "not-ethernet"] == [
        one["check"] for one in report["findings"] if one["severity"] == "error"
    ]
    assert "no-bpffs" in report["checks"]


def test_what_is_dropped_now(live):
    """
    By its name, and how to see more.
    """
    until(lambda: not live.warnings(), "the switch does not settle")
    with live.inside("client0", datagrams) as plug:
        plug.sendto(bytes(4000), (vip4(30), 53))
        (line,) = until(live.warnings, "status is silent")
    (found,) = findings(live)

    assert "the switch has DROP_FRAGMENT of 3 packets in the last " in line
    assert ("growing-drops", "warning") == (found["check"], found["severity"])
