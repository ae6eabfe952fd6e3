"""
The inspection: gather the facts, make all checks, and report; or only those that cost nothing.

`inspect` asks everybody, sends some packets and takes a second or two.  `standing` only reads, and
keeps what it had to ask the kernel for some seconds: `lbctl top` comes every second.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from lbctl.control.preflight import (
    backend_checks,
    gathering,
    growth,
    machine_checks,
    nic_checks,
    pool_checks,
    program_checks,
    program_gathering,
    trial,
    veth_checks,
)
from lbctl.control.preflight.finding import Collection, Severity
from lbctl.control.preflight.probing import ask
from lbctl.control.preflight.survey import Asked, KernelSurvey
from lbctl.shared.abi import NextHopState, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lbctl.control.controller import Controller
    from lbctl.control.preflight.facts import Growth, Nic
    from lbctl.control.preflight.finding import Finding, Report
    from lbctl.control.preflight.survey import Surroundings, Survey
    from lbctl.model import IPAddress

KEPT = 5.0  # seconds for which the kernel's answers are good enough for `standing`
GLANCE = 1.0  # seconds that the counters are watched, at least
NEIGHBORS = 1.5  # seconds that a neighbor has to answer
# What `lbctl status` says in words of its own.
SAID = {
    *("no-such-nic", "not-attached", "foreign-program", "nic-down", "generic-mode"),
    *("no-native-mode", "empty-pool", "nobody-serves", "backup-serves"),
    *("pseudo-missing", "pseudo-not-attached", "pseudo-down", "app-stopped", "app-hung"),
}
SAID_DROPS = {
    Verdict.DROP_NO_BACKEND,
    Verdict.DROP_NO_ROUTE,
    Verdict.DROP_NO_NEIGHBOR,
    Verdict.DROP_NOT_ATTACHED,
}
NIC_CHECKS = (*nic_checks.CHECKS, *veth_checks.CHECKS)


class Preflight:
    """
    The checks of one switch, and what they remember from look to look.

    Without a *survey* nobody asks the kernel, and what needs it is not checked.
    """

    def __init__(self, controller: Controller, clock: Callable[[], float] = time.monotonic) -> None:
        self._controller, self._clock = controller, clock
        self.survey: Survey | None = None  # whoever has a kernel puts it there
        self.connect, self.ask = trial.connect, ask
        self._lock = threading.Lock()  # guards what follows
        self._growth = growth.GrowthWatch(clock)
        self._kept: tuple[float, object, list[Finding]] | None = None

    def inspect(self, names: Sequence[str] = ()) -> Report:
        """
        Look for everything that is wrong now.

        *names*: look at these NICs only, attached or not, besides the machine.
        """
        found = Collection()
        survey = self.survey
        if survey:
            found.look(
                machine_checks.CHECKS, [survey.machine(gathering.gateway_of(self._controller))]
            )
        if names:
            if survey:
                self._look_at_nics(found, survey, names)
            return found.report()
        self._grown()  # to compare with, unless somebody has looked before
        if survey:
            self._look_at_all(found, survey)
        found.look(pool_checks.POOL_CHECKS, gathering.pools(self._controller))
        found.look(pool_checks.ROOM_CHECKS, gathering.rooms(self._controller))
        time.sleep(max(0.0, GLANCE - self._growth.age))
        _tell_growth(found, self._grown())
        return found.report()

    def standing(self) -> list[Finding]:
        """What is wrong as far as reading tells; without what `lbctl status` says anyway."""
        found = Collection()
        found.findings += self._slow()
        grown = [one for one in self._grown() if one.verdict not in SAID_DROPS]
        _tell_growth(found, grown)
        told = (one for one in found.sorted() if one.severity is not Severity.NOTE)
        return [one for one in told if one.check not in SAID]

    # -- the parts -------------------------------------------------------------------------

    def _look_at_nics(self, found: Collection, survey: Survey, names: Sequence[str]) -> None:
        """The NICs that are named, among those that the switch has."""
        every = survey.nics(gathering.asked(self._controller, names))
        chosen = [nic for nic in every if nic.name in names]
        found.look([nic_checks.no_such_nic], chosen)
        found.look(NIC_CHECKS, [nic for nic in chosen if nic.link])

    def _look_at_all(self, found: Collection, survey: Survey) -> None:
        """NICs, VIPs and back-ends."""
        controller = self._controller
        self._find_neighbors()
        around = survey.surroundings(gathering.hosts(controller) | set(trial.STRANGERS))
        nics = self._nics(survey, around)
        found.look([nic_checks.no_such_nic], nics)
        found.look(NIC_CHECKS, [nic for nic in nics if nic.link])
        hops = gathering.hops(controller)
        wanted = gathering.backends(controller, around, {nic.name: nic for nic in nics}, hops)
        means = trial.Means(
            hops,
            _strangers(around),
            controller.configuration.vips_by_pool(),
            self.connect,
            self.ask,
        )
        tried = trial.tried(wanted, means)
        away = {b.subject for b in tried if b.returns is not None}
        found.look(backend_checks.CHECKS[:-2], tried)
        # who was tried is known better than by counters
        found.look([backend_checks.no_answers], [b for b in tried if b.subject not in away])
        found.look(backend_checks.CHECKS[-1:], tried)
        found.look(pool_checks.SERVICE_CHECKS, gathering.services(controller, around))
        self._look_at_programs(found, survey, nics)

    def _look_at_programs(self, found: Collection, survey: Survey, nics: Sequence[Nic]) -> None:
        """Pseudo interfaces and network applications."""
        controller = self._controller
        interfaces = program_gathering.pseudo(controller, survey, nics)
        found.look(program_checks.PSEUDO_CHECKS, interfaces)
        apps = program_gathering.apps(controller, {nic.name: nic for nic in nics})
        found.look(program_checks.APP_CHECKS, apps)

    def _find_neighbors(self) -> None:
        """Have the kernel ask once more for those that are missing."""
        programs = program_gathering.addresses(self._controller)
        missing = [
            host
            for host, hop in gathering.hops(self._controller).items()
            if hop.state is not NextHopState.RESOLVED and host not in programs
        ]
        if missing:
            self._controller.routing.resolve(missing, NEIGHBORS)

    def _nics(self, survey: Survey, around: Surroundings) -> list[Nic]:
        """The configured NICs, with what the switch knows of them."""
        controller = self._controller
        seen = gathering.packets(controller)
        checked = gathering.checked_by(controller, around)
        serving = gathering.serving(controller)
        return [
            replace(
                nic,
                packets=seen.get(nic.name),
                most=max(seen.values(), default=0),
                checked=checked.get(nic.name, ()),
                has_servers=nic.name in serving,
            )
            for nic in survey.nics(gathering.asked(controller))
        ]

    def _slow(self) -> list[Finding]:
        """What is not worth finding out anew every second."""
        controller = self._controller
        state = (controller.current.number, tuple(gathering.asked(controller)))
        with self._lock:
            kept = self._kept
            if kept is None or kept[1] != state or self._clock() - kept[0] >= KEPT:
                found = Collection()
                if self.survey:
                    self._look_quickly(found, self.survey)
                found.look(pool_checks.ROOM_CHECKS, gathering.rooms(controller))
                kept = self._kept = (self._clock(), state, found.findings)
            return kept[2]

    def _look_quickly(self, found: Collection, survey: Survey) -> None:
        """NICs and back-ends, as far as reading tells."""
        controller = self._controller
        around = survey.surroundings(gathering.hosts_with_vips(controller))
        nics = self._nics(survey, around)
        found.look(NIC_CHECKS, [nic for nic in nics if nic.link])
        by_name = {nic.name: nic for nic in nics}
        wanted = gathering.backends(controller, around, by_name, gathering.hops(controller))
        found.look([backend_checks.route_mtu, backend_checks.no_answers], wanted)
        self._look_at_programs(found, survey, nics)

    def _grown(self) -> list[Growth]:
        counts = growth.count(self._controller)
        with self._lock:
            return self._growth.look(counts)


def inspect(controller: Controller, nics: Sequence[str] = ()) -> Report:
    """Look for everything that is wrong with a switch; with *nics* only at these."""
    return controller.preflight.inspect(nics)


def standing(controller: Controller) -> Iterator[Finding]:
    """What is wrong as far as reading tells, and quickly."""
    yield from controller.preflight.standing()


def inspect_machine(names: Sequence[str] = ()) -> Report:
    """What can be found out without a daemon: the machine, and the NICs that are named."""
    found, survey = Collection(), KernelSurvey()
    found.look(machine_checks.CHECKS, [survey.machine(frozenset())])
    nics = survey.nics([Asked(name) for name in dict.fromkeys(names)])
    found.look([nic_checks.no_such_nic], nics)
    found.look(NIC_CHECKS, [nic for nic in nics if nic.link])
    return found.report()


def _tell_growth(found: Collection, grown: Sequence[Growth]) -> None:
    found.made("growing-drops")
    for one in growth.unexplained(grown, found.has):
        found.add("growing-drops", one.subject, growth.told(one))


def _strangers(around: Surroundings) -> dict[int, IPAddress]:
    """By IP version: an address that is nobody's here, and on none of our links."""
    free: dict[int, IPAddress] = {}
    for address in reversed(trial.STRANGERS):
        way = around.ways.get(address)
        if way is None or (way.gateway and not way.own):
            free[address.version] = address
    return free
