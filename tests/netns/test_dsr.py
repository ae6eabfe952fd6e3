"""
DSR: servers that own the VIP answer the client themselves, past the switch.
"""

from __future__ import annotations

from contextlib import closing
from itertools import product

import pytest

from tests.netns.live import ask, connect, datagrams, going, grown, none_failed, switch, vip4, vip6

WEB, ALONE = 10, 20
FAMILIES = (4, 6)


@pytest.fixture(scope="module")
def live():
    """All servers behind one VIP, and each behind one of its own; the ports stay as they are."""
    with switch(dsr=True) as live:
        configuration = live.export()
        configuration["pools"] = list(pools(live))
        live.apply(configuration)
        yield live


def pools(live):
    """The pools as a file has them."""
    for family in FAMILIES:
        every = [{"address": address} for address in live.backends(family, 80)]
        yield pool(f"web{family}", f"{vip(family, WEB)}:80/tcp", every)
        yield pool(f"echo{family}", f"{vip(family, WEB)}:80/udp", every)
        for number, backend in enumerate(every):
            name = f"only{number}-{family}"
            yield pool(name, f"{vip(family, ALONE + number)}:80/tcp", [backend])


def pool(name, address, backends):
    """One pool."""
    return {"name": name, "vips": [address], "forward": "dsr", "backends": backends}


def vip(family, position):
    """A VIP as text."""
    return vip4(position) if family == 4 else vip6(position)


@pytest.mark.parametrize(
    ("client", "server", "family"), list(product(("client0", "client1"), (0, 1, 2), FAMILIES))
)
def test_every_server_is_reached_by_its_vip(live, client, server, family):
    """
    From both networks outside to both inside.
    """
    done = live.curl(f"http://{vip(family, ALONE + server)}/", client)

    assert (0, f"server{server}\n") == (done.returncode, done.stdout), done.stderr


@pytest.mark.parametrize("family", FAMILIES)
def test_the_reply_passes_the_switch_by(live, family):
    """
    Requests are counted, replies are not: neither as ours nor as the kernel's.
    """
    before = live.verdicts()
    with closing(live.inside("client0", connect, vip(family, WEB), 80)) as plug:
        body = ask(plug, "/big?bytes=1000000")
        (row,) = live.json("connection", "list", "--pool", f"web{family}", "--limit", "1")
    counted = grown(before, live.verdicts())

    assert 1_000_000 == len(body)
    assert f"{vip(family, WEB)}:80/tcp" == row["vip"]
    assert 1 == counted["TO_BACKEND_NEW"]
    assert counted["TO_BACKEND"] > 10
    assert "TO_CLIENT" not in counted
    assert counted.get("TO_KERNEL", 0) < 100  # of 700 segments that the reply has


@pytest.mark.parametrize("family", FAMILIES)
def test_a_whole_connection_is_followed_from_one_side(live, family):
    """
    The handshake and the end are known from what the client says.
    """
    with closing(live.inside("client1", connect, vip(family, WEB), 80)) as plug:
        ask(plug)
        address, port = plug.getsockname()[:2]
        client = f"{address}:{port}" if family == 4 else f"[{address}]:{port}"
        (row,) = live.json("connection", "list", "--client", client)
    after = live.json("connection", "list", "--client", client)

    assert "established" == row["state"]
    assert [] == [row for row in after if row["state"] == "established"]


@pytest.mark.parametrize("family", FAMILIES)
def test_no_request_fails_when_servers_come_and_go(live, family):
    """
    As with NAT.
    """
    backend = live.backends(family, 80)[0]
    with live.crowd(f"http://{vip(family, WEB)}/") as crowd:
        going(crowd)
        live.lbctl("backend", "remove", f"web{family}", backend)
        going(crowd, 30)
        before = crowd.progress().servers["server0"]
        going(crowd, 60)
        after = crowd.progress().servers["server0"]
        live.lbctl("backend", "add", f"web{family}", backend)
        going(crowd)
        tally = none_failed(crowd)

    assert before == after
    assert {"server0", "server1", "server2"} == set(tally.servers)


@pytest.mark.parametrize("family", FAMILIES)
def test_datagrams_are_answered_from_the_vip(live, family):
    """
    By the server itself.
    """
    before = live.verdicts()
    host = vip(family, WEB).strip("[]")
    with closing(live.inside("client0", datagrams, family)) as plug:
        plug.sendto(b"hello", (host, 80))
        data, origin = plug.recvfrom(2000)

    assert data.startswith(b"server")
    assert data.endswith(b" hello")
    assert (host, 80) == origin[:2]
    assert "TO_CLIENT" not in grown(before, live.verdicts())
