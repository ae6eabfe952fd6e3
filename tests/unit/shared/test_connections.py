"""The connection table, seen by people: live or over, and whose."""

from __future__ import annotations

from ipaddress import ip_address

import numpy as np
import pytest

from lbctl.model import SocketAddress, Timeouts, Vip
from lbctl.shared import abi, connections
from lbctl.shared.abi import ConnectionState as State
from lbctl.shared.connections import Filter
from tests.unit.shared.fakes import Shared, service

WEB, MAIL, ANY = "203.0.113.10:80/tcp", "203.0.113.10:25/tcp", "203.0.113.20:*/tcp"
TIMEOUTS = Timeouts(half_open=10, established=1000, closing=100, closed=5, udp=50)


@pytest.fixture
def shared():
    """
    Records 0 and 1 of the web, 2 of mail, 3 of a VIP with any port.
    """
    made = Shared()
    made.configuration.publish(
        [
            service(WEB, "10.0.1.11:80", "10.0.1.12:80"),
            service(MAIL, "10.0.1.11:25"),
            service(ANY, "10.0.1.13:0"),
        ],
        TIMEOUTS,
        1,
    )
    return made


@pytest.mark.parametrize(
    ("state", "seconds"),
    [
        (State.HALF_OPEN, 10),
        (State.ESTABLISHED, 1000),
        (State.CLOSING, 100),
        (State.CLOSED, 5),
        (State.UDP, 50),
    ],
)
def test_a_connection_lives_as_long_as_its_state_says(shared, state, seconds):
    """
    To the tick; whatever other bits its state has.
    """
    ticks = shared.clock.ticks(seconds)
    for age, lives in ((0, 1), (ticks, 1), (ticks + 1, 0), (30_000, 0)):
        for bits in (0, State.FIN_CLIENT, State.ANSWERED | State.WITHHELD):
            shared.connect(7, 0, state | bits, age=age)
            assert lives == shared.connections.used()
            still_open = lives and state is not State.CLOSED
            assert still_open == shared.connections.count_by_backend()[0]
            assert 1 == shared.connections.count_by_backend(expired=True)[0]


@pytest.mark.parametrize("now", [0, 3, 65535, 30_000])
def test_time_goes_round(shared, now):
    """
    Ticks are 16 bits; a tick ahead is another processor's clock, and no age.
    """
    shared.clock.tick = now
    for ahead in (0, 1, 2):
        shared.connect(7, 0, age=-ahead)
        assert [0.0] == [c.idle_seconds for c in shared.connections.list()]
    shared.connect(7, 0, age=100)
    assert [102.4] == [c.idle_seconds for c in shared.connections.list()]


def test_free_and_locked_places_are_nobody(shared):
    """
    One is being written this very moment.
    """
    for key in (abi.ConnectionKey.FREE, abi.ConnectionKey.LOCKED):
        shared.connect(7, 0)
        shared.entries["key"][7] = key
        assert 0 == shared.connections.used() == shared.connections.count()
        assert 0 == shared.connections.flush()
        assert key == shared.entries["key"][7]


def test_what_is_shown(shared):
    """
    Names, not indices.
    """
    shared.connect(7, 1, State.HALF_OPEN | State.ANSWERED, "[2001:db8::7]:40000", age=5)
    (shown,) = shared.connections.list()

    assert shown == (
        "tcp",
        SocketAddress.parse("[2001:db8::7]:40000"),
        Vip.parse(WEB),
        SocketAddress.parse("10.0.1.12:80"),
        "half_open",
        5.1,
    )


def test_a_record_that_is_gone_is_not_shown(shared):
    """
    The list is made while packets flow.
    """
    shared.connect(7, 11)

    assert [] == shared.connections.list()


FILTERS = [
    (Filter(), {0, 1, 2, 3, 4, 5}),
    (Filter(vips=[Vip.parse(WEB)]), {0, 1, 2}),
    (Filter(vips=[Vip.parse(MAIL), Vip.parse(ANY)]), {3, 4, 5}),
    (Filter(vips=[]), set()),
    (Filter(backend=SocketAddress.parse("10.0.1.11:80")), {0, 1}),
    (Filter(backend=SocketAddress.parse("10.0.1.11:25")), {3}),
    (Filter(backend=SocketAddress.parse("10.0.1.13:80")), {4}),
    (Filter(backend=SocketAddress.parse("10.0.1.13:443")), {5}),
    (Filter(backend=SocketAddress.parse("10.0.1.99:80")), set()),
    (Filter(client=(ip_address("198.51.100.7"), None)), {0, 2, 3, 4}),
    (Filter(client=(ip_address("198.51.100.7"), 40001)), {2}),
    (Filter(client=(ip_address("198.51.100.8"), 40000)), {1}),
    (Filter(client=(ip_address("2001:db8::7"), None)), {5}),
    (Filter(vips=[Vip.parse(WEB)], client=(ip_address("198.51.100.7"), None)), {0, 2}),
    (Filter([Vip.parse(WEB)], SocketAddress.parse("10.0.1.12:80"), None), {2}),
]


@pytest.fixture
def busy(shared):
    """
    Six connections, in the places 0 to 5.
    """
    shared.connect(0, 0)
    shared.connect(1, 0, client="198.51.100.8:40000")
    shared.connect(2, 1, client="198.51.100.7:40001")
    shared.connect(3, 2)
    shared.connect(4, 3)
    shared.connect(5, 3, client="[2001:db8::7]:40000")
    shared.tables["details"]["service_port"][5] = 443
    return shared


@pytest.mark.parametrize(("only", "places"), FILTERS, ids=range(len(FILTERS)))
def test_filters(busy, only, places):
    """
    Counted, listed and flushed: the same ones.
    """
    assert len(places) == busy.connections.count(only) == len(busy.connections.list(only))
    assert min(2, len(places)) == len(busy.connections.list(only, limit=2))
    assert len(places) == busy.connections.flush(only)
    assert set(range(6)) - places == set(np.flatnonzero(busy.entries["key"]))


def test_the_newest_come_first(busy):
    """
    However their places lie.
    """
    busy.tables["details"]["client_port"][:6] = range(40_000, 40_006)
    busy.tables["details"]["created"][:6] = [5, 9, 2, 7, 1, 8]
    known = busy.tables["details"]["client_port"][:6].tolist()

    listed = [c.client.port for c in busy.connections.list()]
    assert [known[place] for place in (1, 5, 3, 0, 2, 4)] == listed
    assert listed[:2] == [c.client.port for c in busy.connections.list(limit=2)]


@pytest.mark.parametrize("part", [1, 4, 5, 1 << 20])
def test_a_census_is_one_look_at_all(busy, monkeypatch, part):
    """
    However large the parts are in which it is made; a closed connection lives, but is not open.
    """
    monkeypatch.setattr(connections, "_PART", part)
    busy.connect(6, 1, State.CLOSED)
    used, opened = busy.connections.census()

    assert (7, [2, 1, 1, 2]) == (used, opened[:4].tolist())
    assert used == busy.connections.used()
    assert opened.tolist() == busy.connections.count_by_backend().tolist()


def test_flushing_is_done_in_batches(shared):
    """
    As many as the program looks at in one run.
    """
    sizes = []

    def forget(forgotten):
        sizes.append(len(forgotten) // abi.FORGOTTEN.itemsize)
        return shared.forget(forgotten)

    shared.connections.run_forget = forget
    for place in range(shared.connections.size):
        shared.connect(place, 0)

    assert 128 == shared.connections.size == abi.FORGET_MAX
    assert 128 == shared.connections.flush()
    assert [128] == sizes
    shared.connect(3, 0)
    assert (1, 0) == (shared.connections.flush(), shared.connections.flush())
    assert [128, 1] == sizes


def test_sweeping_asks_for_what_is_over_only(shared):
    """
    And lets the program look again.
    """
    for place, age in ((0, 0), (1, 2000), (2, 999)):
        shared.connect(place, 0, age=age)
    asked = []

    def forget(forgotten):
        asked.extend(np.frombuffer(forgotten, abi.FORGOTTEN).tolist())
        return shared.forget(forgotten)

    shared.connections.run_forget = forget

    assert 2 == shared.connections.sweep()
    assert [(101, 1, 1), (102, 2, 1)] == asked
    assert 1 == shared.connections.used()


def test_forgetting_routes(busy):
    """
    No connection keeps a version that could come round again.
    """
    busy.entries["route_version"][:] = 255
    busy.connections.forget_routes()

    assert not busy.entries["route_version"].any()
