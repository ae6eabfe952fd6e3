"""
A server dies: what was under way on it is lost, and every connection that is made finds another.
"""

from __future__ import annotations

import pytest

from tests.netns.live import (
    going,
    kill_server,
    none_failed,
    start_server,
    switch,
    until,
    vip4,
    vip6,
)

WEB, TWO = 10, 11
URLS = (f"http://{vip4(WEB)}/", f"http://{vip6(WEB)}/")
MANY = ("--requests=60", "--concurrency=60", "--timeout=30")
LOST = {"reset while waiting", "closed early"}  # requests that the server had taken


@pytest.fixture(scope="module")
def live():
    """Two clients, three servers, one pool for each family."""
    with switch() as live:
        live.pool("web", f"{vip4(WEB)}:80/tcp", live.backends())
        live.pool("web6", f"{vip6(WEB)}:80/tcp", live.backends(6))
        live.pool("two", f"{vip4(TWO)}:80/tcp", live.backends()[:2])
        yield live


@pytest.fixture
def _dead(live):
    """A server whose process is gone while its host is up; it comes back afterwards."""
    kill_server(live, 0)
    yield
    start_server(live, 0)


@pytest.fixture
def _silent(live):
    """A server whose cable is out."""
    live.ip("server1", "link set eth0 down")
    yield
    host = live.bed.servers[1]
    gateway4, gateway6 = host.net.gateways
    live.ip("server1", "link set eth0 up")  # its routes, and its IPv6 address, were lost
    live.ip("server1", f"address replace {host.ipv6}/{host.net.ipv6.prefixlen} dev eth0 nodad")
    live.ip("server1", f"route replace default via {gateway4}")
    live.ip("server1", f"route replace default via {gateway6}")


@pytest.mark.usefixtures("_dead")
@pytest.mark.parametrize("url", URLS, ids=["4", "6"])
def test_connections_pass_a_server_that_refuses(live, url):
    """
    Its first refusal is withheld, the client asks again and finds another: none fails.
    """
    before = live.verdicts().get("DROP_RESET_WITHHELD", 0)
    with live.crowd(url, options=MANY) as crowd:
        tally = crowd.finish()

    assert ({}, 120) == (dict(tally.failures), tally.ok), tally.first_failures
    assert {"server1", "server2"} == set(tally.servers)
    assert live.verdicts()["DROP_RESET_WITHHELD"] > before


@pytest.mark.usefixtures("_dead")
def test_connections_pass_one_server_of_two(live):
    """
    Where there is only one other, they find it all the same.
    """
    with live.crowd(f"http://{vip4(TWO)}/", options=MANY) as crowd:
        tally = crowd.finish()

    assert ({}, {"server1": 120}) == (dict(tally.failures), dict(tally.servers))


@pytest.mark.usefixtures("_silent")
@pytest.mark.parametrize("url", URLS, ids=["4", "6"])
def test_connections_pass_a_server_that_is_silent(live, url):
    """
    A repeated SYN finds another server: none fails.
    """
    with live.crowd(url, options=MANY) as crowd:
        tally = crowd.finish()

    assert ({}, 120) == (dict(tally.failures), tally.ok), tally.first_failures
    assert {"server0", "server2"} == set(tally.servers)


def test_a_server_dies_under_load(live):
    """
    Only requests that it had taken are lost; when it is back, it is served again.
    """
    with live.crowd(*URLS, options=("--rate=60", "--concurrency=40", "--timeout=30")) as crowd:
        until(lambda: crowd.progress().servers["server2"], "it gets nothing")
        kill_server(live, 2)
        going(crowd, 150)
        start_server(live, 2)
        before = crowd.progress().servers["server2"]
        until(lambda: crowd.progress().servers["server2"] > before, "it gets nothing again")
        crowd.stop()
        tally = crowd.finish()

    assert set(tally.failures) <= LOST, tally.first_failures
    assert tally.failed <= 10, tally.first_failures
    assert tally.ok >= 150


def test_a_dead_server_is_drained_without_a_failure(live):
    """
    As an administrator would: drain, start it again, restore.
    """
    kill_server(live, 0)
    live.lbctl("pool", "remove", "two")
    for pool, address in (("web", live.backends()[0]), ("web6", live.backends(6)[0])):
        live.lbctl("backend", "drain", pool, address)
    before = live.verdicts().get("DROP_RESET_WITHHELD", 0)
    with live.crowd(*URLS) as crowd:
        going(crowd, 100)
        withheld = live.verdicts().get("DROP_RESET_WITHHELD", 0) - before
        start_server(live, 0)
        for pool, address in (("web", live.backends()[0]), ("web6", live.backends(6)[0])):
            live.lbctl("backend", "restore", pool, address)
        until(lambda: crowd.progress().servers["server0"], "it gets nothing")
        none_failed(crowd)

    assert 0 == withheld
