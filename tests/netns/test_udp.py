"""
UDP through the switch: echoes by both families, one server for one client port, and what is lost.
"""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.netns.live import datagrams, grown, switch, until, vip4, vip6

ECHO, ANY = 10, 11
FAMILIES = (4, 6)
LARGEST = {4: 1500 - 20 - 8, 6: 1500 - 40 - 8}  # payload of a datagram that is no fragment


@pytest.fixture(scope="module")
def live():
    """One pool for each family, and one for all ports of an address."""
    with switch() as live:
        for family in FAMILIES:
            live.pool(f"echo{family}", f"{vip(family, ECHO)}:53/udp", live.backends(family))
        yield live


def vip(family, position):
    """A VIP as text."""
    return vip4(position) if family == 4 else vip6(position)


def echo(plug, address, payload, port=53):
    """Send a datagram and wait for its answer; returns the server and where it came from."""
    plug.sendto(payload, (address.strip("[]"), port))
    data, origin = plug.recvfrom(65536)
    name, _, body = data.partition(b" ")
    assert payload == body
    return name.decode(), origin[:2]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("client", ["client0", "client1"])
def test_datagrams_are_answered_from_the_vip(live, family, client):
    """
    By a server of the pool, and by all of them when many clients ask.
    """
    address = vip(family, ECHO)
    servers = set()
    for number in range(40):
        with closing(live.inside(client, datagrams, family)) as plug:
            server, origin = echo(plug, address, str(number).encode())
            servers.add(server)
            assert (address.strip("[]"), 53) == origin

    assert {"server0", "server1", "server2"} == servers


@pytest.mark.parametrize("family", FAMILIES)
def test_one_client_port_stays_with_its_server(live, family):
    """
    While the pool is changed around it, too.
    """
    name, address = f"echo{family}", vip(family, ECHO)
    with closing(live.inside("client0", datagrams, family)) as plug:
        first, _ = echo(plug, address, b"first")
        backend = live.backends(family)[int(first.removeprefix("server"))]
        live.lbctl("backend", "drain", name, backend)
        try:
            servers = {echo(plug, address, str(i).encode())[0] for i in range(50)}
        finally:
            live.lbctl("backend", "restore", name, backend)

    assert {first} == servers


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("short", [0, 1, 2, 700])
def test_large_datagrams_arrive_whole(live, family, short):
    """
    Up to the MTU, of even and odd lengths; the server's name makes the answer longer.
    """
    size = LARGEST[family] - len("server0 ") - short
    payload = bytes(number % 256 for number in range(size))
    with closing(live.inside("client1", datagrams, family)) as plug:
        assert echo(plug, vip(family, ECHO), payload)[0].startswith("server")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("payload", [b"", b"x"])
def test_small_datagrams_arrive(live, family, payload):
    """
    Nothing is also something to say.
    """
    with closing(live.inside("client0", datagrams, family)) as plug:
        assert echo(plug, vip(family, ECHO), payload)[0].startswith("server")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_port_without_service_is_counted(live, family):
    """
    And not answered.
    """
    before = live.verdicts()
    with closing(live.inside("client0", datagrams, family)) as plug:
        for _ in range(7):
            plug.sendto(b"anybody there?", (vip(family, ECHO).strip("[]"), 54))
        until(
            lambda: grown(before, live.verdicts()).get("DROP_NO_SERVICE", 0) >= 7,
            "nothing is counted",
        )
        plug.setblocking(False)  # noqa: FBT003 - its only argument
        with pytest.raises(BlockingIOError):
            plug.recv(100)

    (row, *_) = [row for row in live.json("drops") if row["reason"] == "DROP_NO_SERVICE"]
    assert row["nic"] == "ext0"
    assert 7 == grown(before, live.verdicts())["DROP_NO_SERVICE"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_flow_is_listed(live, family):
    """
    As a connection of UDP.
    """
    with closing(live.inside("client0", datagrams, family)) as plug:
        server, _ = echo(plug, vip(family, ECHO), b"hello")
        port = plug.getsockname()[1]
    host = live.bed.clients[0]
    client = f"{host.ipv4}:{port}" if family == 4 else f"[{host.ipv6}]:{port}"

    (row,) = live.json("connection", "list", "--client", client)

    assert ("udp", client, f"echo{family}") == (row["protocol"], row["client"], row["pool"])
    assert f"{vip(family, ECHO)}:53/udp" == row["vip"]
    assert live.backends(family)[int(server.removeprefix("server"))] == row["backend"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_vip_of_all_ports_keeps_the_port(live, family):
    """
    The server is asked on the port that the client named.
    """
    name, address = f"any{family}", vip(family, ANY)
    live.lbctl("pool", "remove", f"echo{family}")
    live.lbctl("connection", "flush")  # or the servers stay those of the pool before
    try:
        live.pool(name, f"{address}:*/udp", live.backends(family))
        for port in (80, 8080):
            with closing(live.inside("client1", datagrams, family)) as plug:
                server, origin = echo(plug, address, b"hello", port)
                assert server.startswith("server")
                assert (address.strip("[]"), port) == origin
        live.lbctl("pool", "remove", name)
    finally:
        live.lbctl("connection", "flush")
        live.pool(f"echo{family}", f"{vip(family, ECHO)}:53/udp", live.backends(family))
