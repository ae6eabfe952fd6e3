"""The routing table: indices, records of 16 bytes, and the keys of the trie."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.errors import LbctlError
from lbctl.shared import abi, routing, syscall
from lbctl.shared.routing import NextHop, NextHopState, RoutingTable
from tests.unit.shared.fakes import Shared

ONE, TWO = ip_address("10.0.1.11"), ip_address("2001:db8::11")
HOP = NextHop(3, b"\2\0\0\0\1\x11", b"\2\0\0\0\0\xa1", 1500, NextHopState.RESOLVED)
networks4 = st.builds(
    lambda n, bits: IPv4Network((n & ~((1 << 32 - bits) - 1), bits)),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)
networks6 = st.builds(
    lambda n, bits: IPv6Network((n & ~((1 << 128 - bits) - 1), bits)),
    st.integers(0, 2**128 - 1),
    st.integers(0, 128),
)


@pytest.fixture
def table(trie):
    """
    An empty routing table.
    """
    del trie
    return new()


def new(shared=None, destinations=()):
    """Open the routing table of fake tables."""
    shared = shared or Shared()
    made = RoutingTable(shared.tables, shared.connections, dict(destinations))
    made.shared = shared
    return made


def test_indices_are_stable_and_never_0(table):
    """
    0 means none. Destinations and gateways do not share.
    """
    one, two, three = table.destination(ONE), table.destination(TWO), table.gateway("a")

    assert 3 == len({one, two, three} - {0})
    assert (one, three) == (table.destination(ONE), table.gateway("a"))
    assert {ONE: one, TWO: two} == table.destinations()
    assert {"a": three} == table.gateways()


@pytest.mark.parametrize("state", NextHopState)
def test_a_host_is_reachable_by_a_next_hop_that_is_resolved(table, state):
    """
    No other state will do.
    """
    assert {} == table.reachable()
    table.set_next_hop(table.destination(ONE), HOP._replace(state=state))
    table.destination(TWO)

    assert {ONE: state is NextHopState.RESOLVED, TWO: False} == table.reachable()


def test_released_ones_are_given_again_and_clean(table):
    """
    Whoever comes next must not be sent where the last one was.
    """
    index = table.destination(ONE)
    table.set_next_hop(index, HOP)
    table.release(ONE)
    assert NextHop() == table.next_hop(index)
    assert {} == table.destinations()

    taken = {table.gateway(n) for n in range(7)}
    assert index in taken
    for n in range(7):
        table.release_gateway(n)
    assert {} == table.gateways()
    table.release(ONE)
    table.release_gateway("nobody")


def test_all_are_taken(table):
    """
    Said with the option that makes more.
    """
    for n in range(7):
        table.gateway(n)

    with pytest.raises(LbctlError, match=r"^next hops: all 8 are in use; .* larger --next-hops$"):
        table.destination(ONE)
    assert {} == table.destinations()


@given(
    st.builds(
        NextHop,
        st.integers(0, 63),
        st.binary(min_size=6, max_size=6),
        st.binary(min_size=6, max_size=6),
        st.integers(0, 65535),
        st.sampled_from(NextHopState),
    )
)
def test_a_next_hop_is_what_was_set(hop):
    """
    Sixteen bytes, in two stores.
    """
    shared = Shared()
    table = RoutingTable.__new__(RoutingTable)
    table._tables = shared.tables
    table.set_next_hop(5, hop)

    assert hop == table.next_hop(5)
    assert NextHop() == table.next_hop(4) == table.next_hop(6)
    assert hop.destination_mac + hop.source_mac == shared.tables["next_hops"][5].tobytes()[:12]


def test_an_mtu_beyond_16_bits_is_no_limit(table):
    """
    The loopback device has 65536.
    """
    table.set_next_hop(1, HOP._replace(mtu=65536))

    assert 65535 == table.next_hop(1).mtu


@given(networks4 | networks6)
def test_keys_there_and_back(network):
    """
    Both families share the trie, and neither is a prefix of the other.
    """
    key = routing._key(network)

    assert abi.ROUTE_KEY.itemsize == len(key)
    assert network == routing._prefix(key)
    assert network.version == key[4]
    assert int.from_bytes(key[:4], "little") >= 32 + (96 if network.version == 4 else 0)


def test_routes(table, trie):
    """
    Put, changed, deleted, and read again by the next process.
    """
    wide, narrow, six = map(ip_network, ("0.0.0.0/0", "198.51.100.0/24", "::/0"))
    for prefix, hop in ((wide, 1), (narrow, 2), (six, 3), (wide, 4)):
        table.put_route(prefix, hop)
    assert {wide: 4, narrow: 2, six: 3} == table.routes() == new(table.shared).routes()

    table.delete_route(narrow)
    table.delete_route(narrow)
    assert {wide: 4, six: 3} == table.routes() == new(table.shared).routes()
    assert 2 == len(trie)


def test_a_full_trie(table, monkeypatch):
    """
    The kernel's reason, the prefix and the option.
    """

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(syscall, "map_update", full)
    with pytest.raises(LbctlError, match=r"^route ::/0: No space left on device; 0 routes are in"):
        table.put_route(ip_network("::/0"), 1)
    assert {} == table.routes()


def test_bump(table, waits):
    """
    A version from 1 to 255; when they are used up no connection keeps an old one.
    """
    before = len(waits)
    control, entries = table.shared.tables["control"][0], table.shared.entries
    seen = []
    for _ in range(257):
        table.bump()
        seen.append(int(control["route_version"]))
        if seen[-1] == 255:
            entries["route_version"][:] = 255

    assert [*range(1, 256), 1, 2] == seen
    assert not entries["route_version"].any()
    assert 257 == len(waits) - before


def test_hops_of_the_process_before_are_kept_until_routes_are_told(table):
    """
    Connections may name them: not before a bump are they given away.
    """
    for n in range(1, 4):
        table.put_route(ip_network(f"10.{n}.0.0/16"), table.gateway(n))
    old = set(table.routes().values())
    after = new(table.shared, {ONE: 7})
    assert {ONE: 7} == after.destinations()
    fresh = {after.gateway(n) for n in range(3)}
    assert not fresh & (old | {7, 0})

    for n in range(1, 4):
        after.put_route(ip_network(f"10.{n}.0.0/16"), min(fresh))
    with pytest.raises(LbctlError):
        after.gateway("too many")
    after.bump()
    assert old == {after.gateway(f"more {n}") for n in range(3)}
