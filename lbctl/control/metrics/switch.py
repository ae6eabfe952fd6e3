"""The switch as metrics: lbctld itself, its NICs and its tables.  Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.process_collector import ProcessCollector

from lbctl import __version__
from lbctl.control import views
from lbctl.control.metrics import catalogue as m
from lbctl.control.supervision.supervisor import Supervisor
from lbctl.shared import abi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbctl.control.controller import Controller
    from lbctl.control.metrics.exposition import Page

DETACHED = "detached"


def collect(page: Page, controller: Controller, connections: int) -> None:
    """Add all of them; *connections*: live ones, counted by who needs them by back-end as well."""
    _daemon(page, controller)
    _nics(page, controller)
    used = {"connections": connections, **_entries(controller)}
    for table, count in used.items():
        page.add(m.TABLE_ENTRIES, count, table)
        page.add(m.TABLE_LIMIT, getattr(controller.dataplane.capacity, table), table)


def process(page: Page) -> None:
    """Add what the kernel says of this process."""
    for family in ProcessCollector(registry=None).collect():
        for sample in family.samples:
            if metric := m.BY_NAME.get(sample.name):
                page.add(metric, sample.value)


def _daemon(page: Page, controller: Controller) -> None:
    active, done = controller.dataplane.configuration.active_buffer, controller.publications
    page.add(m.BUILD, 1, controller.name, __version__, str(abi.ABI_VERSION))
    page.add(m.GENERATION, controller.current.number)
    for buffer in ("A", "B"):
        page.add(m.ACTIVE_BUFFER, buffer == active, buffer)
    page.add(m.PUBLISHES, done.count)
    if done.count:
        page.add(m.LAST_PUBLISH, done.time)
        page.add(m.LAST_PUBLISH_DURATION, done.seconds)
    if isinstance(controller.watch, Supervisor):
        told = dict.fromkeys(m.EVENT_KINDS, 0) | controller.watch.journal.told
        for kind, count in told.items():
            page.add(m.EVENTS, count, kind)


def _nics(page: Page, controller: Controller) -> None:
    attached = {nic.name: nic for nic in controller.dataplane.attached()}
    for nic in controller.configuration.nics:
        found = attached.get(nic.name)
        mode, tag = (found.mode, found.program_tag) if found else (DETACHED, "")
        page.add(m.NIC, 1, nic.name, mode, tag)
        page.add(m.NIC_ATTACHED, found is not None, nic.name)
        page.add(m.NIC_UP, controller.links.is_up(nic.name), nic.name)
    for name, verdict, tally in views.tallies(controller):
        page.add(m.NIC_PACKETS, tally.packets, name, verdict.name)
        page.add(m.NIC_BYTES, tally.bytes, name, verdict.name)


def _entries(controller: Controller) -> dict[str, int]:
    """How many entries of each table are in use, by the name of the option for its size."""
    pools, apps = controller.configuration.pools, controller.configuration.apps
    table = controller.dataplane.routing
    return {
        "services": sum(len(pool.vips) for pool in pools) + sum(len(app.vips) for app in apps),
        "backends": len(controller.dataplane.configuration.backends()),
        "slots": sum(_slots(controller)),
        "next_hops": len(table.destinations()) + len(table.gateways()),
        "routes": len(table.routes()),
        "rules": sum(len(pool.vips) * len(pool.rules) for pool in pools),
    }


def _slots(controller: Controller) -> Iterator[int]:
    """The slots of each run: a VIP has one for its pool and one for each rule, in whole lines."""
    configuration, master = controller.configuration, controller.master
    for pool in configuration.pools:
        led_to = [pool, *filter(None, (configuration.pool(rule.pool) for rule in pool.rules))]
        serving = [master.serving(configuration, one) for one in led_to]
        lines = sum(-(-master.dealt(who.pool) // abi.SLOTS_PER_LINE) for who in serving if who)
        yield len(pool.vips) * lines * abi.SLOTS_PER_LINE
