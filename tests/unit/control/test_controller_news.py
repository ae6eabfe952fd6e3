"""The controller follows how back-ends stand: it publishes, announces, and tells the clients."""

from __future__ import annotations

from functools import partial

import pytest

from lbctl.control import controller as controller_module
from lbctl.control import edits
from lbctl.control.clients import Lost
from lbctl.control.controller import Controller
from lbctl.control.standing import NOTHING_FOUND, Standing, Standings
from lbctl.errors import LbctlError
from lbctl.model import State
from tests.unit.control import fakes
from tests.unit.control.fakes import ONE, TWO, VIP, configured, standings, web

ETH0 = {"name": "eth0"}
WEB = configured(nics=[ETH0], pools=[web(1, 2)])
RESET = configured(nics=[ETH0], pools=[web(1, 2, on_down="reset")])


@pytest.fixture
def watch(controller) -> fakes.Watch:
    """Whoever watches the back-ends of the controller."""
    controller.watch = fakes.Watch()
    return controller.watch


@pytest.fixture
def prompted(monkeypatch) -> list:
    """The servers whose clients were told."""
    found: list = []
    monkeypatch.setattr(controller_module, "prompt", lambda _, servers: found.extend(servers))
    return found


def published(controller: Controller) -> list[State]:
    """The states in which the back-ends of the first service were published."""
    return [backend.state for backend in controller.dataplane.configuration.services[0].backends]


def refuse(controller: Controller, *, once: bool = False) -> None:
    """Have publishing fail."""
    tables = controller.dataplane.configuration

    def fail(_generation: int) -> None:
        if once:
            tables.before_publish = lambda _: None
        raise LbctlError("slots: they do not fit")

    tables.before_publish = fail


# -- news ----------------------------------------------------------------------------------


def test_news_are_published_under_the_same_generation(controller, watch):
    """What the administrator wants has not changed."""
    controller.apply(WEB, "root")
    watch.found = standings(ONE)
    controller.on_news()

    assert [State.DOWN, State.ACTIVE] == published(controller)
    assert [1, 2, 2] == controller.dataplane.configuration.history
    assert controller.current.number == controller.store.current.number == 2
    assert controller.master.standings == watch.found


def test_publications_are_counted(controller, watch):
    """Those of news and those of changes; one that fails is none."""
    before = controller.publications.count
    watch.found = standings(TWO)
    controller.on_news()
    assert controller.publications.count == before + 1

    controller.dataplane.configuration.before_publish = lambda _: {}[0]
    watch.found = standings(ONE)
    controller.on_news()
    assert controller.publications.count == before + 1


def test_news_that_packets_do_not_see_are_not_published(controller, watch):
    """A reason may change every second; it is shown all the same."""
    controller.apply(WEB, "root")
    watch.found = standings(ONE)
    controller.on_news()
    watch.found = Standings({("web", ONE): Standing(State.DOWN, "refused")}, {})
    controller.on_news()
    controller.on_news()

    assert [1, 2, 2] == controller.dataplane.configuration.history
    assert controller.master.standings.troubles["web", ONE].reason == "refused"


def test_a_publish_that_fails_is_tried_again(controller, watch, caplog):
    """What is shown is what packets see, and an event is told when it is true."""
    controller.apply(WEB, "root")
    watch.told.clear()
    refuse(controller, once=True)
    watch.found = standings(ONE)
    controller.on_news()

    assert [State.ACTIVE, State.ACTIVE] == published(controller)
    assert (controller.master.standings, watch.told) == (NOTHING_FOUND, [])
    assert "generation 2: could not be published anew" in caplog.text

    controller.on_news()
    assert [State.DOWN, State.ACTIVE] == published(controller)
    assert watch.told == [("health", "web 10.0.1.11:8080", "active -> down: no answer")]


def test_news_after_the_end_are_not_heard(controller, watch):
    """The store is closed, and soon the tables."""
    controller.apply(WEB, "root")
    watch.found = standings(ONE)
    controller.stop()
    controller.on_news()

    assert controller.dataplane.configuration.history == [1, 2]


def test_clients_of_a_server_that_died_are_told_once(controller, watch, prompted):
    """After the switch knows that it is dead."""
    controller.apply(RESET, "root")
    watch.found = standings(ONE)
    controller.on_news()
    controller.on_news()

    assert prompted == [Lost(VIP, ONE)]


# -- changes -------------------------------------------------------------------------------


def test_a_change_is_an_event(controller, watch):
    """With who, what, and every difference."""
    controller.apply(WEB, "alice")

    assert watch.told == [("configuration", "generation 2", "apply, by alice: + pool web")]


def test_a_new_back_end_is_watched_and_looked_at_before_it_is_published(controller, watch):
    """One that is dead never gets a connection, and that is an event, too."""
    calls = watch.calls
    controller.dataplane.configuration.before_publish = lambda n: calls.append(("publish", n))
    watch.found = standings(TWO)
    old = controller.configuration
    controller.apply(WEB, "root")

    assert calls == [
        ("follow", WEB),
        ("admit", (old, WEB)),
        ("standings", WEB),
        ("publish", 2),
    ]
    assert [State.ACTIVE, State.DOWN] == published(controller)
    assert watch.told[1:] == [("health", "web 10.0.1.12:8080", "active -> down: no answer")]


def test_a_change_that_fails_puts_the_old_watch_back(controller, watch):
    """And publishes the old generation as its back-ends stand."""
    watch.found = standings(ONE)
    controller.apply(WEB, "root")
    watch.calls.clear()
    new = configured(nics=[ETH0], pools=[web(1, 2, 3)])

    def fail(generation: int) -> None:
        if generation == 3:
            watch.found = NOTHING_FOUND
            raise LbctlError("slots: they do not fit")

    controller.dataplane.configuration.before_publish = fail
    watch.found = standings(TWO)
    with pytest.raises(LbctlError, match="do not fit"):
        controller.apply(new, "root")

    assert [c for name, c in watch.calls if name == "follow"] == [new, WEB]
    assert [State.DOWN, State.ACTIVE] == published(controller)
    assert controller.master.standings == standings(ONE)
    assert [event for event in watch.told if event[1] == "generation 3"] == []


def test_a_change_that_cannot_be_made_is_not_watched(controller, watch):
    """It is refused before anybody looks at its back-ends."""
    controller.routing.unreachable = {ONE.address: "it does not answer"}

    with pytest.raises(LbctlError, match="does not answer"):
        controller.apply(WEB, "root")

    assert watch.calls == []


def test_maintenance_tells_the_clients(controller, watch, prompted):
    """They are to try another server now."""
    controller.apply(RESET, "root")
    away = partial(edits.set_backend, name="web", address=ONE, state=State.MAINTENANCE)
    controller.change("backend maintenance", "root", away)

    assert prompted == [Lost(VIP, ONE)]
    change = "~ pool web: back-end 10.0.1.11:8080 state active -> maintenance"
    told = ("configuration", "generation 3", f"backend maintenance, by root: {change}")
    assert watch.told[1:] == [told]


def test_a_server_that_dies_during_a_change_is_noticed(controller, watch, prompted):
    """What was found on the way counts, and is told as any news are."""
    controller.apply(RESET, "root")
    watch.found = standings(ONE)
    controller.change("x", "root", partial(edits.set_pool, name="web", fields={"table_size": 7}))

    assert prompted == [Lost(VIP, ONE)]
    assert watch.told[-1] == ("health", "web 10.0.1.11:8080", "active -> down: no answer")


def test_removing_a_back_end_now_ends_its_connections_through_all_vips(controller):
    """Also those that came by a rule of another pool."""
    rules = [{"clients": "198.51.100.0/24", "pool": "special"}]
    special = {"name": "special", "backends": [{"address": str(TWO)}, {"address": "10.0.1.13:80"}]}
    controller.apply(configured(nics=[ETH0], pools=[web(1, rules=rules), special]), "root")

    controller.remove_backend("special", TWO, "root", now=True)

    assert controller.dataplane.connections.flushed == [({VIP}, TWO, None)]


# -- the start -----------------------------------------------------------------------------


def test_the_start_publishes_what_was_known_before(plane, store, routing, links):
    """A dead server gets nothing from the first moment on."""
    with store.record(WEB, who="root", what="apply"):
        pass
    controller = Controller(plane, store, routing, links=links)
    controller.watch = watch = fakes.Watch()
    watch.found = standings(ONE)
    controller.start()

    assert [State.DOWN, State.ACTIVE] == published(controller)
    assert [name for name, _ in watch.calls] == ["start", "standings"]
    assert watch.told == [("nic", "eth0", "attached")]
