"""The controller carries a change out, all of it or nothing."""

from __future__ import annotations

import sqlite3
import threading
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from lbctl.control import edits
from lbctl.errors import Conflict, LbctlError, NotFound, UsageError
from lbctl.model import Backend, Nic, Pool, SocketAddress, State
from lbctl.shared.configuration import BackendRecord
from tests.unit.control.fakes import ONE, TWO, VIP, configured, connection, web

if TYPE_CHECKING:
    from lbctl.control.controller import Controller

ETH0 = {"name": "eth0"}
WEB = configured(nics=[ETH0], pools=[web(1, 2)])
HOST_ONE, HOST_TWO = ONE.address, TWO.address


def state_of(controller: Controller):
    """Everything that a failed change must leave as it was."""
    plane, tables = controller.dataplane, controller.dataplane.configuration
    return (
        controller.current,
        controller.store.current,
        {nic.name: (nic.ifindex, nic.mode) for nic in plane.attached()},
        set(plane.routing.destinations()),
        [(s.vip, s.backends, s.slots.tolist()) for s in tables.services],
        tables.generation,
    )


# -- changes that succeed ------------------------------------------------------------------


def test_apply_publishes_and_stores(controller):
    """One generation, with every difference in a line."""
    done = controller.apply(WEB, "root")

    assert done == (2, ("+ pool web",))
    assert controller.configuration == controller.store.current.configuration == WEB
    tables = controller.dataplane.configuration
    assert (tables.generation, [s.vip for s in tables.services]) == (2, [VIP])
    assert tables.timeouts == WEB.settings.timeouts


def test_applying_the_same_again_makes_no_generation(controller):
    """`export | apply` changes nothing."""
    controller.apply(WEB, "root")

    assert controller.apply(WEB, "root") == (2, ())
    assert controller.dataplane.configuration.history == [1, 2]


def test_the_program_is_made_fit_before_the_tables_need_it(controller):
    """A feature that the program lacks would otherwise be a packet that it misreads."""
    plane = controller.dataplane
    published_when_ensured = []
    ensure = plane.ensure
    plane.ensure = lambda c: (
        published_when_ensured.append(plane.configuration.generation),
        ensure(c),
    )

    controller.apply(WEB, "root")

    assert published_when_ensured == [1]
    assert plane.ensured[-1] == WEB


def test_a_nic_of_the_new_configuration_may_be_the_way_to_its_back_ends(empty):
    """It is attached before anybody asks whether they can be reached."""
    order = []
    resolve = empty.routing.resolve

    def watched(*given):
        order.append([nic.name for nic in empty.dataplane.attached()])
        return resolve(*given)

    empty.routing.resolve = watched
    empty.apply(WEB, "root")

    assert order == [["eth0"]]


def test_a_nic_that_is_not_wanted_any_more_is_detached_after_publishing(controller):
    """No packet may meet a NIC without program while the tables still send it there."""
    seen = []
    controller.dataplane.configuration.after_publish = lambda _: seen.append(
        [nic.name for nic in controller.dataplane.attached()]
    )

    controller.apply(configured(nics=[{"name": "eth1"}]), "root")

    assert seen == [["eth0", "eth1"]]
    assert [nic.name for nic in controller.dataplane.attached()] == ["eth1"]


def test_another_mode_is_a_new_attachment(controller):
    """A NIC has one mode at a time."""
    controller.dataplane.calls.clear()
    controller.attach([Nic(name="eth0", mode="generic")], "root")

    assert controller.dataplane.calls == ["ensure", "detach eth0", "attach eth0 generic"]


def test_insisting_on_the_mode_that_auto_had_chosen_costs_no_packet(controller):
    """It stays attached."""
    controller.dataplane.calls.clear()
    controller.attach([Nic(name="eth0", mode="native")], "root")

    assert controller.dataplane.calls == ["ensure"]
    assert controller.configuration.nics == (Nic(name="eth0", mode="native"),)


def test_rollback_is_a_new_generation_with_the_old_content(controller):
    """The history only grows."""
    controller.apply(WEB, "root")

    assert controller.rollback(1, "alice") == (3, ("- pool web",))
    assert controller.configuration == configured(nics=[ETH0])
    number, _, who, what = controller.store.history()[0]
    assert (number, who, what) == (3, "alice", "rollback 1")


def test_diff_and_dry_run_change_nothing(controller):
    """They say what would be, and refuse what would be refused."""
    before = state_of(controller)

    assert controller.diff(WEB) == (1, ("+ pool web",))
    with pytest.raises(NotFound, match="there is no NIC 'eth7' here; see `ip link`"):
        controller.diff(configured(nics=[{"name": "eth7"}]))
    assert state_of(controller) == before


def test_the_hosts_own_addresses_are_published(controller, links):
    """So that SSH to an address that is a VIP too stays the kernel's."""
    links.addresses = {VIP.address, ip_address("192.0.2.1")}

    controller.apply(WEB, "root")

    assert controller.dataplane.configuration.local == {VIP.address}


def test_an_address_that_comes_later_is_published_too(controller, links):
    """The same generation once more, and only if a VIP is concerned."""
    controller.apply(WEB, "root")
    links.addresses = {ip_address("192.0.2.1")}
    controller.on_address()
    assert controller.dataplane.configuration.history == [1, 2]

    links.addresses = {VIP.address}
    controller.on_address()
    controller.on_address()

    tables = controller.dataplane.configuration
    assert (tables.history, tables.local) == ([1, 2, 2], {VIP.address})


# -- changes that are refused or fail ------------------------------------------------------


def test_a_back_end_that_does_not_answer_is_refused(controller):
    """Exit status 1, which one, why, and nothing is changed."""
    controller.routing.unreachable = {HOST_TWO: "10.0.1.12: it does not answer ARP on eth0"}
    before = state_of(controller)

    with pytest.raises(LbctlError) as caught:
        controller.apply(WEB, "root")

    assert caught.value.exit_code == 1
    assert str(caught.value) == (
        "back-end 10.0.1.12:8080 of pool 'web' cannot be reached: "
        "10.0.1.12: it does not answer ARP on eth0"
    )
    assert state_of(controller) == before


def test_force_goes_ahead_without_proof(controller):
    """The administrator knows that the server will come."""
    controller.routing.unreachable = {HOST_TWO: "no"}

    assert controller.apply(WEB, "root", force=True).generation == 2


def test_without_any_nic_the_error_says_to_attach_one(empty):
    """The most likely mistake of the first minute."""
    with pytest.raises(
        LbctlError, match=r"no NIC is attached; run `lbctl attach IFACE\.\.\.` first"
    ):
        empty.apply(configured(pools=[web(1)]), "root")


def test_only_who_begins_to_get_connections_must_be_reachable(controller):
    """A server that died since is no reason to refuse a change of another."""
    controller.apply(WEB, "root")
    controller.routing.unreachable = {HOST_ONE: "gone"}

    controller.apply(configured(nics=[ETH0], pools=[web(1, 2, 3)]), "root")
    assert controller.routing.asked == {ip_address("10.0.1.13")}

    drain = partial(edits.set_backend, name="web", address=ONE, state=State.DRAINING)
    controller.change("backend drain", "root", drain)
    restore = partial(edits.set_backend, name="web", address=ONE, state=State.ACTIVE)
    with pytest.raises(LbctlError, match="cannot be reached: gone"):
        controller.change("backend restore", "root", restore)


FAILURES = {
    "the program does not compile": ("ensure", LbctlError("no")),
    "a NIC is somebody else's": ("attach eth1 auto", Conflict("eth1: in use")),
    "a NIC cannot have that mode": ("attach eth0 generic", LbctlError("no such mode")),
    "a NIC cannot be let go": ("detach eth0", OSError(16, "Device or resource busy")),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_failure_at_any_step_puts_everything_back(controller, failure):
    """Program, NICs, tables, next hops and store are as before."""
    call, error = failure
    controller.apply(WEB, "root")
    before = state_of(controller)
    controller.dataplane.fail = {call: error}
    pool = web(1, 1, 1, vips=["203.0.113.9:1/udp"])
    nics = [{"name": "eth0", "mode": "generic"}] if "generic" in call else [{"name": "eth1"}]
    wanted = configured(nics=nics, pools=[pool])

    with pytest.raises(type(error)):
        controller.apply(wanted, "root")

    assert state_of(controller) == before
    assert controller.dataplane.ensured[-1] == WEB


def test_tables_that_are_full_put_everything_back(controller):
    """Publishing is the last step that can be refused."""
    controller.apply(WEB, "root")
    before = state_of(controller)

    def refuse(generation: int) -> None:
        if generation == 3:
            raise LbctlError("slots: they do not fit")

    controller.dataplane.configuration.before_publish = refuse
    with pytest.raises(LbctlError, match="do not fit"):
        controller.apply(configured(nics=[ETH0], pools=[web(1, 1, 1)]), "root")

    assert state_of(controller) == before


def test_a_store_that_cannot_commit_puts_everything_back(controller):
    """Only the very last step fails: tables and NICs are those of the new generation by then."""
    controller.apply(WEB, "root")
    before = state_of(controller)
    attached = []
    controller.dataplane.configuration.after_publish = lambda _: attached.append(
        sorted(controller.dataplane.nics)
    )

    def authorize(action: int, operation: str | None, *_: object) -> int:
        denied = action == sqlite3.SQLITE_TRANSACTION and operation == "COMMIT"
        return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK

    controller.store._db.set_authorizer(authorize)
    with pytest.raises(LbctlError, match="not authorized"):
        controller.apply(configured(nics=[{"name": "eth1"}], pools=[web(1, 1, 1)]), "root")
    controller.store._db.set_authorizer(None)

    assert state_of(controller) == before
    assert controller.dataplane.configuration.history[-2:] == [3, 2]
    assert attached[0] == ["eth0", "eth1"]


def test_a_value_that_cannot_be_is_a_usage_error(controller):
    """The model's words, exit status 2."""
    controller.apply(WEB, "root")

    with pytest.raises(UsageError, match="dsr cannot change the port"):
        controller.change(
            "x", "root", partial(edits.set_pool, name="web", fields={"forward": "dsr"})
        )


def test_changes_at_once_take_turns(controller):
    """None is lost, and every generation holds one more."""
    names = [f"pool{n}" for n in range(8)]
    start = threading.Barrier(len(names))

    def add(name: str) -> None:
        start.wait()
        controller.change("add", name, partial(edits.add_pool, pool=Pool(name=name)))

    threads = [threading.Thread(target=add, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {pool.name for pool in controller.configuration.pools} == set(names)
    sizes = [len(controller.store.generation(n).configuration.pools) for n in range(2, 10)]
    assert sizes == list(range(1, 9))


# -- back-ends that go ---------------------------------------------------------------------


def test_a_removed_back_end_keeps_its_next_hop_while_it_has_a_record(controller):
    """Its last connections still need the way."""
    controller.apply(WEB, "root")
    tables = controller.dataplane.configuration
    tables.kept = {63: BackendRecord(VIP, ONE)}
    controller.remove_backend("web", ONE, "root")
    assert HOST_ONE in controller.dataplane.routing.destinations()

    tables.kept = {}
    controller.change("x", "root", partial(edits.set_pool, name="web", fields={"table_size": 7}))

    assert set(controller.dataplane.routing.destinations()) == {HOST_TWO}


def test_back_ends_of_a_pool_without_vip_keep_their_next_hop(controller):
    """They are in no table yet, but watched: the status says who does not answer."""
    controller.apply(configured(nics=[ETH0], pools=[web(1, vips=[])]), "root")

    assert set(controller.dataplane.routing.destinations()) == {HOST_ONE}


def test_connections_of_a_removed_back_end_finish_unless_now(controller):
    """Only `now` forgets them, and only its own."""
    controller.apply(WEB, "root")
    controller.dataplane.connections.rows = [connection(1, ONE), connection(2, TWO)]

    controller.remove_backend("web", ONE, "root")
    assert controller.dataplane.connections.flushed == []

    controller.remove_backend("web", TWO, "root", now=True)
    assert controller.dataplane.connections.flushed == [({VIP}, TWO, None)]


def test_now_reaches_the_connections_of_any_port(controller):
    """The record of a VIP of any port has port 0."""
    wild = web(1, vips=["203.0.113.10:*/tcp"])
    controller.apply(configured(nics=[ETH0], pools=[wild]), "root")

    controller.remove_backend("web", ONE, "root", now=True)

    (flushed,) = controller.dataplane.connections.flushed
    assert flushed.backend == SocketAddress(HOST_ONE, 0)


def test_a_pool_with_a_new_back_end_gets_its_next_hop(controller):
    """The index that the routing table gave is the one in the record."""
    controller.apply(WEB, "root")
    add = partial(edits.add_backend, name="web", backend=Backend(address="10.0.1.13:8080"))
    controller.change("backend add", "root", add)

    (service,) = controller.dataplane.configuration.services
    hops = controller.dataplane.routing.destinations()
    assert [b.next_hop for b in service.backends] == [
        hops[b.address.address] for b in service.backends
    ]
