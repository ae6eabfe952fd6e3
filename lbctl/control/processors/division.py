"""
The division: which CPU serves which queue, and which are the control processor's and whose else.

Pure: from facts and the processors that are wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from lbctl.control.processors import cpus
from lbctl.control.processors.facts import VETH, Queues
from lbctl.model import Polling, Processor, Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lbctl.control.processors.facts import Facts, Nic

ALONE = "this machine has one CPU: there is none to dedicate"


class Serving(NamedTuple):
    """A receive queue and the CPU that serves it."""

    nic: str
    queue: int
    cpu: int
    processor: str
    polling: Polling


@dataclass(frozen=True, slots=True)
class Division:
    """
    Who has which CPUs.

    *control*: lbctld's.  *others*: where all may run that has no CPU of its own; those of
    *control* are among them.  *counts*: how many queues each NIC is to have, if that can be set.
    *apps*: the CPUs of each network application that has some.
    """

    switching: frozenset[int]
    control: frozenset[int]
    applications: frozenset[int]
    others: frozenset[int]
    servings: tuple[Serving, ...]
    counts: dict[str, Queues]
    apps: dict[str, frozenset[int]]
    remarks: tuple[str, ...]

    def of(self, nic: str) -> tuple[Serving, ...]:
        """Those of one NIC, in the order of its queues."""
        return tuple(serving for serving in self.servings if serving.nic == nic)


def divide(facts: Facts, processors: Sequence[Processor]) -> Division:
    """Give every queue a CPU: in turn, one NIC after the other."""
    switching = _cpus_of(facts, processors, Role.SWITCHING)
    applications = _cpus_of(facts, processors, Role.APPLICATION)
    others = facts.cpus - switching - applications
    control = _cpus_of(facts, processors, Role.CONTROL) or others
    servings: list[Serving] = []
    counts: dict[str, Queues] = {}
    for processor in processors:
        served = [cpu for cpu in processor.cpus if cpu in facts.cpus]
        turn = 0
        for nic in (facts.nics[name] for name in processor.nics if name in facts.nics and served):
            queues = nic.receive
            if nic.queues:
                counts[nic.name] = _count(nic, nic.queues, len(served))
                queues = counts[nic.name].used
            for queue in range(queues):
                cpu = served[(turn + queue) % len(served)]
                servings.append(Serving(nic.name, queue, cpu, processor.name, processor.polling))
            turn += queues
    return Division(
        switching=switching,
        control=control,
        applications=applications,
        others=others or control,
        servings=tuple(servings),
        counts=counts,
        apps={app: cpus_of(each, facts) for each in processors for app in each.apps},
        remarks=tuple(_remarks(facts, processors)),
    )


def cpus_of(processor: Processor, facts: Facts) -> frozenset[int]:
    """Those of its CPUs that there are."""
    return frozenset(processor.cpus) & facts.cpus


def _count(nic: Nic, now: Queues, wanted: int) -> Queues:
    """
    One queue for each CPU, if there can be as many.

    A veth keeps those that it has: its other end sends to each of them.
    """
    best = max(1, min(now.most or now.used, wanted))
    if nic.driver == VETH:
        return Queues(max(now.receive, best), max(now.transmit, best), most=now.most)
    if now.combined:
        return Queues(now.receive, now.transmit, best, now.most)
    return Queues(best, best, most=now.most)


def _cpus_of(facts: Facts, processors: Sequence[Processor], role: Role) -> frozenset[int]:
    named = {cpu for each in processors if each.role is role for cpu in each.cpus}
    return frozenset(named & facts.cpus)


def _remarks(facts: Facts, processors: Sequence[Processor]) -> Iterator[str]:
    """What of the wanted is not to be had, and what will not work well."""
    roles: dict[int, Role] = {}
    for processor in processors:
        if missing := set(processor.cpus) - facts.cpus:
            yield f"processor {processor.name}: there is no CPU {cpus.to_list(missing)}"
        for name in processor.nics:
            if name not in facts.nics:
                yield f"processor {processor.name}: there is no NIC {name}"
        for cpu in processor.cpus:
            if roles.setdefault(cpu, processor.role) is not processor.role:
                yield f"CPU {cpu} is for {roles[cpu]} and for {processor.role}: not dedicated"
    yield from _shared_cores(facts, {c for c, role in roles.items() if role is Role.SWITCHING})
    if {cpu for cpu, role in roles.items() if role is not Role.CONTROL} >= facts.cpus:
        yield "no CPU is left for everything else: interrupts and programs stay where they are"


def _shared_cores(facts: Facts, switching: set[int]) -> Iterator[str]:
    for cpu in sorted(switching):
        for twin in sorted(facts.siblings.get(cpu, frozenset()) - switching):
            yield f"CPUs {cpu} and {twin} are one core: what runs on {twin} slows {cpu} down"


def propose(
    facts: Facts, apps: Sequence[str] = (), nics: Sequence[str] | None = None
) -> tuple[Processor, ...]:
    """
    What would suit the machine: one core for everything else, the others for switching.

    *nics*: those to be served; None: all of *facts*.  With *apps* a quarter of these CPUs is for
    them.  NICs are served by CPUs of their own NUMA node, and those without interrupts by threads.
    """
    if len(facts.cpus) < 2:
        return ()
    ordered = sorted(facts.cpus, key=lambda cpu: (min(facts.siblings.get(cpu, {cpu})), cpu))
    first = facts.siblings.get(ordered[0], frozenset()) & facts.cpus or {ordered[0]}
    kept = sorted(first) if len(first) < len(ordered) else ordered[:1]
    left = [cpu for cpu in ordered if cpu not in kept]
    for_apps = left[-max(1, len(left) // 4) :] if apps and len(left) > 1 else []
    left = [cpu for cpu in left if cpu not in for_apps]
    made = [Processor(name="control", role=Role.CONTROL, cpus=tuple(kept))]
    if for_apps:
        role = Role.APPLICATION
        made.append(Processor(name="apps", role=role, cpus=tuple(for_apps), apps=tuple(apps)))
    served = [nic for nic in facts.nics.values() if nics is None or nic.name in nics]
    return (*made, *_switching(facts, left, served))


def _switching(facts: Facts, left: Sequence[int], nics: Sequence[Nic]) -> Iterator[Processor]:
    """A processor for the NICs of each NUMA node, and of each way to be told of packets."""
    groups: dict[tuple[int, bool], list[str]] = {}
    near = {facts.nodes.get(cpu, 0) for cpu in left}
    for nic in nics:
        node = nic.node if nic.node in near else min(near)
        groups.setdefault((node, bool(nic.queue_irqs)), []).append(nic.name)
    for number, ((node, interrupted), names) in enumerate(sorted(groups.items())):
        yield Processor(
            name=f"switching{number}" if len(groups) > 1 else "switching",
            cpus=tuple(cpu for cpu in left if facts.nodes.get(cpu, 0) == node),
            nics=tuple(names),
            polling=Polling.INTERRUPT if interrupted else Polling.THREADED,
        )
