"""The tracked agent: what it said last and how it has behaved; what of that is news."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from lbctl.agent.wire import LoadReport, Wish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbctl.model import Agent, SocketAddress


class Reading(NamedTuple):
    """A report, and when it came."""

    report: LoadReport
    at: float  # monotonic seconds


class AgentState(NamedTuple):
    """An agent as it is seen now."""

    agent: Agent
    reading: Reading | None
    problem: str | None  # why the last attempt brought nothing
    answers: int  # reports that count
    failures: int  # no answer
    refused: int  # answers that do not count


class EventKind(StrEnum):
    """What can happen to an agent."""

    SILENT = "silent"
    BACK = "back"
    REFUSED = "refused"
    WISH = "wish"


class AgentEvent(NamedTuple):
    """A change of an agent's state, in a line."""

    agent: SocketAddress
    kind: EventKind
    text: str


class Tracked:
    """
    One agent, followed since *now* (monotonic) and *wall* (Unix seconds).

    All but `agent` is changed by one thread only; others may look.
    """

    def __init__(self, agent: Agent, now: float, wall: float) -> None:
        self.agent = agent
        self.since = now
        self.sealed_after = wall  # a pushed statement that counts is later than this
        self.taken = False  # whether another resource manager brought the reading
        self.reading: Reading | None = None
        self.problem: str | None = None
        self.answers = 0
        self.failures = 0
        self.refused = 0
        self._refusal: tuple[str, float] | None = None  # the last one, and when
        self._told_refused = False
        self._told_silent = False
        self._told_wish = Wish.UP

    def state(self) -> AgentState:
        """How it is seen now."""
        return AgentState(
            self.agent, self.reading, self.problem, self.answers, self.failures, self.refused
        )

    def accept(self, report: LoadReport, at: float, *, taken: bool = False) -> None:
        """Take *report* as its word, unless there is a later one."""
        if self.reading is None or at > self.reading.at:
            self.reading, self.taken = Reading(report, at), taken
        self.answers += 1
        self.problem = None

    def fail(self, why: str) -> None:
        """Note that there was no answer; what it said before stays."""
        self.failures += 1
        self.problem = why

    def refuse(self, why: str, at: float) -> None:
        """Note that there was an answer that does not count; what it said before stays."""
        self.refused += 1
        self.problem = why
        self._refusal = why, at

    def is_fresh(self, now: float) -> bool:
        """Whether its last word, or the beginning, is less than `stale` seconds ago."""
        last = self.reading.at if self.reading else self.since
        return now - last <= self.agent.stale

    def news(self, now: float) -> Iterator[AgentEvent]:
        """
        Yield each change of state once.

        Refusals are one event until there was none for `stale` seconds: whoever can make an
        agent's answers bad again and again cannot fill a log with that.
        """
        silent = not self.is_fresh(now)
        if silent != self._told_silent:
            self._told_silent = silent
            yield self._silent() if silent else self._event(EventKind.BACK, "it answers again")
        if self._refusal:
            why, at = self._refusal
            if not self._told_refused:
                self._told_refused = True
                yield self._event(EventKind.REFUSED, why)
            elif now - at > self.agent.stale:
                self._refusal, self._told_refused = None, False
        report = self.reading.report if self.reading else None
        wish = (report and report.wish) or Wish.UP
        if report and wish is not self._told_wish:
            self._told_wish = wish
            reason = f": {report.reason}" if report.reason else ""
            yield self._event(EventKind.WISH, f"it wishes {wish}{reason}")

    def _silent(self) -> AgentEvent:
        why = f": {self.problem}" if self.problem else ""
        return self._event(EventKind.SILENT, f"no word for {self.agent.stale:g} s{why}")

    def _event(self, kind: EventKind, text: str) -> AgentEvent:
        return AgentEvent(self.agent.address, kind, text)
