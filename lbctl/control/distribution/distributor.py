"""
The distributor: turn what is known of a pool's back-ends into their shares, step by step.

Asks the scheduler what is wanted and gives it within the limits that the administrator has set.
Remembers averages and what it gave; never looks at a clock, and never fails because a scheduler
does: then the configured weights are wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lbctl.control import schedulers
from lbctl.control.distribution import limits
from lbctl.control.distribution.averages import Averages
from lbctl.control.distribution.dead_band import DeadBand
from lbctl.control.distribution.slow_start import SlowStart
from lbctl.control.schedulers.loads import parts
from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lbctl.control.distribution.member import Member
    from lbctl.control.schedulers.loads import Array
    from lbctl.control.schedulers.server import Server
    from lbctl.model import Balance, SocketAddress

EXACT = 1e-9  # shares nearer than this are the same


class Distribution(NamedTuple):
    """The shares of a pool's back-ends, 0 to 1; their sum is 1, or 0 if nobody serves."""

    wanted: dict[SocketAddress, float]  # what the scheduler asks for, and slow start allows
    given: dict[SocketAddress, float]  # what they get now
    problem: str | None  # why the scheduler was not heeded, once for each reason
    changed: bool  # whether `given` is other than before


class Distributor:
    """The distribution of one pool; *problem* is why its scheduler is not heeded now."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self._averages: dict[SocketAddress, Averages] = {}
        self._slow_start = SlowStart()
        self._dead_band = DeadBand()
        self._given: dict[SocketAddress, float] = {}
        self._served: set[SocketAddress] = set()  # that served, even if with a share of 0
        self._scheduler = ""
        self._ask: Callable[[Sequence[Server]], Array] | None = None
        self._stepped: float | None = None

    def step(
        self, now: float, scheduler: str, balance: Balance, members: Sequence[Member]
    ) -> Distribution:
        """
        Work out the shares at *now*, in monotonic seconds; to be called every `balance.interval`.

        A call in between is for what cannot wait, that a server died or came: shares move by no
        more than the part of a step that the time since the last call is worth.
        """
        before, reported = self._given, self.problem
        self._watch(now, balance, members)
        self._slow_start.watch(now, members)
        serving = [member for member in members if member.serving and member.weight > 0]
        wanted = given = np.zeros(0)
        if serving:
            wanted, given = self._shares(now, scheduler, balance, serving)
        self._stepped = now
        self._served = {member.address for member in serving}
        self._given = _by_address(members, serving, given)
        return Distribution(
            wanted=_by_address(members, serving, wanted),
            given=dict(self._given),
            problem=self.problem if self.problem != reported else None,
            changed=_differ(before, self._given),
        )

    def _shares(
        self, now: float, scheduler: str, balance: Balance, serving: Sequence[Member]
    ) -> tuple[Array, Array]:
        """What *serving* members are to have, and what they get of it now."""
        configured = parts(schedulers.weights(scheduler, [member.weight for member in serving]))
        warmth = self._slow_start.warmth(now, balance.slow_start, serving)
        target = parts(configured * warmth)
        given = self._present(serving, target)
        asked = self._asked(scheduler, serving, configured, given)
        passed = self._passed(now, balance.interval)
        if asked is None:
            done = bool((warmth == 1).all())
            steps = np.ones(len(serving))
            wanted = target
        else:
            done = False
            steps = limits.scale(configured) * balance.step * passed / balance.interval
            wanted = limits.at_least(parts(asked * warmth), balance.floor * target)
        bands = limits.scale(configured) * balance.dead_band
        addresses = [member.address for member in serving]
        if done or self._dead_band.is_worth(passed, addresses, wanted - given, bands):
            given = limits.step(wanted, given, steps)
        return wanted, limits.at_least(given, balance.floor * target)

    def _passed(self, now: float, interval: float) -> float:
        """The seconds since the last step, at most an interval."""
        return interval if self._stepped is None else min(max(now - self._stepped, 0.0), interval)

    def _present(self, serving: Sequence[Member], entrance: Array) -> Array:
        """
        What *serving* members have before anything moves.

        Who is gone has left its share to the others in proportion; who is new has *entrance*.
        """
        old = np.array([self._given.get(member.address, 0.0) for member in serving])
        new = np.array([member.address not in self._served for member in serving])
        if not old.any():
            return entrance
        room = 1.0 - entrance[new].sum()
        return np.where(new, entrance, parts(old) * room)

    def _asked(
        self, scheduler: str, serving: Sequence[Member], configured: Array, given: Array
    ) -> Array | None:
        """What a dynamic scheduler asks for; None: the scheduler is a static one."""
        if scheduler != self._scheduler:
            self._scheduler, self._ask, self.problem = scheduler, None, None
        try:
            if not schedulers.is_dynamic(scheduler):
                return None
            self._ask = self._ask or schedulers.dynamic(scheduler)
            servers = [
                self._server(member, share)
                for member, share in zip(serving, given.tolist(), strict=True)
            ]
            shares = parts(self._ask(servers))
        except LbctlError as err:
            self.problem = str(err)
            return configured
        self.problem = None
        return shares

    def _server(self, member: Member, given: float) -> Server:
        """What the scheduler sees of *member*, which has *given* before anything moves."""
        known = self._averages[member.address]
        known.given = given
        if self._stepped is None:  # what served before us had its share
            known.lagged = known.share = given
        return known.server(member, member.weight)

    def _watch(self, now: float, balance: Balance, members: Sequence[Member]) -> None:
        """Average what is known of *members*, and forget who is none any more."""
        averages = {}
        for member in members:
            known = self._averages.get(member.address)
            if known:
                known.given = self._given[member.address]
                known.update(now, member, balance.smoothing)
            averages[member.address] = known or Averages.start(now, member)
        self._averages = averages


def _by_address(
    members: Sequence[Member], serving: Sequence[Member], shares: Array
) -> dict[SocketAddress, float]:
    """Name the shares of *serving* members; the others have none."""
    found = {member.address: 0.0 for member in members}
    found.update(zip((member.address for member in serving), shares.tolist(), strict=True))
    return found


def _differ(one: dict[SocketAddress, float], other: dict[SocketAddress, float]) -> bool:
    return any(abs(one.get(a, 0.0) - other.get(a, 0.0)) > EXACT for a in one.keys() | other.keys())
