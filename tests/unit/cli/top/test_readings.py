"""
Rates, from counters that were read one after the other.
"""

from __future__ import annotations

import pytest

from lbctl.cli.top.readings import HISTORY, Look, Readings
from tests.unit.cli.top import switch

NIC = ("nic", "eth1")
WEB = ("pool", "web")
SERVER = ("backend", "web", "10.0.1.11:8080")
OTHER = ("backend", "web", "10.0.1.12:8080")
VIP, VIP6 = "203.0.113.10:80/tcp", "203.0.113.10:443/tcp"


def backend(address, packets_in, packets_out=0, connections=0, vip=VIP):
    """The counters of a back-end, as the API has them."""
    return {
        "pool": "web",
        "address": address,
        "vip": vip,
        "packets_in": packets_in,
        "packets_out": packets_out,
        "connections": connections,
    }


def stats(*backends, nic=None, services=()):
    """All counters."""
    nics = [{"name": "eth1", "verdicts": nic or {}}]
    return {"nics": nics, "services": list(services), "backends": list(backends)}


def service(**verdicts):
    """The counters of a VIP."""
    return {"pool": "web", "app": None, "vip": VIP, "verdicts": verdicts}


def tally(packets, size=100):
    """Packets and their bytes."""
    return {"packets": packets, "bytes": packets * size}


@pytest.fixture
def readings():
    """
    Nothing yet.
    """
    return Readings()


def test_one_look_is_no_rate(readings):
    """
    That takes two.
    """
    readings.add(Look(1.0, {}, stats=stats(backend("10.0.1.11:8080", 5))))

    assert readings.rate(SERVER) is None
    assert () == readings.trend(SERVER)


def test_nothing_was_read(readings):
    """
    Who asks for a look before there is one has made a mistake.
    """
    with pytest.raises(LookupError):
        _ = readings.look


def test_rates_of_a_nic(readings):
    """
    All verdicts together, and those that mean a drop.
    """
    first = {"TO_BACKEND": tally(100), "DROP_NO_ROUTE": tally(10)}
    second = {"TO_BACKEND": tally(300), "DROP_NO_ROUTE": tally(14), "DROP_TOO_BIG": tally(6)}
    readings.add(Look(10.0, {}, stats=stats(nic=first)))
    readings.add(Look(12.0, {}, stats=stats(nic=second)))

    assert 105.0 == readings.rate(NIC)
    assert 10500.0 == readings.rate(NIC, "bytes")
    assert 5.0 == readings.rate(NIC, "drops")


def test_a_nic_without_packets(readings):
    """
    It has no counters, and that is a rate of 0.
    """
    for when in (1.0, 2.0):
        readings.add(Look(when, {"nics": [{"name": "eth2"}]}, stats=stats()))

    assert 0.0 == readings.rate(("nic", "eth2"), "bytes")


def test_rates_of_a_pool_are_those_of_its_back_ends(readings):
    """
    And of its VIPs: a server of two VIPs has the sum of both; drops are the VIP's.
    """
    readings.add(
        Look(
            10.0,
            {},
            stats=stats(
                backend("10.0.1.11:8080", 10, 10, 1),
                backend("10.0.1.11:8080", 0, vip=VIP6),
                backend("10.0.1.12:8080", 7),
                services=[service(DROP_NO_ROUTE=5, RESET=1)],
            ),
        )
    )
    readings.add(
        Look(
            12.0,
            {},
            stats=stats(
                backend("10.0.1.11:8080", 20, 20, 5),
                backend("10.0.1.11:8080", 8, vip=VIP6),
                backend("10.0.1.12:8080", 7),
                services=[service(DROP_NO_ROUTE=9, RESET=50)],
            ),
        )
    )

    assert (14.0, 2.0) == (readings.rate(SERVER), readings.rate(SERVER, "connections"))
    assert (0.0, 0.0) == (readings.rate(OTHER), readings.rate(OTHER, "connections"))
    assert (14.0, 2.0) == (readings.rate(WEB), readings.rate(WEB, "connections"))
    assert 2.0 == readings.rate(WEB, "drops")


def test_tables_that_were_made_anew(readings):
    """
    Less than before began at 0; and so did what was not there.
    """
    readings.add(Look(1.0, {}, stats=stats(backend("10.0.1.11:8080", 1000))))
    readings.add(
        Look(2.0, {}, stats=stats(backend("10.0.1.11:8080", 4), backend("10.0.1.12:8080", 3)))
    )

    assert (4.0, 3.0, 7.0) == tuple(map(readings.rate, (SERVER, OTHER, WEB)))


def test_what_is_gone_is_forgotten(readings):
    """
    Pools come and go; memory stays.
    """
    for when in (1.0, 2.0):
        readings.add(Look(when, {}, stats=stats(backend("10.0.1.11:8080", 5))))
    readings.add(Look(3.0, {}, stats=stats()))

    assert readings.rate(SERVER) is None
    assert readings.rate(WEB) is None
    assert 0.0 == readings.rate(NIC)


def test_the_trend_has_an_end(readings):
    """
    The newest, and no more than can be shown.
    """
    total = 0
    for number in range(HISTORY + 10):
        total += number
        readings.add(Look(float(number), {}, stats=stats(backend("10.0.1.11:8080", total))))

    assert [float(n) for n in range(10, HISTORY + 10)] == list(readings.trend(SERVER))


def test_drops_have_their_own_time(readings):
    """
    Looks that did not ask for them make no difference to them.
    """
    drop = {"reason": "DROP_NO_ROUTE", "nic": "eth1", "packets": 10, "bytes": 0}
    readings.add(Look(1.0, {}, drops=[drop]))
    readings.add(Look(3.0, {}, stats=stats()))
    readings.add(Look(5.0, {}, drops=[{**drop, "packets": 30}]))

    assert 5.0 == readings.rate(("drop", "DROP_NO_ROUTE", "eth1"))


def test_two_looks_at_the_same_time(readings):
    """
    Clocks are coarse: no division by nothing.
    """
    for _ in range(2):
        readings.add(Look(1.0, {}, stats=stats(backend("10.0.1.11:8080", 5))))

    assert readings.rate(SERVER) is None


def test_what_was_not_asked_is_as_it_was(readings):
    """
    So that a page has something to show until its own answer is there.
    """
    web = {"name": "web"}
    readings.add(Look(1.0, {"generation": 1}, pools=[web]))
    readings.add(Look(2.0, {"generation": 2}, drops=[]))

    assert ({"generation": 2}, [web], []) == (
        readings.look.status,
        readings.look.pools,
        readings.look.drops,
    )
    assert web == readings.look.pool_of("web")


def test_a_pool_that_was_removed(readings):
    """
    The newer word counts.
    """
    readings.add(Look(1.0, {}, pools=[{"name": "web"}, {"name": "dns"}]))
    readings.add(Look(2.0, {}, pool={"name": "web", "newer": True}))
    assert {"name": "web", "newer": True} == readings.look.pool_of("web")
    assert {"name": "dns"} == readings.look.pool_of("dns")

    readings.add(Look(3.0, {}, pool={}))
    assert readings.look.pool_of("web") is None


def test_rates_of_an_application(readings):
    """
    What it got, what it lost of that, and what was discarded; its VIPs are of no pool.
    """
    vip = {"pool": None, "app": "voip", "vip": "203.0.113.20:5060/udp"}
    for second in (0, 2):
        counted = stats(services=[{**vip, "verdicts": {"DROP_APP_GONE": 2 * second}}])
        readings.add(Look(10.0 + second, {"apps": [switch.app(seconds=second)]}, stats=counted))

    voip = ("app", "voip")
    assert 100.0 == readings.rate(voip)
    assert 3.0 == readings.rate(voip, "lost")
    assert 2.0 == readings.rate(voip, "drops")
    assert [100.0] == list(readings.trend(voip))
    assert readings.rate(("pool", None), "drops") is None
