"""
The keeper: plan, apply and restore the processors of one instance, and apply them anew at a start.

One at a time.  What was applied holds until `restore`, whatever becomes of lbctld.
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING

from lbctl.control.processors import cpus
from lbctl.control.processors.answers import Done, Planned, Source, done, planned
from lbctl.control.processors.division import cpus_of, propose
from lbctl.control.processors.machine import open_machine
from lbctl.control.processors.planning import Step, plan
from lbctl.control.processors.saved import Memory, Saved
from lbctl.control.processors.work import Work, reason
from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from lbctl.control.processors.facts import Facts
    from lbctl.control.processors.machine import Machine
    from lbctl.model import Configuration, Processor

KIND = "cpu"  # of events

log = logging.getLogger(__name__)


class Processors:
    """
    The dedicated CPUs of one instance.

    *directory*: its state.  *tell*: notes an event of a kind, a subject and a text.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        tell: Callable[[str, str, str], None],
        opened: Callable[[], AbstractContextManager[Machine]] | None = None,
    ) -> None:
        self._name = name
        self._tell = tell
        self._memory = Memory(directory)
        self._opened = opened or partial(open_machine, name)
        self._lock = threading.Lock()

    def plan(
        self,
        configuration: Configuration,
        attached: Sequence[str],
        *,
        proposed: bool = False,
        only_own: bool = False,
    ) -> Planned:
        """Say who would have which CPU, and what would change.  Changes nothing."""
        saved = self._memory.read() or Saved(boot="")
        only_own = only_own or saved.only_own
        with self._opened() as machine:
            facts = machine.facts(_nics(configuration, attached, saved))
        wanted, source = configuration.processors, Source.CONFIGURATION
        if not wanted:
            wanted, source = saved.processors, Source.APPLIED
        if not wanted or proposed:
            wanted, source = _proposal(facts, configuration, attached), Source.PROPOSAL
        made = plan(facts, wanted, only_own=only_own)
        applied = bool(saved.processors) and saved.boot != ""
        return planned(facts, made, source, applied=applied, only_own=only_own)

    def apply(
        self,
        configuration: Configuration,
        attached: Sequence[str],
        who: str,
        *,
        proposed: bool = False,
        only_own: bool = False,
    ) -> Done:
        """Make it so; undo what was applied before and is not wanted any more."""
        with self._lock, self._opened() as machine:
            wanted = configuration.processors
            if proposed:
                facts = machine.facts(_nics(configuration, attached))
                wanted = _proposal(facts, configuration, attached)
            elif not wanted:
                raise LbctlError(
                    "no processors are configured; `lbctl cpu plan -o yaml` proposes some, "
                    "and `lbctl cpu apply --proposed` takes these"
                )
            work = Work(machine, self._memory)
            nics = _nics(configuration, attached, work.saved)
            asked = Saved(boot=machine.boot, only_own=only_own, processors=wanted)
            made = work.apply(asked, nics)
        answer = done(work.outcome, made)
        self._told("applied", answer, who)
        return answer

    def restore(self, who: str) -> Done:
        """Set everything to what it was before the first `apply`."""
        with self._lock, self._opened() as machine:
            work = Work(machine, self._memory)
            work.restore()
        answer = done(work.outcome)
        self._told("restored", answer, who)
        return answer

    def resume(self) -> None:
        """
        Apply what was applied before lbctld, or the machine, started anew; no failure matters.

        lbctld itself has lost its CPUs by that, and after a start of the machine all is lost.
        """
        try:
            with self._lock, self._opened() as machine:
                work = Work(machine, self._memory)
                if not work.saved.processors:
                    return
                made = work.apply(work.saved, _named(work.saved.processors))
            answer = done(work.outcome, made)
            if answer.changed:
                self._told("applied anew", answer, "lbctld")
        except Exception:  # packets have to flow all the same
            log.exception("the processors could not be dedicated anew")

    def admit(self, app: str, process: int) -> str:
        """
        Put a process of a network application on its CPUs, if it has some.

        Says in a line what could not be done; empty: all is well.  Raises nothing.
        """
        try:
            with self._lock:
                return self._admit(app, process)
        except (LbctlError, OSError) as err:
            return f"app {app}, process {process}: {err}"

    def _admit(self, app: str, process: int) -> str:
        saved = self._memory.read()
        owner = (
            next((each for each in saved.processors if app in each.apps), None) if saved else None
        )
        if owner is None:
            return ""
        with self._opened() as machine:
            place = machine.process(app, process)
            now = machine.read(place) if place else None
            wanted = cpus_of(owner, machine.facts(()))
            if place is None or now is None or not wanted:
                return ""
            work = Work(machine, self._memory)
            try:
                machine.admit(process)
            except OSError as err:
                work.outcome.failed[place] = reason(err)
            work.add(Step(place, now, cpus.to_list(wanted), "its own CPUs"))
        return "; ".join(work.outcome.failures)

    def _told(self, what: str, answer: Done, who: str) -> None:
        if not answer.changed and not answer.cannot:
            return
        counts = f"{len(answer.changed)} settings changed"
        if answer.cannot:
            counts += f", {len(answer.cannot)} could not be"
        self._tell(KIND, self._name, f"processors {what}, by {who}: {counts}")


def _proposal(
    facts: Facts, configuration: Configuration, attached: Sequence[str]
) -> tuple[Processor, ...]:
    """What would suit, for the NICs that are attached."""
    return propose(facts, [app.name for app in configuration.apps], attached)


def _named(processors: Sequence[Processor]) -> list[str]:
    return [nic for processor in processors for nic in processor.nics]


def _nics(
    configuration: Configuration, attached: Sequence[str], saved: Saved | None = None
) -> list[str]:
    """All NICs that a plan may be about."""
    named = _named((*configuration.processors, *(saved.processors if saved else ())))
    return list(dict.fromkeys((*attached, *named)))
