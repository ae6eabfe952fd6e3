"""
The work: carry out a plan step by step, and undo what was carried out.

What was there is remembered before it is changed.  What does not go is told, and ends nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from lbctl.control.processors.facts import FIRST, Kind, Place
from lbctl.control.processors.planning import Plan, plan
from lbctl.control.processors.saved import Saved, Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lbctl.control.processors.facts import Facts
    from lbctl.control.processors.planning import Step
    from lbctl.control.processors.saved import Memory

STAGES = (0, 1, 2)  # queues, threads, everything else


class Machine(Protocol):
    """What is worked on."""

    @property
    def boot(self) -> str:
        """What is another one after each start of the machine."""

    def facts(self, nics: Iterable[str], processes: Iterable[Place] = ()) -> Facts:
        """What a plan needs to know."""

    def read(self, place: Place) -> str | None:
        """What is set; None: it is not there."""

    def write(self, place: Place, value: str) -> None:
        """Set it.  Raises OSError."""


@dataclass(slots=True)
class Outcome:
    """Lines: what was changed, what could not be, and what has vanished meanwhile."""

    changed: list[str] = field(default_factory=list)
    failed: dict[Place, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """What could not be changed, and why."""
        return [f"{place}: {reason}" for place, reason in self.failed.items()]


class Work:
    """One apply or restore, on a machine and with a memory of what was there."""

    def __init__(self, machine: Machine, memory: Memory) -> None:
        self._machine = machine
        self._memory = memory
        self.outcome = Outcome()
        saved = memory.read()
        if saved and saved.boot != machine.boot:  # a restart has undone it all
            saved = saved.model_copy(update={"boot": machine.boot, "settings": ()})
        self.saved = saved or Saved(boot=machine.boot)

    def apply(self, wanted: Saved, nics: Sequence[str]) -> Plan:
        """Carry out what *wanted* says, and undo what it says no more; the plan as it is then."""
        self.saved = self.saved.model_copy(
            update={"processors": wanted.processors, "only_own": wanted.only_own}
        )
        self._memory.write(self.saved)
        tried: set[Place] = set()
        made = self._plan(wanted, nics)
        for stage in STAGES:
            first = [step for step in made.pending if step.stage == stage and step.now is not None]
            tried |= self._carry_out([step for step in first if step.place not in tried])
            made = self._plan(wanted, nics)
            if stage == STAGES[-2]:  # whose queues and threads are there is known now
                self._undo(_stale(self.saved.settings, made))
                made = self._plan(wanted, nics)
        return made

    def restore(self) -> None:
        """Set everything to what it was; what has vanished needs nothing."""
        self._undo(self.saved.settings, tell=True)
        if self.saved.settings:
            self._memory.write(self.saved.model_copy(update={"processors": ()}))
        else:
            self._memory.forget()

    def add(self, step: Step) -> None:
        """Carry out one step more."""
        self._carry_out([step])

    def _plan(self, wanted: Saved, nics: Sequence[str]) -> Plan:
        processes = [s.place for s in self.saved.settings if s.kind is Kind.PROCESS]
        facts = _without_queues(self._machine.facts(nics, processes), self.outcome.failed)
        return plan(facts, wanted.processors, only_own=wanted.only_own)

    # -- doing -----------------------------------------------------------------------------

    def _carry_out(self, steps: Sequence[Step]) -> set[Place]:
        """Do them all; the places where something was tried, and may not be tried again."""
        known = {setting.place: setting for setting in self.saved.settings}
        for step in steps:
            if step.place.kind in FIRST:
                for place, value in self._of_nic(step.place):
                    known.setdefault(place, _setting(place, value, None))
            old = known.get(step.place)
            former = old.former if old else str(step.now)
            known[step.place] = _setting(step.place, former, step.wanted)
        self._remember(known)
        for step in steps:
            self._write(step)
        vain = self._unspread(steps)
        # What failed is as it was.
        self._remember(
            {
                place: setting
                for place, setting in known.items()
                if place not in self.outcome.failed or self._machine.read(place) != setting.former
            }
        )
        return {step.place for step in steps} - vain

    def _unspread(self, steps: Sequence[Step]) -> set[Place]:
        """Spread packets as before where they were for fewer queues, which then could not be."""
        names = {place.name for place in self.outcome.failed if place.kind is Kind.QUEUES}
        vain = [s for s in steps if s.place.kind is Kind.SPREAD and s.place.name in names]
        for step in (s for s in vain if s.stage == STAGES[0]):
            back = replace(step, now=step.wanted, wanted=str(step.now))
            self._write(back)
            done = self.outcome.changed
            self.outcome.changed = [line for line in done if line not in (step.line, back.line)]
        return {step.place for step in vain if step.stage == STAGES[0]}

    def _of_nic(self, first: Place) -> list[tuple[Place, str]]:
        """All that could be lost when queues or threads come or go."""
        facts = self._machine.facts([first.name])
        nic = facts.nics.get(first.name)
        irqs = nic.irqs if nic and first.kind is Kind.QUEUES else frozenset()
        found = []
        for place, value in facts.values.items():
            lost = first.kind is Kind.QUEUES or place.kind is Kind.THREAD
            its_own = place.name == first.name and place != first and lost
            if its_own or (place.kind is Kind.IRQ and place.number in irqs):
                found.append((place, value))
        return found

    def _write(self, step: Step) -> None:
        try:
            self._machine.write(step.place, step.wanted)
        except OSError as err:
            self.outcome.failed[step.place] = reason(err)
            return
        if (now := self._machine.read(step.place)) != step.wanted:
            self.outcome.failed[step.place] = f"asked for {step.wanted}, it is {now} now"
            return
        self.outcome.changed.append(step.line)

    def _remember(self, known: Mapping[Place, Setting]) -> None:
        settings = tuple(known.values())
        if settings != self.saved.settings:
            self.saved = self.saved.model_copy(update={"settings": settings})
            self._memory.write(self.saved)

    # -- undoing ---------------------------------------------------------------------------

    def _undo(self, settings: Sequence[Setting], *, tell: bool = False) -> None:
        """
        Set what was there before, the last change first; *tell* what has vanished.

        Twice: a number of queues may have to wait for an RSS table without those that go, and
        drivers may set queues anew when their number changes.
        """
        if not settings:
            return
        done: set[Place] = set()
        for _ in range(2):
            for setting in reversed(settings):
                if self._put_back(setting, known=setting.place in done or not tell):
                    done.add(setting.place)
                else:
                    done.discard(setting.place)
        left = tuple(s for s in self.saved.settings if s.place not in done)
        self.saved = self.saved.model_copy(update={"settings": left})
        self._memory.write(self.saved)

    def _put_back(self, setting: Setting, *, known: bool) -> bool:
        """Set what was there before; False: it could not be.  *known*: it was there just now."""
        place, now = setting.place, self._machine.read(setting.place)
        if now is None:
            if setting.wanted is not None and not known:
                self.outcome.gone.append(str(place))
            return True
        if now == setting.former:
            return True
        try:
            self._machine.write(place, setting.former)
        except OSError as err:
            self.outcome.failed[place] = reason(err)
            return False
        self.outcome.failed.pop(place, None)
        self.outcome.changed.append(f"{place}: {now} -> {setting.former}")
        return True


def _stale(settings: Iterable[Setting], made: Plan) -> list[Setting]:
    """What was set and is not wanted any more; what only queues could lose stays with these."""
    places = {step.place for step in made.steps}
    kept_nics = {place.name for place in places if place.kind in FIRST}
    return [
        setting
        for setting in settings
        if setting.place not in places
        and not (setting.wanted is None and (setting.name in kept_nics or not setting.name))
    ]


def _without_queues(facts: Facts, failed: Iterable[Place]) -> Facts:
    """The facts without the number of queues of NICs where it turned out that it cannot be set."""
    names = {place.name for place in failed if place.kind is Kind.QUEUES}
    nics = {
        name: replace(nic, queues=None) if name in names else nic
        for name, nic in facts.nics.items()
    }
    return replace(facts, nics=nics)


def _setting(place: Place, former: str, wanted: str | None) -> Setting:
    return Setting(**place._asdict(), former=former, wanted=wanted)


def reason(err: OSError) -> str:
    """What the kernel has against it."""
    return REASONS.get(err.errno or 0) or err.strerror or str(err)


REASONS = {
    5: "the kernel or the driver keeps it as it is",  # EIO: interrupts that are managed
    30: "this may not be written here: see the unit of lbctld",  # EROFS
}
