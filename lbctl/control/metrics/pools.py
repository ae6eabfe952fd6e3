"""
The pools as metrics: who serves, how each back-end stands, and what was counted of it.

Reads only.  Counters are taken from the tables by column, for all back-ends at once.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from lbctl.control import views
from lbctl.control.metrics import catalogue as m
from lbctl.control.metrics.exposition import pairs
from lbctl.model import State
from lbctl.shared.abi import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbctl.control.controller import Controller
    from lbctl.control.master import Serving
    from lbctl.control.metrics.exposition import Page
    from lbctl.control.metrics.labels import Labels
    from lbctl.model import Pool
    from lbctl.shared.arrays import Array

COUNTED = {
    "packets_in": m.RECEIVED_PACKETS,
    "bytes_in": m.RECEIVED_BYTES,
    "packets_out": m.SENT_PACKETS,
    "bytes_out": m.SENT_BYTES,
    "connections": m.NEW_CONNECTIONS,
    "answers": m.ANSWERS,
    "resets": m.RESETS,
    "retries": m.RETRIES,
}


def collect(page: Page, controller: Controller, labels: Labels, opened: Array) -> None:
    """Add all of them; *opened*: open connections by index of the back-end's record."""
    of_services, of_backends = controller.dataplane.counters.reasons()
    _vips(page, controller, labels, of_services)
    _records(page, controller, labels, opened, of_backends)
    ways = controller.dataplane.routing.reachable()
    for pool in labels.configuration.pools:
        texts = labels.members[pool.name]
        who = controller.master.serving(labels.configuration, pool)
        _standings(page, controller, pool, texts)
        _serving(page, controller, pool, who)
        _shares(page, controller, pool, texts, itself=who is not None and who.pool is pool)
        reachable = [ways.get(backend.address.address, False) for backend in pool.backends]
        page.column(m.REACHABLE, texts, reachable)


def _vips(page: Page, controller: Controller, labels: Labels, reasons: Array) -> None:
    for pool in labels.configuration.pools:
        for vip in pool.vips:
            page.add(m.VIP, 1, pool.name, str(vip))
            index = controller.dataplane.configuration.service_index(vip)
            found = np.flatnonzero(reasons[index]).tolist() if index is not None else ()
            for verdict in found:
                packets = int(reasons[index, verdict])
                page.add(m.VIP_PACKETS, packets, pool.name, str(vip), Verdict(verdict).name)


def _records(
    page: Page, controller: Controller, labels: Labels, opened: Array, reasons: Array
) -> None:
    """What was counted; a back-end has a record for each VIP that may lead to it."""
    index_of = controller.dataplane.configuration.backend_index
    named = [(index_of(vip, address), text) for vip, address, text in labels.records]
    found = [(index, text) for index, text in named if index is not None]
    texts, indices = [text for _, text in found], np.array([i for i, _ in found], np.intp)
    rows, reasons = controller.dataplane.counters.by_backend()[indices], reasons[indices]
    for name, metric in COUNTED.items():
        page.column(metric, texts, rows[name].tolist())
    page.column(m.OPEN_CONNECTIONS, texts, opened[indices].tolist())
    unusual = np.argwhere(reasons)
    ends = [pairs(["verdict"], [Verdict(verdict).name]) for _, verdict in unusual.tolist()]
    page.column(
        m.BACKEND_PACKETS,
        [f"{texts[row]},{end}" for (row, _), end in zip(unusual, ends, strict=True)],
        reasons[tuple(unusual.T)].tolist(),
    )


def _standings(page: Page, controller: Controller, pool: Pool, texts: Sequence[str]) -> None:
    found = controller.master.standings
    states = [found.of(pool.name, backend).state for backend in pool.backends]
    counts = Counter(states)
    for state in State:
        label = pairs(["state"], [state])
        named = [f"{text},{label}" for text in texts]
        page.column(m.STATE, named, [one is state for one in states])
        page.add(m.POOL_BACKENDS, counts[state], pool.name, state)
    page.column(m.WEIGHT, texts, [backend.weight for backend in pool.backends])


def _serving(page: Page, controller: Controller, pool: Pool, who: Serving | None) -> None:
    shares = controller.master.standings.shares.get(pool.name)
    page.add(m.POOL, 1, pool.name, pool.scheduler, pool.forward)
    page.add(m.POOL_SERVED, who is not None, pool.name)
    page.add(m.POOL_ON_BACKUP, who is not None and who.pool is not pool, pool.name)
    page.add(m.POOL_PANICKING, who is not None and who.panicking, pool.name)
    page.add(m.POOL_SCHEDULER_FAILING, bool(shares and shares.problem), pool.name)


def _shares(
    page: Page, controller: Controller, pool: Pool, texts: Sequence[str], *, itself: bool
) -> None:
    """Shares and loads; *itself*: its own back-ends serve it."""
    shares = controller.master.standings.shares.get(pool.name)
    dealt = controller.master.shares(pool) if itself else {}
    addresses = [backend.address for backend in pool.backends]
    given = [dealt.get(address, 0.0) for address in addresses]
    wanted = [shares.wanted.get(address, 0.0) for address in addresses] if shares else given
    page.column(m.WANTED_SHARE, texts, wanted)
    page.column(m.GIVEN_SHARE, texts, given)
    seen = controller.watch.observations(pool)
    observed = [seen.get(address, views.UNSEEN) for address in addresses]
    page.known(m.MEASURED_SHARE, texts, [one.measured for one in observed])
    page.known(m.LOAD, texts, [one.load for one in observed])
    page.known(m.LOAD_AGE, texts, [one.report_age for one in observed])
