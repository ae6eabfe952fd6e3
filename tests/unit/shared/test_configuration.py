"""The configuration table: names that last, through any generations."""

from __future__ import annotations

from ipaddress import ip_address

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbctl.errors import LbctlError
from lbctl.model import SocketAddress, Timeouts, Vip
from lbctl.shared import abi
from lbctl.shared.abi import BackendState
from tests.unit.shared.fakes import TINY, FakeTables, Shared, service

VIPS = ["203.0.113.10:80/tcp", "203.0.113.20:80/tcp", "203.0.113.30:53/udp"]
SERVERS = ["10.0.1.11:80", "10.0.1.12:80", "10.0.1.13:80"]
subsets = st.lists(st.sampled_from(SERVERS), unique=True)
generations = st.dictionaries(st.sampled_from(VIPS), subsets)
steps = st.tuples(generations, st.lists(st.integers(0, 63), max_size=3), st.booleans())


def publish(shared, wanted, timeouts=None):
    """Publish {VIP: servers} as the next generation."""
    shared.configuration.publish(
        [service(vip, *servers) for vip, servers in wanted.items()],
        timeouts or Timeouts(),
        shared.configuration.generation + 1,
    )


def active(shared, name="backends"):
    """The half of a table that packets read."""
    table = shared.tables[name]
    half = len(table) // 2
    start = "AB".index(shared.configuration.active_buffer) * half
    return table[start : start + half]


@given(st.lists(steps, min_size=1, max_size=12))
@settings(max_examples=40)
def test_names_last(history):
    """
    Whatever is published: no index changes its meaning while it is in use or a connection has it.
    """
    shared, held = Shared(), {}
    for wanted, places, restart in history:
        before = shared.configuration.backends()
        publish(shared, wanted)
        now = shared.configuration.backends()
        named = {(str(r.vip), str(r.address)) for r in now.values()}

        assert {(vip, server) for vip, servers in wanted.items() for server in servers} <= named
        assert len(named) == len(now)
        for index in before.keys() & now.keys():
            states = active(shared)["state"]
            assert states[index] != BackendState.FREE
        for place, (index, record) in held.items():
            assert now[index] == record, place
        assert_is_what_packets_see(shared, wanted)
        for place in places:
            slots = slots_of(shared)
            if len(slots):  # only servers that have slots get connections
                index = int(slots[place % len(slots)])
                shared.connect(place, index)
                held[place] = (index, now[index])
        if restart:
            shared = Shared(tables=shared.tables)
            assert now == shared.configuration.backends()


def slots_of(shared):
    """The indices that new connections may get."""
    rows = active(shared, "services")
    flat = active(shared, "slots").view(np.uint16).reshape(-1)
    runs = [
        flat[row["first_line"] * abi.SLOTS_PER_LINE :][: row["slots"]]
        for row in rows[rows["role"] == abi.Role.SERVICE]
    ]
    return np.concatenate([np.zeros(0, np.uint16), *runs])


def assert_is_what_packets_see(shared, wanted):
    """The slots of each service name records of that service, in order."""
    rows, records = active(shared, "services"), active(shared)
    flat = active(shared, "slots").view(np.uint16).reshape(-1)
    for row in rows[rows["role"] == abi.Role.SERVICE]:
        if row["flags"] & abi.ServiceFlag.ORPHAN:  # removed, and finishing
            assert not row["slots"]
            continue
        run = flat[row["first_line"] * abi.SLOTS_PER_LINE :][: row["slots"]]
        assert set(records["service"][run]) <= {row["index"]}
        names = shared.configuration.backends()
        (vip,) = {
            str(vip)
            for vip in map(Vip.parse, wanted)
            if (vip.port, int(vip.address)) == (row["port"], row["address"][3])
        }
        assert wanted[vip] == [str(names[int(index)].address) for index in run]


def test_buffers_take_turns():
    """
    Each publish fills the one that nobody reads.
    """
    shared = Shared()
    seen = []
    for _ in range(3):
        publish(shared, {VIPS[0]: SERVERS[:1]})
        seen.append((shared.configuration.active_buffer, shared.configuration.generation))

    assert [("B", 1), ("A", 2), ("B", 3)] == seen
    assert [2, 3] == shared.tables["control"]["generation"][0].tolist()


def test_whoever_opens_the_tables_waits(waits):
    """
    The process before may have died in its own wait.
    """
    shared = Shared()
    assert 1 == len(waits)

    publish(shared, {})
    assert 2 == len(waits)


def test_a_freed_index_waits_for_its_connections():
    """
    Expired ones too, until they are swept.
    """
    shared = Shared()
    publish(shared, {VIPS[0]: SERVERS[:1]})
    shared.connect(5, 0)
    publish(shared, {VIPS[0]: SERVERS[1:2]})
    publish(shared, {VIPS[0]: SERVERS[1:]})

    assert {0, 1, 2} == set(shared.configuration.backends())
    assert BackendState.REMOVED == active(shared)["state"][0]
    assert 0 == len(set(slots_of(shared)) & {0})

    shared.connect(5, 0, age=5000)
    publish(shared, {VIPS[0]: SERVERS[1:]})
    assert {1, 2} == set(shared.configuration.backends())
    assert 0 == shared.entries["key"][5]


def test_an_index_is_kept_for_one_generation_more():
    """
    A packet may be giving it to a connection at the very moment of publishing.
    """
    shared = Shared()
    publish(shared, {VIPS[0]: SERVERS[:1]})
    publish(shared, {VIPS[0]: SERVERS[1:2]})
    assert {0, 1} == set(shared.configuration.backends())

    publish(shared, {VIPS[0]: SERVERS[1:]})
    assert "10.0.1.13:80" == str(shared.configuration.backends()[0].address)


def test_look_ups():
    """
    By name to the index; next hops by address.
    """
    shared = Shared()
    publish(shared, {VIPS[0]: SERVERS[:2]})
    record = (Vip.parse(VIPS[0]), SocketAddress.parse(SERVERS[1]))

    assert 1 == shared.configuration.backend_index(*record)
    assert shared.configuration.backend_index(Vip.parse(VIPS[1]), record[1]) is None
    assert {ip_address("10.0.1.11"): 1, ip_address("10.0.1.12"): 1} == (
        shared.configuration.next_hops()
    )


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            {f"203.0.113.{n}:80/tcp": [] for n in range(9)},
            r"^services: no room for 203.0.113.7:80/tcp, 8 are in use .* larger --services$",
        ),
        (
            {f"203.0.113.{n}:80/tcp": SERVERS for n in range(5)},
            r"^backends: no room for .*, 12 are in use .* larger --backends$",
        ),
    ],
    ids=["services", "backends"],
)
def test_no_room(wanted, message):
    """
    The name of the option that makes more; and nothing has happened.
    """
    shared = Shared()
    publish(shared, {VIPS[0]: SERVERS})
    before = shared.configuration.backends()

    with pytest.raises(LbctlError, match=message):
        publish(shared, wanted)

    assert before == shared.configuration.backends()
    assert 1 == shared.configuration.generation


def test_no_room_for_slots():
    """
    Runs are rounded up to lines.
    """
    shared = Shared()
    fits = [service(vip, SERVERS[0], slots=[0] * 161) for vip in VIPS[:2]]
    shared.configuration.publish(fits, Timeouts(), 1)
    more = [*fits, service(VIPS[2], SERVERS[0], slots=[0] * 161)]

    with pytest.raises(LbctlError, match=r"^slots: 576 are wanted and 512 fit; use a smaller --ta"):
        shared.configuration.publish(more, Timeouts(), 2)
    assert 1 == shared.configuration.generation


def test_timeouts_in_ticks():
    """
    By state; what is no state of a connection has none.
    """
    shared = Shared()
    times = Timeouts(half_open=10, established=1024, closing=100, closed=2, udp=60)
    publish(shared, {}, times)

    assert [0, 10, 1000, 98, 2, 59, 0, 0] == shared.tables["control"]["timeout"][0].tolist()


def test_counting_begins_at_zero_for_new_servers_only():
    """
    An old one keeps its counters.
    """
    shared = Shared()
    publish(shared, {VIPS[0]: SERVERS[:1]})
    traffic = shared.tables["traffic"].reshape(-1, TINY.backends)
    traffic["packets_in"] = 7
    publish(shared, {VIPS[0]: SERVERS[:2]})

    assert [[7, 0, 7]] == np.unique(traffic["packets_in"][:, :3], axis=0).tolist()


def test_fake_tables_are_as_large_as_real_ones():
    """
    What is tested here must be what is used.
    """
    fake = FakeTables()

    assert (2 * TINY.backends, 64) == (len(fake["backends"]), fake["backends"].itemsize)
