"""The master module deals slots to those who may get new connections, and remembers the deal."""

from __future__ import annotations

from ipaddress import ip_address

import numpy as np
import pytest

from lbctl.control import master as master_module
from lbctl.control.master import Master
from lbctl.model import Forward, OnUnknown, Pool, SocketAddress, State
from tests.unit.control.fakes import ONE, TWO, web


def pool(*weights: int, **fields) -> Pool:
    """The pool web with a back-end for each weight."""
    return Pool.model_validate(web(*weights, **fields))


def next_hop(address) -> int:
    """The last byte of the address."""
    return int(address) & 0xFF


@pytest.fixture
def dealt(monkeypatch) -> list[int]:
    """The table sizes of all deals that were really made."""
    made, deal = [], master_module.deal

    def counting(scheduler, backends, size):
        made.append(size)
        return deal(scheduler, backends, size)

    monkeypatch.setattr(master_module, "deal", counting)
    return made


def test_a_pool_becomes_one_service_for_each_vip():
    """With all that the configuration table wants to know."""
    vips = ["203.0.113.10:8080/tcp", "203.0.113.11:8080/tcp"]
    both = pool(1, 1, vips=vips, forward="dsr", on_unknown="drop")

    first, second = Master().services([both], next_hop)

    assert [first.vip, second.vip] == list(both.vips)
    assert (first.forward, first.on_unknown) == (Forward.DSR, OnUnknown.DROP)
    assert [(b.address, b.state, b.next_hop) for b in first.backends] == [
        (ONE, State.ACTIVE, 11),
        (TWO, State.ACTIVE, 12),
    ]
    assert sorted(set(first.slots.tolist())) == [0, 1]
    assert first.slots is second.slots


def test_only_active_back_ends_with_a_weight_get_slots():
    """The others stay in the service, for their connections, at their positions."""
    mixed = web(1, 0, 1, 1)
    mixed["backends"][0]["state"] = "draining"
    mixed["backends"][3]["state"] = "down"

    (service,) = Master().services([Pool.model_validate(mixed)], next_hop)

    assert len(service.backends) == 4
    assert set(service.slots.tolist()) == {2}


def test_without_an_active_back_end_there_are_no_slots():
    """An empty run, of the right type."""
    (service,) = Master().services([pool(0)], next_hop)

    assert (len(service.slots), service.slots.dtype) == (0, np.uint16)


def test_a_vip_of_any_port_keeps_the_port():
    """Its back-ends are written with port 0; those of the other VIP are not."""
    wild = pool(1, vips=["203.0.113.10:*/tcp", "203.0.113.11:80/tcp"])

    any_port, one_port = Master().services([wild], next_hop)

    assert any_port.backends[0].address == SocketAddress(ip_address("10.0.1.11"), 0)
    assert one_port.backends[0].address == ONE


def test_shares_follow_the_slots():
    """They are what is dealt, not what was wished for."""
    shares = Master().shares(pool(1, 3, 0))

    assert shares[ONE] == pytest.approx(0.25, abs=0.02)
    assert shares[TWO] == pytest.approx(0.75, abs=0.02)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares[SocketAddress.parse("10.0.1.13:8080")] == 0


def test_shares_of_a_pool_without_slots_are_0():
    """No division by zero."""
    assert Master().shares(pool(0)) == {ONE: 0.0}


def test_only_the_changed_pool_is_dealt_anew(dealt):
    """Publishing 100 services costs one deal when one pool has changed."""
    master = Master()
    pools = [
        pool(1, name=f"p{n}", vips=[f"203.0.113.{n}:80/tcp"], table_size=100 + n) for n in range(9)
    ]
    master.services(pools, next_hop)
    dealt.clear()

    changed = pool(1, 1, name="p3", vips=["203.0.113.3:80/tcp"], table_size=103)
    master.services([*pools[:3], changed, *pools[4:]], next_hop)

    assert dealt == [103]


def test_draining_changes_the_deal(dealt):
    """The memory is by what counts: not the weight as written but the weight as it works."""
    master = Master()
    master.shares(pool(1, 1))
    drained = web(1, 1)
    drained["backends"][0]["state"] = "draining"

    assert master.shares(Pool.model_validate(drained)) == {ONE: 0.0, TWO: 1.0}
    assert dealt == [101, 101]


def test_what_no_pool_needs_is_forgotten(dealt):
    """Memory does not grow with the number of changes."""
    master = Master()
    master.shares(pool(1))
    master.shares(pool(2))
    master.forget_all_but([pool(2)])
    master.shares(pool(2))
    master.shares(pool(1))

    assert dealt == [101, 101, 101]


def test_a_remembered_deal_cannot_be_written_to():
    """It is handed to every publish."""
    (service,) = Master().services([pool(1)], next_hop)

    with pytest.raises(ValueError, match="read-only"):
        service.slots[0] = 7
