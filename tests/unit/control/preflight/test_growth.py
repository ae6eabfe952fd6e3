"""
What grows right now, and what is said of it.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from lbctl.control.preflight import backend_checks, growth, pool_checks, program_checks
from lbctl.control.preflight.facts import Growth
from lbctl.shared.abi import Verdict
from tests.unit.control import fakes

WEB = ("VIP 203.0.113.10:80/tcp of pool web", "web")
ONE = ("back-end 10.0.1.11:8080 of pool web", "web")
SWITCH = ("the switch", "")


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self):
        """Tell the time."""
        return self.now


@pytest.fixture
def watch():
    """Samples, and the clock that they are taken by."""
    made = growth.GrowthWatch(clock := Clock())
    made.clock = clock
    return made


def counts(number, who=ONE, verdict=Verdict.DROP_NO_NEIGHBOR):
    """So many packets."""
    return {(who, verdict): number}


def test_the_first_look_says_nothing(watch):
    """
    Whatever was counted may be of last year.
    """
    assert [] == watch.look(counts(1000))


def test_what_has_grown(watch):
    """
    Since the look before; what is new counts from zero.
    """
    watch.look(counts(10))
    watch.clock.now += 3
    found = watch.look({**counts(15), **counts(2, SWITCH, Verdict.DROP_TOO_BIG)})
    watch.clock.now += 1

    assert [
        Growth(ONE[0], Verdict.DROP_NO_NEIGHBOR, 5, 3.0, "web"),
        Growth(SWITCH[0], Verdict.DROP_TOO_BIG, 2, 3.0, ""),
    ] == found
    assert 4.0 == watch.age


def test_a_look_goes_back_some_seconds_and_no_further(watch):
    """
    Somebody who looks every second sees the last ten; what stopped before is over.
    """
    for second in range(40):
        found = watch.look(counts(min(second, 15)))
        assert (second > 0 and second < 25) == bool(found), second
        watch.clock.now += 1


def test_two_looks_at_once(watch):
    """
    The second compares with the same sample as the first, not with it.
    """
    watch.look(counts(0))
    watch.clock.now += 2
    watch.look(counts(4))
    watch.clock.now += 0.1

    assert [4] == [one.packets for one in watch.look(counts(4))]


def test_nobody_has_looked_for_long(watch):
    """
    What has grown since is not what happens now.
    """
    watch.look(counts(0))
    watch.clock.now += growth.OLDEST + 1

    assert [] == watch.look(counts(4))
    assert 0.0 == watch.age


def test_counters_are_of_the_narrowest_subject(controller, plane):
    """
    A packet is counted by NIC, by service and by back-end, and told of once.
    """
    controller.change("add", "root", lambda _: fakes.configured(pools=[fakes.web(1, 1)]))
    services, backends = plane.reasons
    neighbor, nobody = Verdict.DROP_NO_NEIGHBOR, Verdict.DROP_NO_BACKEND
    services[0, [neighbor, nobody, Verdict.RESET]] = 7, 2, 9
    backends[0, neighbor], backends[1, neighbor] = 3, 4
    plane.counts = [
        SimpleNamespace(nic=nic, verdict=verdict, packets=packets, bytes=0)
        for nic, verdict, packets in (
            (2, neighbor, 7),
            (2, nobody, 2),
            (2, Verdict.RESET, 9),
            (2, Verdict.DROP_FRAGMENT, 1),
            (9, Verdict.DROP_FRAGMENT, 4),
        )
    ]

    assert {
        (ONE, neighbor): 3,
        (("back-end 10.0.1.12:8080 of pool web", "web"), neighbor): 4,
        (WEB, nobody): 2,
        (SWITCH, Verdict.DROP_FRAGMENT): 5,
    } == growth.count(controller)


def test_a_switch_without_services(controller, plane):
    """
    There is nothing to be told.
    """
    plane.reasons = tuple(np.zeros((4, 32), np.uint64) for _ in range(2))

    assert {} == growth.count(controller)


def test_what_is_said():
    """
    The verdict, how many, and what it means; the pool's name is in the cure.
    """
    told = growth.told(Growth("x", Verdict.DROP_NO_BACKEND, 12, 4.2, "web"))
    one = growth.told(Growth("x", Verdict.TOO_BIG_REPLY, 1, 0.2))

    assert "has DROP_NO_BACKEND of 12 packets in the last 4 s" == told.what
    assert ("error", "lbctl pool show web") == (told.severity, told.cure)
    assert told.why.startswith("No active back-end.")
    assert ("note", "has TOO_BIG_REPLY of 1 packet in the last moment") == one[:2]


@pytest.mark.parametrize("verdict", growth.TROUBLE)
def test_each_has_a_cure(verdict):
    """
    Without gaps to fill in.
    """
    assert "{" not in growth.told(Growth("x", verdict, 2, 1.0, "web")).cure


def test_what_a_check_has_said_is_not_said_again():
    """
    Of the others all is said; no check explains a drop of an unknown kind.
    """
    explained = Growth("x", Verdict.DROP_NO_NEIGHBOR, 2, 1.0)
    other = Growth("x", Verdict.DROP_FRAGMENT, 2, 1.0)

    found = growth.unexplained([explained, other], {"no-neighbor"}.__contains__)
    assert [other] == list(found)


def test_explanations_are_checks_that_there_are():
    """
    A misspelt one would say everything twice.
    """
    checks = [*backend_checks.CHECKS, *pool_checks.POOL_CHECKS, *pool_checks.ROOM_CHECKS]
    checks += program_checks.APP_CHECKS

    assert set(growth.EXPLAINED_BY.values()) <= {c.__name__.replace("_", "-") for c in checks}
    assert growth.EXPLAINED_BY.keys() <= growth.TROUBLE.keys()
