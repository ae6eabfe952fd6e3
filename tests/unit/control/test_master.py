"""The master module deals slots to those who may get new connections, and remembers the deal."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import numpy as np
import pytest

from lbctl.control import master as master_module
from lbctl.control.master import Master
from lbctl.control.standing import NOTHING_FOUND, Shares, Standings
from lbctl.model import Configuration, Forward, OnUnknown, Pool, SocketAddress, State
from tests.unit.control.fakes import ONE, TWO, configured, standings, web

THREE, FOUR = (SocketAddress.parse(f"10.0.1.1{n}:8080") for n in (3, 4))
SPARE = SocketAddress.parse("10.0.2.1:8080")


def spare(name: str = "spare", *weights: int, host: str = "10.0.2", **fields) -> dict:
    """A pool without VIP, with back-ends 10.0.2.1, .2, ...: to be a backup, or for a rule."""
    backends = [
        {"address": f"{host}.{i}:8080", "weight": w} for i, w in enumerate(weights or (1,), 1)
    ]
    return {"name": name, "backends": backends, "table_size": 101, **fields}


def next_hop(address) -> int:
    """The last byte of the address."""
    return int(address) & 0xFF


def services(*pools: dict, found: Standings = NOTHING_FOUND, master: Master | None = None):
    """The services of *pools*."""
    return (master or Master()).services(configured(pools=pools), next_hop, found)


def holders(service, slots=None) -> list[SocketAddress]:
    """Whom the slots lead to, slot by slot."""
    run = service.slots if slots is None else slots
    return [service.backends[position].address for position in run]


@pytest.fixture
def dealt(monkeypatch) -> list[int]:
    """The table sizes of all deals that were really made."""
    made, deal = [], master_module.deal

    def counting(scheduler, backends, size):
        made.append(size)
        return deal(scheduler, backends, size)

    monkeypatch.setattr(master_module, "deal", counting)
    return made


# -- services ------------------------------------------------------------------------------


def test_a_pool_becomes_one_service_for_each_vip():
    """With all that the configuration table wants to know."""
    vips = ["203.0.113.10:8080/tcp", "203.0.113.11:8080/tcp"]

    first, second = services(web(1, 1, vips=vips, forward="dsr", on_unknown="drop"))

    assert vips == [str(first.vip), str(second.vip)]
    assert (first.forward, first.on_unknown) == (Forward.DSR, OnUnknown.DROP)
    assert (first.by_address, first.reset_down, first.rules) == (False, False, ())
    assert [(b.address, b.state, b.next_hop) for b in first.backends] == [
        (ONE, State.ACTIVE, 11),
        (TWO, State.ACTIVE, 12),
    ]
    assert sorted(set(first.slots.tolist())) == [0, 1]
    assert first.slots is second.slots


def test_the_scheduler_sh_and_on_down_reach_the_packets():
    """Each is a mark of the service."""
    (service,) = services(web(1, scheduler="sh", on_down="reset"))

    assert (service.by_address, service.reset_down) == (True, True)


def test_only_active_back_ends_with_a_weight_get_slots():
    """The others stay in the service, for their connections, at their positions."""
    mixed = web(1, 0, 1, 1, 1)
    for position, state in ((0, "draining"), (3, "down"), (4, "maintenance")):
        mixed["backends"][position]["state"] = state

    (service,) = services(mixed)

    assert len(service.backends) == 5
    assert set(service.slots.tolist()) == {2}


def test_without_an_active_back_end_there_are_no_slots():
    """An empty run, of the right type."""
    (service,) = services(web(0))

    assert (len(service.slots), service.slots.dtype) == (0, np.uint16)


def test_a_vip_of_any_port_keeps_the_port():
    """Its back-ends are written with port 0; those of the other VIP are not."""
    any_port, one_port = services(web(1, vips=["203.0.113.10:*/tcp", "203.0.113.11:80/tcp"]))

    assert any_port.backends[0].address == SocketAddress(ip_address("10.0.1.11"), 0)
    assert one_port.backends[0].address == ONE


# -- how they stand ------------------------------------------------------------------------


def test_a_back_end_in_trouble_gets_no_slots_and_is_shown_as_it_stands():
    """Its connections are lost or finish, as its state says."""
    for state in (State.DOWN, State.DRAINING):
        (service,) = services(web(1, 1, 1), found=standings(TWO, state=state))

        assert [b.state for b in service.backends] == [State.ACTIVE, state, State.ACTIVE]
        assert set(holders(service)) == {ONE, THREE}


def test_what_the_administrator_wants_goes_before_what_was_found():
    """A drained server that is found dead stays draining: its connections were to finish."""
    drained = web(1, 1)
    drained["backends"][0]["state"] = "draining"

    (service,) = services(drained, found=standings(ONE))

    assert service.backends[0].state is State.DRAINING


def test_few_slots_move_when_a_server_dies_and_they_come_back():
    """Only its own find another server; when it is well again the table is the first one."""
    master, pool = Master(), web(1, 1, 1, 1, table_size=1009)
    (before,) = services(pool, master=master)
    (without,) = services(pool, found=standings(TWO), master=master)
    (after,) = services(pool, master=master)

    changed = before.slots != without.slots
    assert {1} == set(before.slots[changed].tolist())
    assert changed.sum() == (before.slots == 1).sum()
    assert np.array_equal(before.slots, after.slots)


def test_given_shares_are_dealt():
    """As the distributor says; the weights count where it says nothing of somebody new."""
    given = {ONE: 0.75, TWO: 0.25}
    found = Standings({}, {"web": Shares(given, given)})

    (service,) = services(web(1, 1, scheduler="least-load"), found=found)
    (newer,) = services(web(1, 1, 1, scheduler="least-load"), found=found)

    assert holders(service).count(ONE) == pytest.approx(76, abs=1)
    assert [holders(newer).count(a) for a in (ONE, TWO, THREE)] == pytest.approx([34] * 3, abs=1)


def test_shares_of_who_does_not_serve_any_more_are_not_dealt():
    """They were worked out a moment before it died."""
    given = {ONE: 0.75, TWO: 0.25}
    found = standings(TWO)._replace(shares={"web": Shares(given, given)})

    (service,) = services(web(1, 1, scheduler="least-load"), found=found)

    assert set(holders(service)) == {ONE}


# -- other pools ---------------------------------------------------------------------------


def test_a_backup_serves_while_the_pool_is_down():
    """Its back-ends are in the service all the time, behind those of the pool."""
    pools = web(1, 1, backup="spare"), spare()

    (well,) = services(*pools)
    (down,) = services(*pools, found=standings(ONE, TWO))

    assert [b.address for b in well.backends] == [ONE, TWO, SPARE]
    assert set(holders(well)) == {ONE, TWO}
    assert set(holders(down)) == {SPARE}


def test_rules_have_slots_of_their_own():
    """Positions in the one list of the service, whoever's back-ends they are."""
    rules = [
        {"clients": "198.51.100.0/24", "pool": "spare"},
        {"clients": "192.0.2.0/24", "pool": "other"},
    ]
    pools = web(1, rules=rules), spare(), spare("other", 1, 1, host="10.0.3")

    (service,) = services(*pools)

    assert [(r.clients, r.port) for r in service.rules] == [
        (ip_network("198.51.100.0/24"), 0),
        (ip_network("192.0.2.0/24"), 0),
    ]
    assert set(holders(service)) == {ONE}
    first, second = ({str(a) for a in holders(service, r.slots)} for r in service.rules)
    assert first == {"10.0.2.1:8080"}
    assert second == {"10.0.3.1:8080", "10.0.3.2:8080"}


def test_a_rule_follows_the_backup_of_its_pool():
    """And leads to nobody while neither is well."""
    pools = (
        web(1, rules=[{"clients": "198.51.100.0/24", "pool": "spare"}]),
        spare(backup="last"),
        spare("last", host="10.0.3"),
    )
    last = SocketAddress.parse("10.0.3.1:8080")
    found = standings(SPARE, pool="spare")

    (service,) = services(*pools, found=found)
    both = Standings({**found.troubles, **standings(last, pool="last").troubles}, {})
    (nobody,) = services(*pools, found=both)

    assert set(holders(service, service.rules[0].slots)) == {last}
    assert (len(nobody.rules[0].slots), set(holders(nobody))) == (0, {ONE})


@pytest.mark.parametrize(("down", "expected"), [("web", "active"), ("spare", "active")])
def test_a_server_in_two_pools_is_one(down, expected):
    """It has one place in the service, and is active there if one pool finds it so."""
    both = spare()
    both["backends"] = [{"address": str(TWO)}, {"address": str(SPARE)}]

    (service,) = services(web(1, 1, backup="spare"), both, found=standings(TWO, pool=down))

    assert [b.address for b in service.backends] == [ONE, TWO, SPARE]
    assert str(service.backends[1].state) == expected
    (backup,) = services(web(1, 1, backup="spare"), both, found=standings(ONE, TWO))
    assert set(holders(backup)) == {TWO, SPARE}


def test_a_rule_by_port_leads_to_back_ends_of_any_port():
    """The packet keeps its own, whichever pool serves it."""
    rules = [{"port": 443, "pool": "spare"}]

    (service,) = services(web(1, vips=["203.0.113.10:*/tcp"], rules=rules), spare())

    assert [str(b.address.address) for b in service.backends] == ["10.0.1.11", "10.0.2.1"]
    assert {b.address.port for b in service.backends} == {0}
    ((rule, slots),) = [(r.port, r.slots) for r in service.rules]
    assert (rule, {str(a.address) for a in holders(service, slots)}) == (443, {"10.0.2.1"})


# -- memory --------------------------------------------------------------------------------


def pool(*weights: int, **fields) -> Pool:
    """The pool web as a value."""
    return Pool.model_validate(web(*weights, **fields))


def test_shares_follow_the_slots():
    """They are what is dealt, not what was wished for."""
    master = Master()
    assert master.shares(pool(1, 3)) == {ONE: 0, TWO: 0}  # nothing was dealt yet
    services(web(1, 3, 0), master=master)
    shares = master.shares(pool(1, 3, 0))

    assert shares == pytest.approx({ONE: 0.25, TWO: 0.75, THREE: 0}, abs=0.02)
    assert sum(shares.values()) == pytest.approx(1)


def test_shares_of_a_pool_without_slots_are_0():
    """No division by zero."""
    master = Master()
    services(web(0), master=master)

    assert master.shares(pool(0)) == {ONE: 0.0}


def test_only_the_changed_pool_is_dealt_anew(dealt):
    """Publishing 100 services costs one deal when one pool has changed."""
    master = Master()
    pools = [
        web(1, name=f"p{n}", vips=[f"203.0.113.{n}:80/tcp"], table_size=100 + n) for n in range(9)
    ]
    services(*pools, master=master)
    dealt.clear()

    changed = web(1, 1, name="p3", vips=["203.0.113.3:80/tcp"], table_size=103)
    services(*pools[:3], changed, *pools[4:], master=master)
    services(*pools[:3], changed, *pools[4:], found=standings(ONE, pool="p3"), master=master)

    assert dealt == [103]


def test_draining_changes_the_deal(dealt):
    """The memory is by what counts: not the weight as written but the weight as it works."""
    master = Master()
    services(web(1, 1), master=master)
    drained = web(1, 1)
    drained["backends"][0]["state"] = "draining"
    services(drained, master=master)

    assert master.shares(Pool.model_validate(drained)) == {ONE: 0.0, TWO: 1.0}
    assert dealt == [101, 101]


def test_what_no_pool_needs_is_forgotten(dealt):
    """Memory does not grow with the number of changes."""
    master = Master()
    for weight in (1, 2):
        services(web(weight), master=master)
    master.forget_all_but([pool(2)])
    for weight in (2, 1):
        services(web(weight), master=master)

    assert dealt == [101, 101, 101]
    master.forget_all_but([])
    assert master.shares(pool(1)) == {ONE: 0}


def test_a_remembered_deal_cannot_be_written_to():
    """It is handed to every publish."""
    (service,) = services(web(1))

    with pytest.raises(ValueError, match="read-only"):
        service.slots[0] = 7


def test_without_pools_there_are_no_services():
    """An empty switch."""
    assert Master().services(Configuration(), next_hop) == ()


def test_a_scheduler_that_is_gone_is_maglev():
    """A plugin may be uninstalled while a pool names it: the switch goes on by the weights."""
    pools = [web(1, 1, scheduler="night-shift"), web(1, 1)]
    gone, maglev = (
        Master().services(configured(pools=[pool]), next_hop)[0].slots.tolist() for pool in pools
    )

    assert maglev == gone
