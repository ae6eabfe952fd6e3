"""The parts of the broker that need nobody: places, patience, users, events, the listener."""

from __future__ import annotations

import socket
import stat
from ipaddress import ip_address, ip_network
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.control.broker import routes
from lbctl.control.broker.hung import Orphan, Patience
from lbctl.control.broker.listener import listening, path_beside
from lbctl.control.broker.places import places
from lbctl.control.broker.running import Peer
from lbctl.control.broker.telling import MOST, REST, Teller
from lbctl.control.broker.users import is_user, permit, permit_any
from lbctl.errors import Conflict, LbctlError, NotFound, NotPermitted
from lbctl.model import App
from lbctl.shared.routing import NextHop, NextHopState
from tests.unit.control.broker.rig import nic

NICS = [nic("eth0", 0), nic("eth1", 1), nic("lb0-s", 56)]


def app(**fields):
    """An application."""
    return App.model_validate({"name": "voip", "vips": ["203.0.113.20:5060/udp"], **fields})


# -- places --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "count", "expected"),
    [
        ({}, 2, [("eth0", 0), ("eth0", 1), ("eth1", 0), ("eth1", 1)]),
        ({"nics": ["eth1"]}, 2, [("eth1", 0), ("eth1", 1)]),
        ({"queues": [1]}, 2, [("eth0", 1), ("eth1", 1)]),
        ({"nics": ["eth0"]}, 100, [("eth0", queue) for queue in range(64)]),
    ],
)
def test_an_application_receives_where_it_says_or_everywhere(fields, count, expected):
    """
    But not from pseudo interfaces, nor from queues that no place is kept for.
    """
    found = places(app(**fields), NICS, lambda _: count)

    assert expected == [(place.nic, place.queue) for place in found]


@pytest.mark.parametrize(
    ("fields", "nics", "count", "words"),
    [
        ({}, [nic("lb0-s", 56)], 1, "no NIC is attached; run `lbctl attach"),
        ({"nics": ["eth9"]}, NICS, 1, "NIC 'eth9' is not attached"),
        ({"nics": ["lb0-s"]}, NICS, 1, "NIC 'lb0-s' is not attached"),
        ({"queues": [0, 3]}, NICS, 2, "NIC 'eth0' has no queue 3, its last is 1"),
        ({}, [nic(f"eth{n}", n) for n in range(5)], 64, "320 queues are more than 250"),
    ],
)
def test_a_place_that_is_not_there_is_named(fields, nics, count, words):
    """
    With what to type.
    """
    with pytest.raises(LbctlError, match=words) as refusal:
        places(app(**fields), nics, lambda _: count)
    assert "`" in str(refusal.value)


# -- patience ------------------------------------------------------------------------------------


def test_packets_that_wait_are_what_counts():
    """
    Who gets none may sleep; who looks in between is not hung, however slow.
    """
    patience = Patience()
    assert not any(patience.ends(now, 1, 0, 5) for now in range(100))
    assert not any(patience.ends(now, now, now, 5) for now in range(100, 200))
    assert not patience.ends(200, 199, 300, 5)
    assert not patience.ends(204, 199, 300, 5)
    assert patience.ends(205, 199, 301, 5)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 3))))
def test_it_never_ends_within_the_limit_of_a_heartbeat(steps):
    """
    Whatever the order of heartbeats, packets and looks; and without a limit never.
    """
    patience, forever = Patience(), Patience()
    now = heartbeat = delivered = last = 0
    for beats, packets, seconds in steps:
        now, heartbeat, delivered = now + seconds, heartbeat + beats, delivered + packets
        if beats:
            last = now
        ended = patience.ends(now, heartbeat, delivered, 4)
        assert not (ended and now - last < 4)
        assert not forever.ends(now, heartbeat, delivered, 0)


def test_an_orphan_is_not_thought_of_for_ever():
    """
    It is lost when packets go to it, and forgotten when none do.
    """
    lost, quiet = (Orphan(app(hung_after=1), 0.0) for _ in range(2))

    assert [False, False, False, True] == [lost.is_lost(now, now) for now in (0, 1, 3, 4)]
    assert not any(quiet.is_lost(now, 0) for now in range(100))
    assert [False, True] == [quiet.is_old(now) for now in (60, 62)]


# -- users ---------------------------------------------------------------------------------------


def test_root_and_the_user_may_run_it():
    """
    By number or name; nobody else.
    """
    assert is_user(app(user="nobody"), Peer(1, 0))
    assert is_user(app(user="nobody"), Peer(1, 65534))
    assert is_user(app(user="4242"), Peer(1, 4242))
    assert not is_user(app(user="no-such-user"), Peer(1, 4242))
    permit_any([app(), app(user="4242")], Peer(1, 4242))
    with pytest.raises(NotPermitted, match="only root and root may run it"):
        permit(app(), Peer(1, 4242))
    with pytest.raises(NotPermitted, match="4242 may run no application"):
        permit_any([app()], Peer(1, 4242))


# -- events --------------------------------------------------------------------------------------


def test_one_that_dies_all_the_time_does_not_fill_the_journal():
    """
    The next event that is told says how many were not; others' are told.
    """
    now, told = [0.0], []
    teller = Teller(lambda *event: told.append(event), lambda: now[0])
    for _ in range(MOST + 5):
        teller.tell("voip", "runs")
    assert MOST == len(told)
    teller.tell("dns", "runs")
    now[0] += REST
    teller.tell("voip", "runs")

    assert [("app", "dns", "runs"), ("app", "voip", "runs (and 5 events before it)")] == told[-2:]


# -- the listening socket ------------------------------------------------------------------------


def test_everybody_may_connect_and_nothing_is_left(tmp_path):
    """
    A stale socket is replaced; one that somebody answers on is not, nor is anything else.
    """
    path = path_beside(tmp_path / "run" / "lbctld.sock")
    assert path == tmp_path / "run" / "lbctld.apps"
    assert path_beside(tmp_path / "odd") == tmp_path / "odd.apps"
    with listening(path):
        assert 0o666 == stat.S_IMODE(path.stat().st_mode)
        with pytest.raises(Conflict, match="another program answers"), listening(path):
            pass
    assert not path.exists()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
        stale.bind(str(path))
    with listening(path):
        pass
    path.write_text("mine")
    with pytest.raises(Conflict, match="is not a socket"), listening(path):
        pass
    assert "mine" == path.read_text()


# -- routes --------------------------------------------------------------------------------------


class Table:
    """A routing table: a network behind each NIC, and one that nobody is known in."""

    def __init__(self):
        self.hops = [
            NextHop(0, b"\2\0\0\0\0\xaa", b"\2\0\0\0\0\0", 1500, NextHopState.RESOLVED),
            NextHop(1, b"\2\0\0\0\0\xbb", b"\2\0\0\0\0\1", 9000, NextHopState.RESOLVED),
            NextHop(),
        ]

    def routes(self):
        """Prefixes, and what they lead to."""
        prefixes = ("0.0.0.0/0", "10.0.0.0/8", "10.0.1.0/24", "2001:db8::/32")
        return {ip_network(prefix): hop for prefix, hop in zip(prefixes, (0, 1, 2, 1), strict=True)}

    def next_hop(self, index):
        """What it leads to."""
        return self.hops[index]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", ("eth0", "02:00:00:00:00:aa", "02:00:00:00:00:00", 1500)),
        ("10.9.0.1", ("eth1", "02:00:00:00:00:bb", "02:00:00:00:00:01", 9000)),
        ("2001:db8::1", ("eth1", "02:00:00:00:00:bb", "02:00:00:00:00:01", 9000)),
    ],
)
def test_the_longest_prefix_tells_the_way(address, expected):
    """
    By which NIC, to whom, from whom, how much.
    """
    plane = SimpleNamespace(routing=Table(), attached=lambda: NICS)
    found = routes.find(plane, None, ip_address(address), None)

    assert expected == (found.nic, found.destination_mac, found.source_mac, found.mtu)
    assert found.queue is None


def test_a_neighbor_that_is_not_known_is_looked_for():
    """
    The routing daemon says what is in the way, or finds it.
    """
    table = Table()
    plane = SimpleNamespace(routing=table, attached=lambda: NICS)
    address = ip_address("10.0.1.5")
    silent = SimpleNamespace(resolve=lambda hosts, _: {hosts[0]: "it does not answer"})
    with pytest.raises(NotFound, match="it does not answer"):
        routes.find(plane, silent, address, None)

    def find(hosts, _timeout):
        table.hops[2] = table.hops[0]
        return {hosts[0]: None}

    assert "eth0" == routes.find(plane, SimpleNamespace(resolve=find), address, None).nic
