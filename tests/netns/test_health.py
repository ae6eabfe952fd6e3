"""
Servers that fail are left, those that recover come back, and nobody is sent to a dead one.
"""

from __future__ import annotations

import pytest

from tests.netns.live import (
    ask,
    connect,
    going,
    kill_server,
    none_failed,
    server_address,
    start_server,
    switch,
    until,
    vip4,
    vip6,
)

WEB, WEB6, PAIR, SORRY = 20, 20, 21, 22
CHECK = {"check": "http", "path": "/", "interval": 0.3, "timeout": 0.3, "rise": 2, "fall": 2}


@pytest.fixture(scope="module")
def live():
    """Two clients, three servers."""
    with switch() as live:
        yield live


@pytest.fixture
def pools(live):
    """Configure pools as plain data; they are gone afterwards."""
    before = live.export()

    def configure(*pools, **more):
        live.apply({**before, "pools": list(pools), **more})

    yield configure
    live.apply(before)


def pool(live, name, vip, numbers=(0, 1, 2), family=4, **fields):
    """A pool of some of the servers, as plain data."""
    hosts = [live.bed.servers[number] for number in numbers]
    backends = [{"address": server_address(host, family)} for host in hosts]
    return {"name": name, "vips": [vip] if vip else [], "backends": backends, **fields}


def states(live, name):
    """The states of a pool's back-ends, in order."""
    return [backend["state"] for backend in live.api.pool(name)["backends"]]


@pytest.fixture
def dead(live):
    """Kill server 0 when called; it is there again afterwards."""
    killed = []

    def kill():
        killed.append(0)
        kill_server(live, 0)

    yield kill
    if killed:
        start_server(live, 0)


def is_down(live, name, state="down"):
    """Wait until server 0 stands so in a pool."""
    until(lambda: states(live, name)[0] == state, f"{name} does not find out")


@pytest.mark.parametrize("family", [4, 6])
def test_a_server_that_dies_is_left_and_comes_back(live, pools, dead, family):
    """
    Under load: once it is known to be down nobody is sent there, and none fails.
    """
    vip, url = (vip4(WEB), f"http://{vip4(WEB)}/") if family == 4 else (vip6(WEB6), "")
    url = url or f"http://{vip}/"
    pools(pool(live, "web", f"{vip}:80/tcp", family=family, health=CHECK))
    assert ["active"] * 3 == states(live, "web")

    dead()
    is_down(live, "web")
    withheld = live.verdicts().get("DROP_RESET_WITHHELD", 0)
    with live.crowd(url, options=("--requests=60",)) as crowd:
        tally = crowd.finish()

    assert ({}, {"server1", "server2"}) == (dict(tally.failures), set(tally.servers))
    assert withheld == live.verdicts().get("DROP_RESET_WITHHELD", 0)
    start_server(live, 0)
    is_down(live, "web", "active")
    with live.crowd(url) as crowd:
        until(lambda: crowd.progress().servers.get("server0"), "it gets nothing")
        none_failed(crowd)
    kill_server(live, 0)  # the fixture starts it again


def test_requests_fail_for_a_short_time_only(live, pools, dead):
    """
    Those that were under way on the dead server are lost; no other is.
    """
    pools(pool(live, "web", f"{vip4(WEB)}:80/tcp", health=CHECK))
    with live.crowd(f"http://{vip4(WEB)}/") as crowd:
        going(crowd)
        dead()
        is_down(live, "web")
        going(crowd)
        failed = crowd.progress().failed
        going(crowd, 100)
        crowd.stop()
        tally = crowd.finish()

    assert failed == tally.failed
    assert {"reset while waiting", "closed early"} >= set(tally.failures)


def test_health_survives_a_restart(live, pools, dead):
    """
    A new daemon knows of the dead server before it has checked anything.
    """
    slow = {**CHECK, "interval": 3600, "timeout": 0.5, "fall": 100}
    pools(pool(live, "web", f"{vip4(WEB)}:80/tcp", health=CHECK))
    dead()
    is_down(live, "web")
    since = next(row["since"] for row in live.json("health", "list") if row["up"] is False)
    live.apply({**live.export(), "pools": [pool(live, "web", f"{vip4(WEB)}:80/tcp", health=slow)]})
    for end in (live.end, live.kill):
        end()
        live.start()

        assert ["down", "active", "active"] == states(live, "web")
        rows = live.json("health", "list")
        assert since == next(row["since"] for row in rows if row["up"] is False)


def test_a_new_back_end_is_looked_at_before_it_gets_connections(live, pools, dead):
    """
    A pool that is added with a dead server never sends anybody there.
    """
    pools()
    dead()
    withheld = live.verdicts().get("DROP_RESET_WITHHELD", 0)
    pools(pool(live, "web", f"{vip4(WEB)}:80/tcp", health=CHECK))
    with live.crowd(f"http://{vip4(WEB)}/", options=("--requests=40",)) as crowd:
        assert {} == dict(crowd.finish().failures)

    assert ["down", "active", "active"] == states(live, "web")
    assert withheld == live.verdicts().get("DROP_RESET_WITHHELD", 0)


def test_the_data_path_sees_a_server_that_refuses(live, pools, dead):
    """
    Without any check: new connections are kept from it, and after a while it is tried again.
    """
    passive = {"failures": 3, "ratio": 0.3, "inhibit": 2, "window": 5}
    pools(pool(live, "web", f"{vip4(WEB)}:80/tcp", passive=passive, balance={"interval": 0.2}))
    with live.crowd(f"http://{vip4(WEB)}/", options=("--rate=100", "--timeout=30")) as crowd:
        going(crowd)
        dead()
        is_down(live, "web", "draining")
        start_server(live, 0)
        is_down(live, "web", "active")
        until(lambda: live.json("events", "--kind", "passive")[-1]["text"] == "released", "no word")
        kill_server(live, 0)
        crowd.stop()
        crowd.finish()


def test_a_backup_serves_while_the_pool_is_down(live, pools, dead):
    """
    And goes when the pool comes back.
    """
    sorry = pool(live, "sorry", None, [2])
    main = pool(live, "web", f"{vip4(WEB)}:80/tcp", [0], health=CHECK, backup="sorry")
    pools(main, sorry)
    url = f"http://{vip4(WEB)}/"
    assert "server0\n" == live.curl(url).stdout

    dead()
    is_down(live, "web")

    assert "server2\n" == live.curl(url).stdout
    assert "sorry" == live.api.pool("web")["served_by"]
    assert "is served by its backup sorry" in " ".join(live.warnings())
    start_server(live, 0)
    is_down(live, "web", "active")
    assert "server0\n" == live.curl(url).stdout
    kill_server(live, 0)


def test_connections_of_a_dead_server_are_reset(live, pools):
    """
    A client that waits for an answer hears of it at once, IPv4 and IPv6.
    """
    pools(
        pool(live, "web", f"{vip4(WEB)}:80/tcp", [0], on_down="reset"),
        pool(live, "web6", f"{vip6(WEB6)}:80/tcp", [0], 6, on_down="reset"),
    )
    for name, vip, family in (("web", vip4(WEB), 4), ("web6", vip6(WEB6), 6)):
        plug = live.inside("client0", connect, vip, 80)
        with plug:
            assert b"server0\n" == ask(plug)
            address = server_address(live.bed.servers[0], family)
            live.api.set_backend(name, address, {"state": "maintenance"})
            with pytest.raises(ConnectionResetError):
                plug.recv(1)
    assert 2 <= live.verdicts()["RESET_DOWN"]


def test_connections_of_a_dead_server_are_kept(live, pools):
    """
    Without on_down: reset they go on, should the server live after all.
    """
    pools(pool(live, "web", f"{vip4(WEB)}:80/tcp", [0, 1]))
    with live.inside("client0", connect, vip4(WEB), 80) as plug:
        name = ask(plug)
        number = int(name.decode().removeprefix("server"))
        address = server_address(live.bed.servers[number])
        live.api.set_backend("web", address, {"state": "maintenance"})

        assert name == ask(plug)


def test_rules_send_some_clients_elsewhere(live, pools):
    """
    By the client's prefix; the rest goes where it went.
    """
    one, two = live.bed.clients[:2]
    rules = [{"clients": f"{one.ipv4}/32", "pool": "special"}]
    pools(
        pool(live, "web", f"{vip4(WEB)}:80/tcp", [0, 1], rules=rules),
        pool(live, "special", None, [2]),
    )
    for _ in range(5):
        assert "server2\n" == live.curl(f"http://{vip4(WEB)}/", one.role).stdout
        assert "server2\n" != live.curl(f"http://{vip4(WEB)}/", two.role).stdout


def test_a_client_stays_with_its_server_by_sh(live, pools):
    """
    Whatever port it comes from.
    """
    pools(pool(live, "web", f"{vip4(WEB)}:80/tcp", scheduler="sh"))
    for client in live.bed.clients:
        answers_ = {live.curl(f"http://{vip4(WEB)}/", client.role).stdout for _ in range(8)}

        assert 1 == len(answers_)
