"""The answers: what the API says of processors, as plain data with documented names."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from lbctl.model import Model, Processor

if TYPE_CHECKING:
    from lbctl.control.processors.facts import Facts
    from lbctl.control.processors.planning import Plan, Step
    from lbctl.control.processors.work import Outcome


class Source(StrEnum):
    """Where the processors of a plan come from."""

    CONFIGURATION = "configuration"
    APPLIED = "applied"  # by `--proposed`, and not in the configuration
    PROPOSAL = "proposal"


class State(StrEnum):
    """How it is with a setting."""

    SET = "set"
    CHANGE = "change"
    CANNOT = "cannot"


class Setting(Model):
    """One setting: `which` in words; `why`, or why it cannot be."""

    kind: str
    which: str
    now: str | None
    wanted: str
    state: State
    why: str


class CpuUse(Model):
    """
    A CPU and what it is for.

    `role` is "any" where everything may run that has no CPU of its own.  `queues`: "eth1 0".
    """

    cpu: int
    role: str
    processors: tuple[str, ...]
    queues: tuple[str, ...]
    apps: tuple[str, ...]


class Planned(Model):
    """
    Who has which CPU, and what leads there.

    `irqs`: all interrupts that `apply` may touch; `remarks`: what does not go, or does not go well.
    """

    source: Source
    applied: bool
    only_own: bool
    processors: tuple[Processor, ...]
    cpus: tuple[CpuUse, ...]
    irqs: tuple[int, ...]
    settings: tuple[Setting, ...]
    remarks: tuple[str, ...]


class Done(Model):
    """What was changed, what could not be, and what has vanished since it was set."""

    changed: tuple[str, ...]
    cannot: tuple[str, ...]
    gone: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def planned(facts: Facts, made: Plan, source: Source, *, applied: bool, only_own: bool) -> Planned:
    """A plan as an answer."""
    return Planned(
        source=source,
        applied=applied,
        only_own=only_own,
        processors=made.processors,
        cpus=tuple(_use(cpu, made) for cpu in sorted(facts.cpus)),
        irqs=made.irqs,
        settings=tuple(_setting(step) for step in made.steps),
        remarks=made.remarks,
    )


def done(outcome: Outcome, made: Plan | None = None) -> Done:
    """What came of it as an answer; with the plan as it is afterwards."""
    refused = [f"{s.place}: {s.refused}" for s in made.steps if s.refused] if made else []
    return Done(
        changed=tuple(outcome.changed),
        cannot=(*outcome.failures, *refused),
        gone=tuple(outcome.gone),
        remarks=made.remarks if made else (),
    )


def _use(cpu: int, made: Plan) -> CpuUse:
    named = [processor for processor in made.processors if cpu in processor.cpus]
    roles = list(dict.fromkeys(str(processor.role) for processor in named))
    queues = [f"{s.nic} {s.queue}" for s in made.division.servings if s.cpu == cpu]
    return CpuUse(
        cpu=cpu,
        role=",".join(roles) or "any",
        processors=tuple(processor.name for processor in named),
        queues=tuple(queues),
        apps=tuple(app for processor in named for app in processor.apps),
    )


def _setting(step: Step) -> Setting:
    state = State.CHANGE if step.pending else State.SET
    return Setting(
        kind=step.place.kind,
        which=str(step.place),
        now=step.now,
        wanted=step.wanted,
        state=State.CANNOT if step.refused else state,
        why=step.refused or step.why,
    )
