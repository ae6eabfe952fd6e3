"""
The sampler: look at everything again and again, and make one report of what is fresh.

What a probe could not tell for a few of its intervals is left out: the switch must never take an
old figure for a new one.  A probe that fails takes nothing else with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, NamedTuple

from lbctl.agent.readings import TIMEOUT, merge
from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lbctl.agent.readings import Probe
    from lbctl.agent.wire import LoadReport

KEEP = 3  # intervals; then a figure is old

log = logging.getLogger(__name__)


class Sample(NamedTuple):
    """What a probe told, and until when that is fresh."""

    until: float
    report: LoadReport


class Sampler:
    """All probes and what each told last; where two tell a figure, the first of them is right."""

    def __init__(
        self, probes: Sequence[Probe], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.probes = probes
        self.errors = {probe.name: 0 for probe in probes}
        self._clock = clock
        self._latest: dict[Probe, Sample] = {}
        self._silent: set[str] = set()

    def report(self) -> LoadReport:
        """Make a report of all that is fresh."""
        now = self._clock()
        latest = (self._latest.get(probe) for probe in self.probes)
        return merge(sample.report for sample in latest if sample and now <= sample.until)

    async def look(self) -> None:
        """Look at everything once."""
        await asyncio.gather(*(self._look(probe) for probe in self.probes))

    async def run(self) -> None:
        """Look at everything, for ever."""
        await asyncio.gather(*(self._follow(probe) for probe in self.probes))

    async def _follow(self, probe: Probe) -> None:
        while True:
            await asyncio.sleep(probe.interval)
            await self._look(probe)

    async def _look(self, probe: Probe) -> None:
        try:
            report = await probe.sample()
        except LbctlError as err:
            self._failed(probe, str(err))
        except Exception as err:  # a bug in one probe must not silence the others
            log.debug("%s", probe.name, exc_info=True)
            self._failed(probe, f"{probe.name}: {type(err).__name__}: {err}; this is a bug")
        else:
            until = self._clock() + KEEP * probe.interval + TIMEOUT
            self._latest[probe] = Sample(until, report)
            if probe.name in self._silent:
                self._silent.discard(probe.name)
                log.info("%s: tells its figures again", probe.name)

    def _failed(self, probe: Probe, why: str) -> None:
        """Say so once; what the probe told before fades by itself."""
        self.errors[probe.name] += 1
        if probe.name not in self._silent:
            self._silent.add(probe.name)
            log.warning("%s", why)
