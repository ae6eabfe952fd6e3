"""
TCP through the switch: every server by both families, large and long-lived, and what is not ours.
"""

from __future__ import annotations

import hashlib
import select
import socket
import struct
from contextlib import closing
from itertools import product

import pytest

from lbctl.testbed.server import content
from tests.netns.live import (
    ask,
    connect,
    grown,
    read_answer,
    server_address,
    switch,
    total,
    until,
    vip4,
    vip6,
)

WEB, ALONE, QUIET, HASHING = 10, 20, 30, 31  # positions of VIPs
FAMILIES = (4, 6)


def host(family, position):
    """A VIP as it stands in a URL."""
    return vip4(position) if family == 4 else vip6(position)


@pytest.fixture(scope="module")
def live():
    """All servers behind one VIP, each behind one of its own, and pools of other manners."""
    with switch() as live:
        configuration = live.export()
        configuration["pools"] = list(pools(live.bed.servers))
        live.apply(configuration)
        yield live


def pools(servers):
    """The pools as a file has them."""
    for family in FAMILIES:
        every = [{"address": server_address(server, family)} for server in servers]
        vip = f"{host(family, WEB)}:80/tcp"
        yield {"name": f"web{family}", "vips": [vip], "backends": every}
        for number, backend in enumerate(every):
            vip = f"{host(family, ALONE + number)}:80/tcp"
            yield {"name": f"only{number}-{family}", "vips": [vip], "backends": [backend]}
        for manner, position in (("drop", QUIET), ("hash", HASHING)):
            vip = f"{host(family, position)}:80/tcp"
            yield {
                "name": f"{manner}{family}",
                "vips": [vip],
                "on_unknown": manner,
                "backends": every,
            }


@pytest.mark.parametrize(
    ("client", "server", "family"), list(product(("client0", "client1"), (0, 1, 2), FAMILIES))
)
def test_every_server_is_reached_by_its_vip(live, client, server, family):
    """
    From both networks outside to both inside.
    """
    done = live.curl(f"http://{host(family, ALONE + server)}/", client)

    assert (0, f"server{server}\n") == (done.returncode, done.stdout), done.stderr


@pytest.mark.parametrize("family", FAMILIES)
def test_all_servers_have_their_share(live, family):
    """
    Of 300 connections each of three servers gets a good many.
    """
    with live.crowd(f"http://{host(family, WEB)}/", options=("--requests=150",)) as crowd:
        tally = crowd.finish()

    assert ({}, 300) == (dict(tally.failures), tally.ok)
    assert {"server0", "server1", "server2"} == set(tally.servers)
    assert min(tally.servers.values()) > 50


@pytest.mark.parametrize(("family", "times", "size"), [(4, 4, 50_000_000), (6, 2, 10_000_000)])
def test_bulk_arrives_whole(live, family, times, size):
    """
    200 MB over IPv4, on one connection; the client sums up what it got.
    """
    body, digest = content(size)
    wanted = hashlib.sha256(body * times).hexdigest()
    assert hashlib.sha256(body).hexdigest() == digest
    url = f"http://{host(family, WEB)}/big?bytes={size}"
    script = f"curl -sS -g {' '.join([repr(url)] * times)} | sha256sum"

    done = live.bed.run("client1", ["bash", "-o", "pipefail", "-c", script])

    assert (0, wanted) == (done.returncode, done.stdout[:64]), done.stderr


@pytest.mark.parametrize("family", FAMILIES)
def test_uploads_arrive_whole(live, family):
    """
    From the client to the server, in segments as large as they get: the server says only GET.
    """
    done = live.curl(
        f"http://{host(family, WEB)}/", "client0", "-w", "%{http_code}", "-d", "x" * 60_000
    )

    assert (0, "only GET\n405") == (done.returncode, done.stdout), done.stderr


@pytest.mark.parametrize("family", FAMILIES)
def test_a_kept_connection_stays_with_its_server(live, family):
    """
    100 requests on one connection.
    """
    with closing(live.inside("client0", connect, host(family, WEB), 80)) as plug:
        servers = {ask(plug) for _ in range(100)}

    assert 1 == len(servers)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_connection_is_listed(live, family):
    """
    With the fields of cli.md, found by each filter, counted, and closing when it is closed.
    """
    name = f"web{family}"
    with closing(live.inside("client0", connect, host(family, WEB), 80)) as plug:
        server = ask(plug).decode().strip()
        address, port = plug.getsockname()[:2]
        client = f"{address}:{port}" if family == 4 else f"[{address}]:{port}"
        (row,) = live.json("connection", "list", "--client", client)
        by_server = live.json("connection", "list", "--backend", row["backend"])
        by_pool = live.json("connection", "list", "--pool", name)
        count = live.json("connection", "count", "--client", client)
        others = live.json("connection", "list", "--pool", "only0-4", "--client", client)

    idle = row.pop("idle_seconds")
    number = int(server.removeprefix("server"))
    assert {
        "protocol": "tcp",
        "client": client,
        "vip": f"{host(family, WEB)}:80/tcp",
        "backend": server_address(live.bed.servers[number], family),
        "state": "established",
        "pool": name,
    } == row
    assert isinstance(idle, float)
    assert any(found["client"] == client for found in by_server)
    assert any(found["client"] == client for found in by_pool)
    assert ({"count": 1}, []) == (count, others)

    def states():
        return [found["state"] for found in live.json("connection", "list", "--client", client)]

    until(lambda: states() in (["closing"], ["closed"]), "it does not end")


def test_counters_add_up(live):
    """
    What went to the servers is what each server's counter says, and each NIC's sum is its total.
    """
    before = live.json("stats")
    with live.crowd(f"http://{host(4, WEB)}/", options=("--requests=50",)) as crowd:
        tally = crowd.finish()
    after = live.json("stats")

    counted = grown(total(before), total(after))
    servers = {key: sums(after)[key] - sums(before)[key] for key in sums(after)}
    status = {nic["name"]: nic["packets"] for nic in live.json("status")["nics"]}
    again = live.json("stats")
    assert 100 == tally.ok
    assert 100 == counted["TO_BACKEND_NEW"]
    assert servers["packets_in"] == counted["TO_BACKEND_NEW"] + counted["TO_BACKEND"]
    assert servers["packets_out"] == counted["TO_CLIENT"]
    assert servers["bytes_out"] > 100 * len("server0\n")
    for nic in again["nics"]:
        packets = sum(tally["packets"] for tally in nic["verdicts"].values())
        first = sum(
            tally["packets"]
            for other in after["nics"]
            if other["name"] == nic["name"]
            for tally in other["verdicts"].values()
        )
        assert first <= status[nic["name"]] <= packets


def sums(stats):
    """The counters of all back-ends together."""
    keys = ("packets_in", "bytes_in", "packets_out", "bytes_out")
    return {key: sum(row[key] for row in stats["backends"]) for key in keys}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_port_without_service_refuses_at_once(live, family):
    """
    By a reset, which is counted; a time-out would be another exception.
    """
    before = live.verdicts()

    with pytest.raises(ConnectionRefusedError):
        live.inside("client0", connect, host(family, WEB), 81)

    assert 1 <= grown(before, live.verdicts())["RESET"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_forgotten_connection_is_reset(live, family):
    """
    on_unknown: reset, the default.
    """
    with closing(forgotten(live, family, WEB)) as plug, pytest.raises(ConnectionResetError):
        ask(plug)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_forgotten_connection_is_dropped(live, family):
    """
    on_unknown: drop; the client hears nothing, and the drop has a name.
    """
    before = live.verdicts().get("DROP_NO_CONNECTION", 0)
    with closing(forgotten(live, family, QUIET)) as plug:
        plug.sendall(b"GET / HTTP/1.1\r\n\r\n")
        until(lambda: live.verdicts().get("DROP_NO_CONNECTION", 0) > before, "nothing was dropped")
        heard = select.select([plug], [], [], 0)[0]

    reasons = {drop["reason"] for drop in live.json("drops")}
    assert [] == heard
    assert "DROP_NO_CONNECTION" in reasons


@pytest.mark.parametrize("family", FAMILIES)
def test_a_forgotten_connection_goes_on_by_hash(live, family):
    """
    on_unknown: hash; the slot table leads to the same server.
    """
    with closing(forgotten(live, family, HASHING)) as plug:
        assert b"server" in ask(plug)


def forgotten(live, family, position):
    """A connection that the switch was told to forget."""
    plug = live.inside("client0", connect, host(family, position), 80)
    ask(plug)
    address, port = plug.getsockname()[:2]
    client = f"{address}:{port}" if family == 4 else f"[{address}]:{port}"
    assert "connections flushed: 1\n" == live.lbctl("connection", "flush", "--client", client)
    return plug


@pytest.mark.parametrize("family", FAMILIES)
def test_a_vip_answers_a_ping(live, family):
    """
    Whatever the client put into it.
    """
    payload = bytes(range(200))
    before = live.verdicts().get("ECHO_REPLY", 0)

    answer = live.inside("client1", ping, host(family, WEB).strip("[]"), payload)

    assert payload == answer
    assert before + 1 == live.verdicts()["ECHO_REPLY"]


def ping(address, payload):
    """Send an echo request, and wait for its reply; the kernel checks the checksum of IPv6."""
    six = ":" in address
    family, protocol = (socket.AF_INET6, 58) if six else (socket.AF_INET, 1)
    request, reply = (128, 129) if six else (8, 0)
    packet = struct.pack("!BBHHH", request, 0, 0, 4711, 1) + payload
    check = 0 if six else checksum(packet)
    with socket.socket(family, socket.SOCK_RAW, protocol) as plug:
        plug.settimeout(10)
        plug.connect((address, 0))
        plug.send(packet[:2] + struct.pack("!H", check) + packet[4:])
        while True:
            data = plug.recv(2000)
            body = data if six else data[20:]
            if body[0] == reply and body[4:8] == packet[4:8]:
                assert six or checksum(body) == 0
                return body[8:]


def checksum(data):
    """The Internet checksum of an even number of bytes."""
    number = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while number >> 16:
        number = (number & 0xFFFF) + (number >> 16)
    return ~number & 0xFFFF


@pytest.mark.parametrize("family", FAMILIES)
def test_a_server_is_reached_past_the_vip(live, family):
    """
    Its own address is not ours, and no connection is made of it.
    """
    server = live.bed.servers[1]
    before = live.verdicts()

    done = live.curl(f"http://{server_address(server, family)}/")

    counted = grown(before, live.verdicts())
    assert "server1\n" == done.stdout, done.stderr
    assert counted["TO_KERNEL"] >= 10
    assert not {"TO_BACKEND_NEW", "TO_CLIENT", "RESET"} & counted.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_switch_itself_is_reached(live, family):
    """
    As by SSH: a connection to it outlives that its NICs are detached and attached.
    """
    with closing(live.inside("switch", listener, family)) as door:
        gateway = str(live.bed.plan.nets[0].gateways[family == 6])
        with closing(live.inside("client0", connect, gateway, 22)) as plug:
            inner, _ = door.accept()
            with inner:
                for words in ((), ("detach", "--all"), ("attach", *live.bed.plan.nics)):
                    if words:
                        live.lbctl(*words)
                    plug.sendall(b"are you there?")
                    assert b"are you there?" == inner.recv(100)
                    inner.sendall(b"yes")
                    assert b"yes" == plug.recv(100)
    assert live.curl(f"http://{host(family, WEB)}/").stdout.startswith("server")


def listener(family):
    """Listen as sshd does."""
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    door = socket.create_server(("", 22), family=kind)
    door.settimeout(10)
    return door


def test_connections_outlive_a_change_of_mode(live):
    """
    Generic mode works too, and a connection goes on from one mode to the other.
    """
    nics = live.bed.plan.nics
    with closing(live.inside("client0", connect, host(4, WEB), 80)) as plug:
        server = ask(plug)
        live.lbctl("attach", "--mode", "generic", *nics)
        try:
            modes = {mode for _, mode in live.tags()}
            there = ask(plug)
            single = {
                live.curl(f"http://{host(family, ALONE + number)}/", f"client{number % 2}").stdout
                for family in FAMILIES
                for number in range(3)
            }
        finally:
            live.lbctl("attach", "--mode", "native", *nics)
        back = ask(plug)

    assert {"generic"} == modes
    assert {"server0\n", "server1\n", "server2\n"} == single
    assert server == there == back
    assert {"native"} == {mode for _, mode in live.tags()}


def test_half_closed_connections_are_answered(live):
    """
    The client has said all it will ever say, and the answer still comes.
    """
    with closing(live.inside("client0", connect, host(4, WEB), 80)) as plug:
        plug.sendall(b"GET /slow?bytes=100000&seconds=0.5 HTTP/1.1\r\n\r\n")
        plug.shutdown(socket.SHUT_WR)

        assert content(100_000)[0] == read_answer(plug)
