"""What is known of an agent, and what of that is news."""

from __future__ import annotations

import pytest

from lbctl.agent.wire import LoadReport, Wish
from lbctl.control.resources.tracked import AgentEvent, EventKind, Reading, Tracked
from lbctl.model import Agent, AgentKind, SocketAddress

ADDRESS = SocketAddress.parse("192.0.2.11:9000")


@pytest.fixture
def tracked():
    """An agent followed since second 100, silent after 10 s."""
    agent = Agent(address=ADDRESS, kind=AgentKind.HAPROXY, stale=10)
    return Tracked(agent, 100.0, 0.0)


def news(tracked, now):
    """List the news as (kind, text)."""
    events = list(tracked.news(now))
    assert all(isinstance(e, AgentEvent) and e.agent == ADDRESS for e in events)
    return [(str(event.kind), event.text) for event in events]


def test_silence_and_its_end_are_told_once(tracked):
    """
    An agent that never spoke is silent too, after the same time.
    """
    assert [] == news(tracked, 110)
    tracked.fail("Connection refused")
    assert [("silent", "no word for 10 s: Connection refused")] == news(tracked, 110.5)
    assert [] == news(tracked, 120)
    tracked.accept(LoadReport(), 121)
    assert [("back", "it answers again")] == news(tracked, 121)
    assert [] == news(tracked, 131)
    assert [("silent", "no word for 10 s")] == news(tracked, 131.5)


def test_the_last_word_stays(tracked):
    """
    Neither failure nor refusal, nor an older report takes its place.
    """
    tracked.accept(LoadReport(cpu=0.5), 105)
    tracked.fail("Connection refused")
    tracked.refuse("not HTTP", 106)
    tracked.accept(LoadReport(cpu=0.9), 104)

    assert Reading(LoadReport(cpu=0.5), 105) == tracked.state().reading
    assert (2, 1, 1) == tracked.state()[-3:]


def test_a_refusal_is_told_once_until_there_was_none_for_a_while(tracked):
    """
    Good answers between bad ones do not make the bad ones news.
    """
    for second in range(100, 130):
        tracked.refuse("not HTTP", second)
        assert ([("refused", "not HTTP")] if second == 100 else []) == news(tracked, second)
        tracked.accept(LoadReport(), second + 0.5)
    assert [] == news(tracked, 139.4)
    tracked.accept(LoadReport(), 140)
    assert [] == news(tracked, 140)
    tracked.refuse("status 404", 141)
    assert [("refused", "status 404")] == news(tracked, 141)


def test_a_refusal_that_a_good_answer_followed_is_told_all_the_same(tracked):
    """
    Nobody looked in between.
    """
    tracked.refuse("not HTTP", 101)
    tracked.accept(LoadReport(), 101.5)

    assert [("refused", "not HTTP")] == news(tracked, 102)


def test_wishes_are_told_when_they_change(tracked):
    """
    To be up is what is expected, so the first `up` is no news.
    """
    wishes = [None, Wish.UP, Wish.DRAIN, Wish.DRAIN, Wish.DOWN, None, Wish.UP]
    told = []
    for second, wish in enumerate(wishes, 101):
        tracked.accept(LoadReport(wish=wish, reason="disk" if wish is Wish.DOWN else ""), second)
        told += [news(tracked, second)]

    assert [
        [],
        [],
        [("wish", "it wishes drain")],
        [],
        [("wish", "it wishes down: disk")],
        [("wish", "it wishes up")],
        [],
    ] == told


def test_kinds_of_events_are_words():
    """
    They go into logs and answers as they are.
    """
    assert ["silent", "back", "refused", "wish"] == list(EventKind)
