"""
The planning: from the facts of a machine and what is wanted of it, the steps that lead there.

Pure: reads nothing and changes nothing.  What cannot be is a step too, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lbctl.control.processors import cpus, group
from lbctl.control.processors.division import ALONE, Division, divide
from lbctl.control.processors.facts import VETH, Kind, Place
from lbctl.model import Polling, Processor, Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lbctl.control.processors.division import Serving
    from lbctl.control.processors.facts import Facts, Nic

DEFER, FLUSH = "2", "200000"  # polls, nanoseconds: as the kernel's AF_XDP pages have them
PERFORMANCE = "performance"


@dataclass(frozen=True, slots=True)
class Step:
    """
    One setting: *place*, what is there *now* (None: nothing), what is *wanted*, and *why*.

    *refused*: why it cannot be.  *stage*: those of a lower one come first, and then the machine is
    looked at anew.
    """

    place: Place
    now: str | None
    wanted: str
    why: str
    refused: str = ""
    stage: int = 2

    @property
    def pending(self) -> bool:
        """Whether something is to be done."""
        return not self.refused and self.now != self.wanted

    @property
    def line(self) -> str:
        """What was done, once it is."""
        return f"{self.place}: {self.now} -> {self.wanted}"


@dataclass(frozen=True, slots=True)
class Plan:
    """
    The steps to a division of the CPUs.

    *irqs*: all interrupts that carrying it out may touch.  *remarks*: what does not go, or well.
    """

    processors: tuple[Processor, ...]
    division: Division
    steps: tuple[Step, ...]
    remarks: tuple[str, ...]

    @property
    def irqs(self) -> tuple[int, ...]:
        """All interrupts that carrying it out may touch."""
        found = [step for step in self.steps if step.place.kind is Kind.IRQ and not step.refused]
        return tuple(sorted(step.place.number for step in found))

    @property
    def pending(self) -> list[Step]:
        """What is to be done."""
        return [step for step in self.steps if step.pending]


def plan(facts: Facts, processors: Sequence[Processor], *, only_own: bool = False) -> Plan:
    """
    Say what leads to *processors* on the machine of *facts*.

    *only_own*: leave alone what is not the switch's: interrupts of others, work queues, the
    frequencies of CPUs, and the CPUs that other programs may use.
    """
    division = divide(facts, processors)
    if len(facts.cpus) < 2:
        return Plan(tuple(processors), division, (), (ALONE,))
    remarks, steps = [*division.remarks], []
    for name in dict.fromkeys(serving.nic for serving in division.servings):
        steps += list(_nic_steps(facts, facts.nics[name], division))
    if any(processor.role is Role.APPLICATION for processor in processors):
        if facts.cpusets or only_own:
            remarks.append(_only_affinity(facts))
        else:
            steps += list(_group_steps(facts, division))
    steps += list(_process_steps(facts, division))
    taken = division.switching | division.applications
    if taken and not only_own and not taken >= facts.cpus:
        steps += list(_machine_steps(facts, division))
        if not any(place.kind is Kind.GOVERNOR for place in facts.values):
            remarks.append("the frequency of CPUs cannot be set here")
    if facts.balancer and taken:
        remarks.append(
            "irqbalance runs and moves interrupts as it likes; "
            "stop it with `systemctl disable --now irqbalance`"
        )
    return Plan(tuple(processors), division, tuple(_reachable(steps)), tuple(remarks))


def _step(facts: Facts, place: Place, wanted: str, why: str, stage: int = 2) -> Step:
    return Step(place, facts.values.get(place), wanted, why, stage=stage)


def _reachable(steps: Sequence[Step]) -> Iterator[Step]:
    """Refuse what is not there and will not come by an earlier step."""
    later = {s.place.name for s in steps if s.stage < 2 and s.pending and s.now is not None}
    for step in steps:
        if step.now is None and not step.refused and step.place.name not in later:
            yield replace(step, refused="the kernel or the driver does not have it here")
        else:
            yield step


# -- NICs ----------------------------------------------------------------------------------


def _nic_steps(facts: Facts, nic: Nic, division: Division) -> Iterator[Step]:
    servings = division.of(nic.name)
    yield from _queue_count(facts, nic, division)
    yield from _polling(facts, nic, servings)
    yield from _interrupts(facts, nic, servings, division)
    for serving in servings:
        place = Place(Kind.RPS, nic.name, serving.queue, nic.index)
        why = "what is left to the kernel is done by the control processor's CPUs"
        if place in facts.values or serving.queue >= nic.receive:
            yield _step(facts, place, cpus.to_mask(division.control), why)
    for queue in range(max(nic.transmit, _transmit(nic, division))):
        place = Place(Kind.XPS, nic.name, queue, nic.index)
        if place in facts.values or queue >= nic.transmit:
            cpu = servings[queue % len(servings)].cpu
            yield _step(facts, place, cpus.to_mask({cpu}), "a CPU sends by a queue of its own")


def _transmit(nic: Nic, division: Division) -> int:
    wanted = division.counts.get(nic.name)
    return wanted.transmit + wanted.combined if wanted else nic.transmit


def _queue_count(facts: Facts, nic: Nic, division: Division) -> Iterator[Step]:
    """As many queues as CPUs, and all of them used alike."""
    wanted = division.counts.get(nic.name)
    fewer = bool(wanted and nic.queues and wanted.used < nic.queues.used)
    spread = list(_spread(facts, nic, len(division.of(nic.name)), 0 if fewer else 2))
    if fewer:
        yield from spread
    if wanted:
        place = Place(Kind.QUEUES, nic.name, identity=nic.index)
        yield _step(facts, place, str(wanted), "one queue for each CPU", 0)
    if not fewer:
        yield from spread


def _spread(facts: Facts, nic: Nic, queues: int, stage: int) -> Iterator[Step]:
    place = Place(Kind.SPREAD, nic.name, identity=nic.index)
    if place not in facts.values:
        return
    table = [int(queue) for queue in facts.values[place].split()]
    counts = [table.count(queue) for queue in range(queues)]
    even = sum(counts) == len(table) and max(counts) - min(counts) <= 1
    wanted = table if even else [row % queues for row in range(len(table))]
    yield _step(facts, place, " ".join(map(str, wanted)), "every queue gets the same", stage)


def _polling(facts: Facts, nic: Nic, servings: Sequence[Serving]) -> Iterator[Step]:
    """How the CPU gets to know of packets."""
    polling = servings[0].polling
    threaded = _step(
        facts,
        Place(Kind.THREADED, nic.name, identity=nic.index),
        "1" if polling is Polling.THREADED else "0",
        "a thread polls it" if polling is Polling.THREADED else "no thread polls it",
        1,
    )
    if polling is not Polling.THREADED:
        if threaded.now is not None:
            yield threaded
        if polling is Polling.BUSY:
            yield from _busy(facts, nic)
        return
    if nic.polls == ():
        yield replace(
            threaded, refused=f"nothing polls it yet; `lbctl attach {nic.name}`, then again"
        )
        return
    yield threaded
    for serving in servings:
        place = Place(Kind.THREAD, nic.name, serving.queue, nic.index)
        step = _step(facts, place, str(serving.cpu), "its thread keeps to this CPU")
        if nic.polls is None:
            step = replace(step, refused="the kernel does not tell which thread (Linux 6.8 does)")
        yield step


def _busy(facts: Facts, nic: Nic) -> Iterator[Step]:
    """Whoever uses the queue polls it; the kernel does only if nobody has for some time."""
    refused = ""
    if nic.driver == VETH:
        refused = "veth cannot be polled by its user: packets would only wait 200 us"
    elif not nic.queue_irqs:
        refused = "it has no interrupts that could be deferred"
    for kind, wanted in ((Kind.DEFER, DEFER), (Kind.FLUSH, FLUSH)):
        step = _step(facts, Place(kind, nic.name, identity=nic.index), wanted, "its user polls it")
        yield replace(step, refused=refused)


def _interrupts(
    facts: Facts, nic: Nic, servings: Sequence[Serving], division: Division
) -> Iterator[Step]:
    """The interrupts of its queues go to their CPUs, what else it has goes to the others."""
    cpu_of = {serving.queue: serving.cpu for serving in servings}
    mine: dict[int, int] = {}
    for queue, irqs in nic.queue_irqs.items():
        for irq in irqs:
            mine[irq] = cpu_of.get(queue, servings[queue % len(servings)].cpu)
            why = f"{facts.irqs[irq]}: served by this CPU"
            yield _step(facts, Place(Kind.IRQ, number=irq), str(mine[irq]), why)
    for irq in sorted(nic.irqs - set(mine)):
        yield from _away(facts, irq, division)
    if not nic.queue_irqs and servings[0].polling is Polling.INTERRUPT:
        step = _step(facts, Place(Kind.IRQ, nic.name), str(servings[0].cpu), "served by this CPU")
        what = "has no interrupts" if nic.driver == VETH else "does not tell its interrupts"
        yield replace(
            step, refused=f"{nic.driver or 'its driver'} {what}; `polling: threaded` pins a thread"
        )


# -- everything else -----------------------------------------------------------------------


def _machine_steps(facts: Facts, division: Division) -> Iterator[Step]:
    """All others leave the dedicated CPUs."""
    served = {serving.nic for serving in division.servings}
    own = {irq for name in served for irq in facts.nics[name].irqs}
    for irq in sorted(set(facts.irqs) - own):
        yield from _away(facts, irq, division)
    for kind, why in (
        (Kind.NEW_IRQS, "new interrupts keep away from dedicated CPUs"),
        (Kind.WORK, "the kernel's own work keeps away from dedicated CPUs"),
    ):
        now = cpus.from_mask(facts.values.get(Place(kind), "0"))
        wanted = now & division.others or division.others
        yield _step(facts, Place(kind), cpus.to_mask(wanted), why)
    for cpu in sorted(division.switching | division.applications):
        place = Place(Kind.GOVERNOR, number=cpu)
        if place in facts.values:
            yield _step(facts, place, PERFORMANCE, "it does not sleep while packets wait")


def _away(facts: Facts, irq: int, division: Division) -> Iterator[Step]:
    if not division.others:
        return
    place = Place(Kind.IRQ, number=irq)
    now = cpus.from_list(facts.values.get(place, ""))
    wanted = now & division.others or division.others
    why = f"{facts.irqs[irq]}: not on a dedicated CPU"
    yield _step(facts, place, cpus.to_list(wanted), why)


def _group_steps(facts: Facts, division: Division) -> Iterator[Step]:
    why = "cgroups may have CPUs of their own"
    yield _step(facts, Place(Kind.CONTROLLER), group.ON, why)
    wanted = cpus.to_list(division.applications)
    yield _step(facts, Place(Kind.GROUP), wanted, "applications have these, and nobody else")


def _process_steps(facts: Facts, division: Division) -> Iterator[Step]:
    """Programs keep to their CPUs."""
    if division.control and division.switching | division.applications:
        wanted = cpus.to_list(division.control)
        yield _step(facts, Place(Kind.DAEMON), wanted, "lbctld keeps to its own CPUs")
    for place in facts.processes:
        if wanted_cpus := division.apps.get(place.name):
            yield _step(facts, place, cpus.to_list(wanted_cpus), "its own CPUs")


def _only_affinity(facts: Facts) -> str:
    reason = facts.cpusets or "other programs are to be left alone"
    return f"applications only get an affinity, others may run on their CPUs: {reason}"
