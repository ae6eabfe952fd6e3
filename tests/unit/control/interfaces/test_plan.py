"""
What the kernel must hold for pseudo interfaces and for back-ends that are the switch itself.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from lbctl.control.interfaces.plan import Delete, Facts, Put, changes, differing, wanted
from lbctl.control.interfaces.records import (
    ANYWHERE,
    ORDER,
    Claim,
    Guide,
    Rule,
    Way,
    table_of,
    tables_of,
)
from lbctl.control.routing.records import Hop, Link, Route
from lbctl.control.routing.snapshot import Routing
from lbctl.model import Backend, Configuration, Pool, Pseudo
from lbctl.pseudo.device import Device, End

EXT0, INT0, MGMT, LB0, INNER = 2, 3, 4, 11, 10
MACS = {index: bytes([2, 0, 0, 0, 1, index]) for index in (EXT0, INT0, MGMT, LB0, INNER)}
ATTACHED = frozenset({EXT0, INT0})
VIP4, VIP6 = ip_address("203.0.113.1"), ip_address("2001:db8:f::1")
SERVER = ip_address("10.0.1.5")
PSEUDO = Pseudo(name="lb0", addresses=("203.0.113.1/32", "2001:db8:f::1/128"))


def end(name, ifindex, peer):
    """One end of a pair."""
    return End(name, ifindex, MACS[ifindex], 1500, 0, "veth", "", peer)


DEVICE = Device(end("lb0", LB0, INNER), end("lb0-s", INNER, LB0), frozenset(PSEUDO.addresses))
LINKS = [
    Link(EXT0, "ext0", MACS[EXT0], 1500, up=True),
    Link(INT0, "int0", MACS[INT0], 1500, up=True),
    Link(MGMT, "mgmt", MACS[MGMT], 1500, up=True),
]
ROUTES = [
    Route(ip_network("10.0.1.0/24"), (Hop(MGMT, None),)),
    Route(ip_network("10.0.1.0/24"), (Hop(INT0, None),)),
    Route(ip_network(SERVER), (Hop(MGMT, None),), local=True),
]
NOTHING = Facts({}, ATTACHED, Routing({}, ()), {})
KNOWN = {ip_network("192.0.2.0/24"): True, ip_network("2001:db8:1::/64"): False}


def pool(vips=("203.0.113.10:80/tcp",), backend="10.0.1.5:8080", **fields):
    """A configuration of one pool with one back-end."""
    made = Pool(name="web", vips=vips, backends=(Backend(address=backend),), **fields)
    return Configuration(pools=(made,))


def facts(routes=ROUTES, attached=ATTACHED, devices=(), known=KNOWN):
    """A switch whose NIC mgmt has an address on the network of int0."""
    return Facts(
        {one.outer.name: one for one in devices}, attached, Routing.of(LINKS, routes), known
    )


def test_a_pseudo_interface_takes_what_is_sent_from_its_addresses():
    """
    Where the switch knows a way to, or serves; attached NICs answer for the IPv6 address.
    """
    configuration = pool(backend="10.0.1.6:80").model_copy(update={"pseudo": (PSEUDO,)})
    table = table_of("default", LB0)

    assert {
        *(Guide(LB0, version, MACS[INNER]) for version in (4, 6)),
        Way(table, ip_network("192.0.2.0/24"), LB0),
        Way(table, ip_network("203.0.113.10/32"), LB0),
        Way(table, ip_network("2001:db8:1::/64"), 0),
        *(Rule(address, table) for address in (VIP4, VIP6)),
        *(Claim(nic, VIP6) for nic in ATTACHED),
    } == wanted("default", configuration, facts(devices=[DEVICE]))


def test_an_interface_that_is_not_there_wants_nothing():
    """
    It is made first; a rule to nowhere would cut programs off.
    """
    assert frozenset() == wanted("default", Configuration(pseudo=(PSEUDO,)), NOTHING)


def test_a_back_end_of_the_switch_itself_answers_by_an_attached_nic():
    """
    Only from the port of the server: everything else that the address does is untouched.
    """
    table = table_of("default", MGMT)

    assert {
        Guide(MGMT, 4, MACS[INT0]),
        Way(table, ANYWHERE[4], MGMT),
        Rule(SERVER, table, 6, 8080),
    } == wanted("default", pool(), facts())


def test_a_server_of_all_ports_answers_from_all_of_them():
    """
    The VIP's port is any, and so is the server's.
    """
    vips = ("203.0.113.10:*/udp", "203.0.113.11:80/tcp")
    rules = {r for r in wanted("default", pool(vips), facts()) if isinstance(r, Rule)}

    table = table_of("default", MGMT)
    assert {Rule(SERVER, table, 17, 0), Rule(SERVER, table, 6, 8080)} == rules


def test_who_answers_clients_without_the_switch_is_left_alone():
    """
    A pool that forwards by DSR, one without VIPs, another host, an address of an attached NIC.
    """
    dsr = pool(backend="10.0.1.5:80", forward="dsr")
    here = facts(attached=ATTACHED | {MGMT})
    alone = facts(ROUTES[:1] + ROUTES[2:])

    assert frozenset() == wanted("default", dsr, facts())
    assert frozenset() == wanted("default", pool(()), facts())
    assert frozenset() == wanted("default", pool(backend="10.0.1.6:8080"), facts())
    assert frozenset() == wanted("default", pool(), here)
    assert frozenset() == wanted("default", pool(), alone)


def test_a_pool_may_serve_from_a_control_vip():
    """
    Then the rule of the pseudo interface is enough.
    """
    both = pool(backend="203.0.113.1:8080").model_copy(update={"pseudo": (PSEUDO,)})
    only = pool(backend="10.0.1.6:8080").model_copy(update={"pseudo": (PSEUDO,)})
    local = [Route(ip_network(VIP4), (Hop(LB0, None),), local=True)]
    known = facts([*ROUTES, *local], devices=[DEVICE])

    assert wanted("default", only, known) == wanted("default", both, known)


def test_instances_have_tables_of_their_own():
    """
    So that each of two in one namespace removes nothing of the other's.
    """
    one, other = tables_of("default"), tables_of("edge")

    assert not set(one) & set(other)
    assert table_of("default", MGMT) in one
    assert all(255 < number < 1 << 32 for number in (one[0], one[-1], other[0], other[-1]))


RECORDS = st.one_of(
    st.builds(Claim, st.integers(2, 4), st.just(VIP6)),
    st.builds(Guide, st.integers(2, 4), st.sampled_from((4, 6)), st.sampled_from([*MACS.values()])),
    st.builds(Way, st.integers(1000, 1001), st.sampled_from([*KNOWN]), st.integers(0, 4)),
    st.builds(Rule, st.just(VIP4), st.integers(1000, 1002), st.just(6), st.integers(0, 2)),
)


def place(record):
    """What can be there once only."""
    if isinstance(record, Guide):
        return "guide", record.ifindex, record.version
    if isinstance(record, Way):
        return "way", record.table, record.prefix
    return record


STATES = st.lists(RECORDS, max_size=12, unique_by=place).map(frozenset)


@given(have=STATES, want=STATES)
def test_changes_lead_from_any_state_to_any_other(have, want):
    """
    A neighbor takes the place of the one that is there; a route can only where there is none.
    """
    state = {place(record): record for record in have}
    for change in changes(have, want):
        match change:
            case Put(record):
                assert record not in have
                assert not isinstance(record, Way) or place(record) not in state
                state[place(record)] = record
            case Delete(record):
                assert record == state.pop(place(record))

    assert want == frozenset(state.values())


@given(have=STATES, want=STATES)
def test_no_rule_leads_to_what_is_not_there(have, want):
    """
    Rules are the last that come and the first that go.
    """
    replaced = {place(record) for record in want}
    todo = [
        one
        for one in changes(have, want)
        if isinstance(one, Put) or place(one.record) not in replaced
    ]
    puts = [ORDER.index(type(one.record)) for one in todo if isinstance(one, Put)]
    deletes = [ORDER.index(type(one.record)) for one in todo if isinstance(one, Delete)]

    assert sorted(puts) == puts
    assert sorted(deletes, reverse=True) == deletes
    assert [Put] * len(puts) == [type(one) for one in todo[: len(puts)]]


@given(want=STATES)
def test_there_is_nothing_to_do_twice(want):
    """
    Otherwise each look would tell of changes.
    """
    assert [] == list(changes(want, want))


PREFIXES = st.builds(
    lambda number, bits: ip_network((number << 28, bits), strict=False),
    st.integers(0, 15),
    st.integers(0, 4),
)


def value_of(routes, prefix):
    """What the longest prefix that covers this one says; False where none does."""
    covering = [one for one in routes if prefix.subnet_of(one)]
    return routes[max(covering, key=lambda one: one.prefixlen)] if covering else False


@given(st.dictionaries(PREFIXES, st.booleans()))
def test_prefixes_that_say_the_same_are_one(routes):
    """
    No look-up gives another answer, and none of what is left can be left out.
    """
    found = differing(routes)

    for number in range(16):
        host = ip_network((number << 28, 32))
        assert value_of(routes, host) == value_of(found, host)
    for prefix in found:
        rest = {one: value for one, value in found.items() if one != prefix}
        assert value_of(rest, prefix) != found[prefix]


def test_families_do_not_cover_each_other():
    """
    Their defaults are two things.
    """
    routes = {ip_network("0.0.0.0/0"): True, ip_network("::/0"): True, ip_network("::/8"): True}

    assert {ip_network("0.0.0.0/0"): True, ip_network("::/0"): True} == differing(routes)


def test_thirty_thousand_routes_by_one_gateway_are_one():
    """
    Behind a default route of the same kind.
    """
    many = {ip_network((11 << 24 | number << 8, 24)): True for number in range(30_000)}

    assert {ANYWHERE[4]: True} == differing({ANYWHERE[4]: True, **many})
