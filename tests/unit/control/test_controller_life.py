"""The controller starts over what it finds, follows NICs that come and go, and stops."""

from __future__ import annotations

import threading

import pytest

from lbctl.control.controller import Controller
from lbctl.control.store import Store
from lbctl.errors import Conflict, NotFound
from lbctl.model import Nic
from tests.unit.control.fakes import ONE, TWO, VIP, configured, web

WEB = configured(nics=[{"name": "eth0"}], pools=[web(1, 2)])
HOST_ONE, HOST_TWO = ONE.address, TWO.address


def restarted(controller: Controller) -> Controller:
    """Another daemon on the same state and tables."""
    controller.stop()
    store = Store(controller.store.path.parent)
    again = Controller(controller.dataplane, store, controller.routing, links=controller.links)
    again.start()
    return again


@pytest.fixture
def restart(controller):
    """Restart the controller; its store is closed at the end."""
    started = []

    def once() -> Controller:
        started.append(restarted(started[-1] if started else controller))
        return started[-1]

    yield once
    for one in started:
        one.store.close()


def test_a_restart_takes_over_what_it_finds(controller, restart):
    """No NIC is detached, no generation made, nobody waits for neighbours."""
    controller.apply(WEB, "root")
    controller.dataplane.calls.clear()
    controller.routing.asked = set()

    again = restart()

    assert again.current == (2, WEB)
    assert controller.dataplane.calls == ["ensure", "attach eth0 auto"]
    assert controller.routing.asked == set()
    assert controller.dataplane.configuration.history == [1, 2]


def test_tables_that_were_taken_over_are_published_anew_later(controller, restart, links):
    """Once, and not before the daemon answers: an address may have come while there was none."""
    controller.apply(WEB, "root")
    links.addresses = {VIP.address}
    again = restart()

    again.on_address()
    again.on_address()

    tables = controller.dataplane.configuration
    assert (tables.history, tables.local) == ([1, 2, 2], {VIP.address})


def test_tables_of_another_generation_are_published_anew(controller, restart):
    """Somebody died between publishing and storing: the stored generation counts."""
    controller.apply(WEB, "root")
    tables = controller.dataplane.configuration
    tables.publish((), None, 3, frozenset())

    restart()

    assert (tables.generation, [s.vip for s in tables.services]) == (2, [VIP])
    assert controller.routing.asked == {HOST_ONE, HOST_TWO}


def test_a_nic_that_a_dead_change_attached_is_detached(controller, restart):
    """It is not wanted by the stored generation."""
    controller.dataplane.attach(Nic(name="eth1"))

    restart()

    assert [nic.name for nic in controller.dataplane.attached()] == ["eth0"]


def test_a_nic_that_is_missing_or_taken_at_the_start_is_no_failure(controller, restart, links):
    """The daemon comes up and says so in its status."""
    controller.attach([Nic(name="eth1")], "root")
    del controller.dataplane.nics["eth0"], links.indices["eth0"]
    controller.dataplane.foreign = {"eth1"}

    again = restart()

    assert again.nics.refusals == {
        "eth0": "eth0: no such NIC",
        "eth1": "eth1: another XDP program is attached",
    }


def follow(controller: Controller, name: str) -> None:
    """Tell of a link, and wait for what the controller makes of it."""
    controller.on_link(name)
    for thread in threading.enumerate():
        if thread.name == "follow-link":
            thread.join()


def test_a_nic_that_comes_back_is_attached_again(controller, links):
    """Under its name, with whatever index it has now."""
    links.indices["eth0"] = 77

    follow(controller, "eth0")

    assert [(nic.name, nic.ifindex) for nic in controller.dataplane.attached()] == [("eth0", 77)]
    assert controller.routing.calls[-1] == "refresh"
    links.indices["eth0"] = 78
    follow(controller, "eth0")
    assert [nic.ifindex for nic in controller.dataplane.attached()] == [78]


def test_a_nic_that_only_changed_stays_attached(controller):
    """Its MAC or state is followed, nothing more."""
    controller.dataplane.calls.clear()

    follow(controller, "eth0")

    assert controller.dataplane.calls == []
    assert controller.routing.calls[-1] == "refresh"


def test_a_nic_that_goes_is_let_go(controller, links):
    """And stays wanted."""
    del links.indices["eth0"]

    follow(controller, "eth0")

    assert controller.dataplane.attached() == []
    assert controller.configuration.nics == (Nic(name="eth0"),)


def test_links_of_others_cost_nothing(controller):
    """A host may have a thousand containers."""
    controller.dataplane.calls.clear()
    controller.routing.calls.clear()

    follow(controller, "eth1")

    assert controller.dataplane.calls + controller.routing.calls == []


def test_hearing_of_a_link_never_waits_for_a_change(controller, links):
    """The routing daemon's thread calls, and a change may be waiting for that thread."""
    links.indices["eth0"] = 77
    with controller._lock:
        controller.on_link("eth0")
        assert controller.dataplane.nics["eth0"].ifindex == 2
    follow(controller, "eth0")

    assert controller.dataplane.nics["eth0"].ifindex == 77


def test_attaching_a_nic_that_is_wanted_but_missing_tries_again(controller):
    """The way to mend a refusal, without a new generation."""
    controller.dataplane.foreign = {"eth0"}
    del controller.dataplane.nics["eth0"]
    with pytest.raises(Conflict):
        controller.attach([Nic(name="eth0")], "root")

    controller.dataplane.foreign = set()
    assert controller.attach([Nic(name="eth0")], "root") == (1, ())
    assert "eth0" in controller.dataplane.nics


def test_attaching_a_nic_that_does_not_exist_is_not_found(controller, links):
    """Whether it ever existed or not."""
    with pytest.raises(NotFound, match="there is no NIC 'eth7' here"):
        controller.attach([Nic(name="eth7")], "root")

    del links.indices["eth0"]
    with pytest.raises(NotFound, match="there is no NIC 'eth0' here"):
        controller.attach([Nic(name="eth0")], "root")


def test_stop_waits_for_a_change_and_leaves_the_nics(controller):
    """The switching processors go on."""
    publishing, go_on = threading.Event(), threading.Event()

    def wait(_generation: int) -> None:
        publishing.set()
        go_on.wait(5)

    controller.dataplane.configuration.before_publish = wait
    change = threading.Thread(target=controller.apply, args=(WEB, "root"))
    change.start()
    publishing.wait(5)
    stop = threading.Thread(target=controller.stop)
    stop.start()
    assert "stop" not in controller.routing.calls
    go_on.set()
    change.join()
    stop.join()

    assert controller.routing.calls[-1] == "stop"
    assert controller.current.number == 2
    assert list(controller.dataplane.nics) == ["eth0"]


def test_every_hour_the_connection_table_is_swept(controller, caplog):
    """Under the lock, and a failure is the log's business alone."""
    locked = []
    controller.dataplane.connections.sweeps = [
        lambda: locked.append(controller._lock.locked()),
        lambda: 1 // 0,
    ]

    controller.on_hour()
    controller.on_hour()

    assert locked == [True]
    assert "the connection table could not be swept" in caplog.text
    assert not controller._lock.locked()
    controller.stop()
    controller.on_hour()  # the tables are gone by now: nothing is swept


def test_several_nics_are_attached_or_none(controller, links):
    """One is held by somebody else: what was attached before it goes, and no generation is made."""
    links.indices["eth2"] = 4
    controller.dataplane.foreign = {"eth2"}

    with pytest.raises(Conflict):
        controller.attach([Nic(name="eth1"), Nic(name="eth2")], "root")

    assert (list(controller.dataplane.nics), controller.current.number) == (["eth0"], 1)
