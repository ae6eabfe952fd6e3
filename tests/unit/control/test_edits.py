"""What each verb makes of a configuration, and what it refuses."""

from __future__ import annotations

import pytest

from lbctl.control import edits
from lbctl.errors import Conflict, LbctlError, NotFound, UsageError
from lbctl.model import Agent, Backend, Nic, Pool, SocketAddress, State, Vip
from tests.unit.control.fakes import ONE, TWO, VIP, configured, web

AGENT = Agent(address="10.0.1.11:9777", kind="orca")
RULES = [{"clients": "198.51.100.0/24", "pool": "spare"}]
DNS = {"name": "dns", "vips": ["203.0.113.53:53/udp"]}
BASE = configured(nics=[{"name": "eth0"}], pools=[web(1, 2), DNS])
THREE = SocketAddress.parse("10.0.1.13:8080")
OTHER = Vip.parse("203.0.113.11:80/tcp")


def test_a_pool_is_added_at_the_end():
    """The others stay as they are."""
    new = Pool(name="new")

    assert edits.add_pool(BASE, new).pools == (*BASE.pools, new)


def test_set_pool_changes_what_it_names():
    """The rest of the pool stays."""
    after = edits.set_pool(BASE, "web", {"table_size": 7}).pool("web")

    assert (after.table_size, after.backends) == (7, BASE.pool("web").backends)


def test_a_back_end_keeps_what_is_not_named():
    """Weight alone, state alone."""
    after = edits.set_backend(BASE, "web", TWO, state=State.DRAINING)
    after = edits.set_backend(after, "web", ONE, weight=9)

    assert after.pool("web").backends == (
        Backend(address=ONE, weight=9),
        Backend(address=TWO, weight=2, state=State.DRAINING),
    )


def test_removing_is_the_reverse_of_adding():
    """Of each kind of thing."""
    assert edits.remove_pool(edits.add_pool(BASE, Pool(name="new")), "new") == BASE
    assert edits.remove_vip(edits.add_vip(BASE, "web", OTHER), "web", OTHER) == BASE
    three = Backend(address=THREE)
    assert edits.remove_backend(edits.add_backend(BASE, "web", three), "web", THREE) == BASE
    assert edits.remove_agent(edits.add_agent(BASE, AGENT), AGENT.address) == BASE
    names = ["eth1", "eth2"]
    assert edits.remove_nics(edits.put_nics(BASE, [Nic(name=n) for n in names]), names) == BASE


def test_attaching_again_changes_the_mode():
    """It is the same NIC."""
    generic, new = Nic(name="eth0", mode="generic"), Nic(name="eth1")

    assert edits.put_nics(BASE, [new, generic, new]).nics == (generic, new)


def test_a_back_end_that_stays_keeps_its_state():
    """Unless it is given: who lists the servers anew does not mean to end a drain."""
    drained = edits.set_backend(BASE, "web", TWO, state=State.DRAINING)
    listed = [{"address": str(TWO), "weight": 7}, {"address": str(THREE)}]

    def after(*backends):
        given = tuple(Backend.model_validate(backend) for backend in backends)
        return edits.change_pool(drained, "web", {"backends": given}).pool("web").backends

    two = Backend(address=TWO, weight=7, state=State.DRAINING)
    assert after(*listed) == (two, Backend(address=THREE))
    assert after({**listed[0], "state": "active"}) == (Backend(address=TWO, weight=7),)


def used(**fields):
    """The pool web uses the pool spare."""
    return configured(pools=[web(1, **fields), {"name": "spare"}])


def test_a_pool_that_nobody_uses_any_more_can_be_removed():
    """First what uses it is changed."""
    after = edits.set_pool(used(backup="spare"), "web", {"backup": None})

    assert [pool.name for pool in edits.remove_pool(after, "spare").pools] == ["web"]


REFUSED = {
    "a pool that is a backup": (
        lambda: edits.remove_pool(used(backup="spare"), "spare"),
        Conflict,
        "pool 'spare' serves for pool 'web'; change that first, see `lbctl pool show web`",
    ),
    "a pool that a rule names": (
        lambda: edits.remove_pool(used(rules=RULES), "spare"),
        Conflict,
        "pool 'spare' serves for pool 'web'",
    ),
    "an agent twice": (
        lambda: edits.add_agent(edits.add_agent(BASE, AGENT), AGENT),
        Conflict,
        "exists already; remove it first with `lbctl agent remove 10.0.1.11:9777`",
    ),
    "an agent that is not there": (
        lambda: edits.remove_agent(BASE, AGENT.address),
        NotFound,
        "there is no agent 10.0.1.11:9777; see `lbctl agent list`",
    ),
    "a scheduler that nobody ships": (
        lambda: edits.check(configured(pools=[web(1, scheduler="night-shift")])),
        UsageError,
        "no scheduler 'night-shift'; there are maglev, rr, ",
    ),
    "a pool that exists": (
        lambda: edits.add_pool(BASE, Pool(name="web")),
        Conflict,
        "pool 'web' exists already; change it with `lbctl pool set`",
    ),
    "a new pool with a VIP of another": (
        lambda: edits.add_pool(BASE, Pool(name="new", vips=(VIP,))),
        Conflict,
        "take it from there with `lbctl vip remove web 203.0.113.10:80/tcp`",
    ),
    "a VIP of another pool": (
        lambda: edits.add_vip(BASE, "dns", VIP),
        Conflict,
        "belongs to pool 'web'",
    ),
    "a VIP twice": (
        lambda: edits.add_vip(BASE, "web", VIP),
        Conflict,
        "pool 'web' has VIP 203.0.113.10:80/tcp already",
    ),
    "a VIP that is not there": (
        lambda: edits.remove_vip(BASE, "web", OTHER),
        NotFound,
        "pool 'web' has no VIP 203.0.113.11:80/tcp; see `lbctl pool show web`",
    ),
    "a back-end twice": (
        lambda: edits.add_backend(BASE, "web", Backend(address=ONE, weight=5)),
        Conflict,
        "already; change it with `lbctl backend set web 10.0.1.11:8080`",
    ),
    "a back-end that is not there": (
        lambda: edits.set_backend(BASE, "web", THREE, weight=1),
        NotFound,
        "pool 'web' has no back-end 10.0.1.13:8080; see `lbctl backend list web`",
    ),
    "a pool that is not there": (
        lambda: edits.remove_pool(BASE, "nope"),
        NotFound,
        "there is no pool 'nope'; see `lbctl pool list`",
    ),
    "a NIC that is not attached": (
        lambda: edits.remove_nics(BASE, ["eth0", "eth7"]),
        NotFound,
        "NIC 'eth7' is not attached; see `lbctl status`",
    ),
    "one server twice behind any port": (
        lambda: edits.check(
            configured(
                pools=[
                    {
                        "name": "any",
                        "vips": ["203.0.113.10:*/tcp"],
                        "backends": [{"address": "10.0.1.11:1"}, {"address": "10.0.1.11:2"}],
                    }
                ]
            )
        ),
        LbctlError,
        "back-ends 10.0.1.11:1 and 10.0.1.11:2 are the same; name that server once",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused(case):
    """The object, the reason, what to type."""
    edit, kind, text = case

    with pytest.raises(kind) as caught:
        edit()

    assert text in str(caught.value)
    assert type(caught.value) is kind
