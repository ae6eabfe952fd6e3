"""The health monitor in virtual time, with servers that do as they are told."""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise
from random import Random

import pytest

from lbctl.control.health import monitor
from lbctl.control.health.monitor import HealthMonitor
from lbctl.control.health.record import Health
from lbctl.control.health.target import Outcome
from lbctl.errors import NotFound
from lbctl.model import Backend, Configuration, Pool, SocketAddress, State, TcpCheck, Vip
from tests.unit.control.health.virtual import simulate

ONE, TWO = SocketAddress.parse("10.0.1.11:80"), SocketAddress.parse("10.0.1.12:80")
CHECK = TcpCheck(interval=10, timeout=1, rise=2, fall=3, jitter=0.1)
BEGIN = 1_700_000_000.0  # Unix time at the beginning of the virtual time


def web(*addresses, check=CHECK, state=State.ACTIVE, **options):
    """A configuration with one pool of these."""
    backends = [Backend(address=address, state=state) for address in addresses]
    return Configuration(pools=(Pool(name="web", backends=backends, health=check, **options),))


class World:
    """A monitor, its servers, and what it told of them."""

    def __init__(self, **options):
        self.bad = {}  # address -> what is wrong
        self.takes = {}  # address -> seconds
        self.looks = []  # (time, target)
        self.busy = set()
        self.told = []
        now = lambda: BEGIN + self.now  # noqa: E731
        self.monitor = HealthMonitor(
            self.hear, look=self.look, clock=now, random=Random(1).random, **options
        )

    @property
    def now(self):
        """The virtual time."""
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:  # before the loop runs
            return 0.0

    def hear(self, changes):
        """Take note of changes."""
        self.told.append(changes)

    async def look(self, target):
        """Look at a server; two looks at once at the same one are a mistake."""
        assert target not in self.busy
        self.busy.add(target)
        self.looks.append((self.now, target))
        await asyncio.sleep(self.takes.get(target.address, 0.01))
        self.busy.discard(target)
        bad = self.bad.get(target.address)
        if isinstance(bad, list):  # what is wrong at the next looks
            bad = bad.pop(0) if bad else None
        if isinstance(bad, Outcome):
            return bad
        return Outcome(ok=not bad, reason=bad or "200 in 10 ms", seconds=0.01)

    def times(self, address):
        """When a server was looked at."""
        return [time for time, target in self.looks if target.address == address]

    def ups(self):
        """Who came up or went down, in order."""
        return [(c.address, c.after.up) for changes in self.told for c in changes]

    def run(self, *steps):
        """Run; each step is seconds to let pass, or something to do then."""

        async def main():
            running = asyncio.ensure_future(self.monitor.run())
            for step in steps:
                if callable(step):
                    step()
                else:
                    await asyncio.sleep(step)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert len(asyncio.all_tasks()) == 1

        simulate(main())


@pytest.fixture
def world():
    """Two servers that are well."""
    made = World()
    made.monitor.follow(web(ONE, TWO))
    return made


def test_a_new_back_end_is_looked_at_at_once(world):
    """
    Until then nothing is known of it; the first outcome decides, and is told.
    """
    world.bad[TWO] = "connection refused"
    before = world.monitor.all()
    world.run(0.1)

    unknown = Health(up=False, reason="not checked yet", since=BEGIN, checked=False)
    assert {("web", ONE): unknown, ("web", TWO): unknown} == before
    assert [(ONE, True), (TWO, False)] == world.ups()
    assert [unknown, unknown] == [change.before for (change,) in world.told]
    assert world.monitor.health("web", ONE).up
    assert "connection refused" == world.monitor.health("web", TWO).reason


def test_looks_come_in_their_time(world):
    """
    The second one after a part of the interval, the others after one with its jitter.
    """
    world.run(1000)
    times = world.times(ONE)
    first, *others = [later - earlier for earlier, later in pairwise(times)]

    assert 0 <= first <= 10
    assert all(8.99 <= gap <= 11.01 for gap in others)
    assert 95 <= len(others) <= 105
    assert len({round(gap, 3) for gap in others}) > 50


def test_many_back_ends_are_spread_over_the_interval():
    """
    Their first looks follow closely on each other; later no tenth of the time has too many.
    """
    world = World()
    world.monitor.follow(web(*(SocketAddress.parse(f"10.0.1.11:{n}") for n in range(1, 1001))))
    world.run(30)
    first = [time for time, _ in world.looks[:1000]]
    later = [time for time, _ in world.looks if 20 <= time < 30]

    assert 1000 * monitor.PACE >= max(first)
    assert max(sum(now <= time < now + 1 for time in later) for now in range(20, 30)) < 200


def test_a_server_that_fails_is_asked_again_soon(world):
    """
    Each timeout while it is in doubt: it is down after fall - 1 of them, and told once.
    """
    world.run(100, lambda: world.bad.update({ONE: "no answer"}), 100)
    failed = [time for time in world.times(ONE) if time >= 100]

    assert [(ONE, True), (TWO, True), (ONE, False)] == world.ups()
    assert [1.0, 1.0] == [round(later - now, 6) for now, later in pairwise(failed[:3])]
    assert round(BEGIN + failed[2] + 0.01, 3) == round(world.monitor.health("web", ONE).since, 3)
    assert failed[3] - failed[2] > 5


def test_a_failure_that_passes_changes_nothing(world):
    """
    It takes as many as `fall` in a row.
    """
    world.run(100, lambda: world.bad.update({ONE: ["no answer", "no answer"]}), 100)

    assert [] == world.bad[ONE]
    assert [(ONE, True), (TWO, True)] == world.ups()
    assert world.monitor.health("web", ONE).successes > 5


def test_a_server_that_recovers_comes_back(world):
    """
    With its second success.
    """
    world.bad[ONE] = "no answer"
    world.run(100, world.bad.clear, 100)

    assert [(ONE, False), (TWO, True), (ONE, True)] == world.ups()
    assert world.monitor.health("web", ONE).successes > 2


def test_a_slow_server_is_never_asked_twice_at_once():
    """
    Though its answer may take longer than the time to the next look.
    """
    world = World()
    world.takes[ONE] = 10
    world.monitor.follow(web(ONE, check=CHECK.model_copy(update={"jitter": 0.5})))
    world.run(100)

    assert 6 <= len(world.looks) <= 10
    assert all(later - earlier >= 10 for earlier, later in pairwise(world.times(ONE)))


def test_changes_of_one_moment_are_told_together(world):
    """
    Both servers are lost by the same switch port.
    """

    async def main():
        gate = asyncio.Event()

        async def look(_):
            await gate.wait()
            return Outcome(ok=True, reason="200", seconds=0)

        world.monitor._look = look
        running = asyncio.ensure_future(world.monitor.run())
        await asyncio.sleep(1)
        gate.set()
        await asyncio.sleep(1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    simulate(main())

    assert [2] == [len(changes) for changes in world.told]


def test_a_listener_that_fails_does_not_end_the_watch(world, caplog):
    """
    It is logged.
    """
    world.monitor._on_change = lambda _: 1 / 0
    world.run(100)

    assert len(world.looks) > 15
    assert "could not be handed on" in caplog.text


def test_who_is_no_longer_wanted_is_not_watched(world):
    """
    The others keep what is known of them.
    """
    world.run(10, lambda: world.monitor.follow(web(TWO)), 0, world.looks.clear, 100)

    assert {TWO} == {target.address for _, target in world.looks}
    assert world.monitor.health("web", ONE) is None
    assert world.monitor.health("web", TWO).since < BEGIN + 1


def test_an_outcome_that_nobody_wants_any_more_is_nothing(world):
    """
    The back-end went while it was being asked.
    """
    world.takes[ONE] = 5
    world.run(1, lambda: world.monitor.follow(web(TWO)), 10)

    assert [(TWO, True)] == world.ups()


@pytest.mark.parametrize("state", [State.MAINTENANCE, State.DOWN])
def test_who_is_taken_out_is_not_watched(world, state):
    """
    Afterwards nothing is known of it, and it is looked at at once.
    """
    out = web(ONE, TWO, state=state)
    follow = world.monitor.follow
    world.run(10, lambda: follow(out), 0, world.looks.clear, 100, lambda: follow(web(ONE)), 0.1)

    assert [110] == [round(time) for time in world.times(ONE)]
    assert [] == world.times(TWO)
    assert [(ONE, True), (TWO, True), (ONE, True)] == world.ups()


def test_another_check_begins_at_once_and_counts_anew(world):
    """
    What is true stays true until it has said otherwise often enough.
    """
    other = TcpCheck(interval=100, timeout=50, fall=2)

    def change():
        world.looks.clear()
        world.bad[ONE] = "no answer"
        world.monitor.follow(web(ONE, TWO, check=other))

    world.run(100, change, 1, world.told.clear, 48, lambda: world.told.append([]), 52)

    assert [100, 150] == [round(time) for time in world.times(ONE)[:2]]
    assert [[], [(ONE, False)]] == [[(c.address, c.after.up) for c in t] for t in world.told]


def test_the_same_configuration_again_disturbs_nothing(world):
    """
    No look is moved.
    """
    other = World()
    other.monitor.follow(web(ONE, TWO))
    other.run(100)
    world.run(50, lambda: world.monitor.follow(web(ONE, TWO)), 50)

    assert other.looks == world.looks


def test_what_was_known_before_a_restart_is_kept():
    """
    One failure does not take a server out that was up; the new one is unknown.
    """
    up = Health(up=True, reason="200 in 3 ms", since=BEGIN - 1000, successes=9)
    world = World()
    world.bad[ONE] = "no answer"
    world.monitor.restore({("web", ONE): up})
    world.monitor.follow(web(ONE, TWO))
    known = world.monitor.all()
    world.run(0.5)

    assert (up, False) == (known["web", ONE], known["web", TWO].checked)
    assert [(TWO, True)] == world.ups()
    assert up.since == world.monitor.health("web", ONE).since


def test_it_can_be_restored_later_too(world):
    """
    Whether the configuration or the past is known first.
    """
    down = Health(up=False, reason="no answer", since=BEGIN - 1000, failures=9)
    world.monitor.restore({("web", ONE): down, ("old", ONE): down})

    assert {("web", ONE), ("web", TWO)} == world.monitor.all().keys()
    assert down == world.monitor.health("web", ONE)


def test_what_cannot_be_checked_keeps_its_health(world, caplog):
    """
    The reason says why, and the log does, but not at every look.
    """
    untold = Outcome(ok=False, reason="too many open files", seconds=0, conclusive=False)
    caplog.set_level(logging.WARNING)
    world.run(100, lambda: world.bad.update({ONE: untold, TWO: untold}), 99)

    assert (True, untold.reason) == world.monitor.health("web", ONE)[:2]
    assert [(ONE, True), (TWO, True)] == world.ups()
    assert 5 <= caplog.text.count("cannot be checked: too many open files") <= 10


def test_a_look_for_somebody_who_asks_does_not_count(world):
    """
    Also at a back-end that is not watched.
    """

    async def main():
        world.monitor.follow(web(ONE, state=State.MAINTENANCE))
        return await world.monitor.check_now("web", ONE)

    assert simulate(main()).ok
    assert {} == world.monitor.all()


def test_what_has_no_check_cannot_be_asked(world):
    """
    The error says where to look.
    """
    with pytest.raises(NotFound, match="lbctl pool show api"):
        simulate(world.monitor.check_now("api", ONE))


class FakeRoutes:
    """Ways to servers: one has the mark 7, and nobody else has any."""

    def __init__(self):
        self.log = []

    def assign(self, wanted):
        """Remember."""
        self.log.append([target.vip for target in wanted])
        return {("web", ONE): 7}

    async def mend(self, target):
        """Remember."""
        self.log.append(("mend", target.address))

    def clear(self):
        """Remember."""
        self.log.append("clear")


def test_checks_of_a_vip_have_a_way():
    """
    It is made with the configuration, mended when a check fails, and removed at the end.
    """
    vip = Vip.parse("203.0.113.10:80/tcp")
    routes = FakeRoutes()
    world = World(routes=routes)
    world.bad = {ONE: "no route to host", TWO: "no way"}
    to_vip = CHECK.model_copy(update={"to_vip": True})
    world.monitor.follow(web(ONE, TWO, check=to_vip, vips=(vip,), forward="dsr"))
    world.run(0.1)

    assert [[vip, vip], ("mend", ONE), "clear"] == routes.log
    assert {ONE: 7, TWO: 0} == {target.address: target.mark for _, target in world.looks}
