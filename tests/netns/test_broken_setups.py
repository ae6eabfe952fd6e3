"""
Set-ups that are broken: for each of them some command names the cause, with what to do.

Here are those that show when packets come, or would.  Those that can be told from the network
around the switch are in test_preflight.py: no neighbor, a small MTU, a far end without XDP program
or GRO or with partial checksums, a strict reverse path filter, another way back, a VIP that a
server lacks, a NIC that is down or has a foreign program, a server that refuses, fragments.
"""

from __future__ import annotations

from socket import IP_TTL, IPPROTO_IP, socket

import pytest

from tests.netns.live import (
    Switch,
    ask,
    connect,
    datagrams,
    grown,
    network,
    server_address,
    switch,
    until,
    vip4,
)

VIP = vip4(10)
URL = f"http://{VIP}/"
CLIENT = "198.51.100.11"


@pytest.fixture(scope="module")
def live():
    """Two servers behind one VIP, one in each inner network; nobody checks them."""
    with switch() as made:
        made.pool("web", f"{VIP}:80/tcp", made.backends()[:2])
        until(lambda: not made.warnings(), "the switch does not settle")
        yield made


def explained(live, *words):
    """What would become of the first packet of a connection."""
    return live.json("explain", "tcp", f"{CLIENT}:40000", *words)


def told(answer):
    """All sentences of an explanation."""
    return "\n".join(stage["text"] for stage in answer["stages"])


def checks(live):
    """The findings of preflight, by the name of the check."""
    return {found["check"]: found for found in live.api.preflight(())["findings"]}


def drops(live, by="nic"):
    """The reasons, and how many packets."""
    return {row["reason"]: row["packets"] for row in live.json("drops", "--by", by)}


def test_all_servers_are_out(live):
    """
    `explain` says that nobody is active, and which command tells why; `drops` whose packets it is.
    """
    servers = live.backends()[:2]
    for server in servers:
        live.lbctl("backend", "maintenance", "web", server)
    answer = explained(live, f"{VIP}:80")
    before = drops(live, "pool")
    live.curl(URL, "client0", "--max-time", "0.2")
    after = drops(live, "pool")
    (warning,) = live.warnings()
    for server in servers:
        live.lbctl("backend", "restore", "web", server)

    assert ("DROP_NO_BACKEND", "web") == (answer["verdict"], answer["pool"])
    assert answer["next"] == "lbctl pool show web"
    assert {"DROP_NO_BACKEND"} == set(grown(before, after))
    assert "pool web has no active back-end" in warning


def test_the_way_leads_by_a_nic_that_is_not_attached(live):
    """
    `preflight` names NIC and server; `explain` ends there.
    """
    live.lbctl("detach", "int0", "int1")
    answer = explained(live, f"{VIP}:80")
    found = until(lambda: checks(live).get("route-not-attached"), "preflight is silent")
    live.lbctl("attach", "int0", "int1")
    until(lambda: explained(live, f"{VIP}:80")["verdict"] == "TO_BACKEND_NEW", "it is not mended")

    assert "DROP_NOT_ATTACHED" == answer["verdict"]
    assert "error" == found["severity"]
    assert found["cure"].startswith("lbctl attach int")


def test_no_service_has_that_port(live):
    """
    `explain` tells which there are.
    """
    answer = explained(live, f"{VIP}:81")

    assert "RESET" == answer["verdict"]
    assert f"no VIP there is 81/tcp (there is {VIP}:80/tcp)" in told(answer)
    assert "lbctl vip list" == answer["next"]


def test_no_route_to_a_server(live):
    """
    `preflight` and `explain` say that the kernel has none.
    """
    live.lbctl("pool", "add", "far", "--vip", f"{vip4(11)}:80/tcp", "--force")
    live.lbctl("backend", "add", "far", "192.0.2.9:80", "--force")
    answer = explained(live, f"{vip4(11)}:80")
    found = checks(live)["no-route"]
    live.lbctl("pool", "remove", "far")

    assert "DROP_NO_ROUTE" == answer["verdict"]
    assert ("error", "back-end 192.0.2.9:80 of pool far") == (found["severity"], found["subject"])
    assert "ip route add 192.0.2.9" in found["cure"]


def test_the_connection_is_forgotten(live):
    """
    Idle for too long, or flushed: its next packet is answered by a reset, and `explain` says why.
    """
    with live.inside("client0", connect, VIP, 80) as plug:
        ask(plug)
        client = "{}:{}".format(*plug.getsockname())
        known = live.json("explain", "tcp", client, f"{VIP}:80")
        live.lbctl("connection", "flush", "--client", client)
        answer = live.json("explain", "tcp", client, f"{VIP}:80", "--flags", "A")
        with pytest.raises(ConnectionResetError):
            ask(plug)

    assert "TO_BACKEND" == known["verdict"]
    assert "established" in known["connection"]["state"]
    assert "RESET" == answer["verdict"]
    assert f"no connection of {client}" in told(answer)
    assert "RESET" in drops(live, "pool")


def test_the_hop_limit_ran_out(live):
    """
    `drops` has it by name, and says what it usually is.
    """
    before = drops(live)
    live.inside("client0", _sent, (VIP, 80), 1)
    after = until(lambda: grown(before, drops(live)), "nothing is dropped")
    page = live.lbctl("drops")

    assert {"DROP_TTL_EXPIRED": 1} == after
    assert "DROP_TTL_EXPIRED: The hop limit ran out: a routing loop, or a traceroute." in page


def _sent(place, ttl):
    """Begin a connection whose packets may make so few hops."""
    with socket() as plug:
        plug.setsockopt(IPPROTO_IP, IP_TTL, ttl)
        plug.setblocking(False)  # noqa: FBT003 - socket's signature
        plug.connect_ex(place)


def test_the_client_has_an_old_mac_of_the_switch(live):
    """
    Its packets arrive and are not for us: `stats` counts them, by a name that says so.
    """
    gateway = "198.51.100.1"
    before = live.verdicts()
    live.ip("client0", f"neighbor replace {gateway} lladdr 02:00:00:00:99:99 dev eth0")
    live.curl(URL, "client0", "--max-time", "0.5")
    after = live.verdicts()
    live.ip("client0", f"neighbor delete {gateway} dev eth0")

    assert "TO_KERNEL_OTHER_MAC" in grown(before, after)
    assert "TO_BACKEND_NEW" not in grown(before, after)
    assert 0 == live.curl(URL).returncode


def test_the_vip_is_an_address_of_the_switch(live):
    """
    What is for none of its ports is the kernel's then: `preflight` and `explain` say so.
    """
    live.ip("switch", f"address add {VIP}/32 dev lo")
    found = until(lambda: checks(live).get("vip-local"), "preflight is silent")
    answer = until(
        lambda: (a := explained(live, f"{VIP}:81"))["verdict"] == "TO_KERNEL" and a,
        "not the kernel's",
    )
    live.ip("switch", f"address delete {VIP}/32 dev lo")
    until(lambda: explained(live, f"{VIP}:81")["verdict"] == "RESET", "it is still the kernel's")

    assert "note" == found["severity"]
    assert None is answer["out_nic"]


def test_the_connection_table_is_full():
    """
    Packets go on by the slots alone: by name in `drops`, `stats` and `preflight`.
    """
    with network() as bed:
        live = Switch(bed)
        live.start("--connections=16")
        live.lbctl("attach", *bed.plan.nics)
        live.pool("names", f"{VIP}:53/udp", [server_address(bed.servers[0])])
        live.inside("client0", _many_flows, 400)
        rows = live.json("drops", "--by", "pool")
        found = checks(live)

    assert [("TO_BACKEND_UNTRACKED", "names")] == [(row["reason"], row["pool"]) for row in rows]
    assert 100 < rows[0]["packets"]
    assert "--connections" in found["table-room"]["cure"]


def _many_flows(count):
    """Send one datagram from each of many ports."""
    for _ in range(count):
        with datagrams() as plug:
            plug.sendto(b"x", (VIP, 53))
