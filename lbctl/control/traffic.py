"""
The traffic: what the switching processors see and count, as answers of the API.

Reads only, like the views.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from lbctl.control import answers
from lbctl.control.views import is_drop, records, tallies
from lbctl.model import ANY_PORT
from lbctl.shared import abi
from lbctl.shared.abi import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbctl.control.controller import Controller
    from lbctl.model import Vip
    from lbctl.shared.arrays import Array
    from lbctl.shared.connections import Filter

COUNTED = abi.BACKEND_COUNTER.names or ()


def connections(
    controller: Controller, only: Filter, limit: int | None
) -> Iterator[answers.ConnectionStatus]:
    """The rows of the connection table that match."""
    owner = {vip: pool.name for pool in controller.configuration.pools for vip in pool.vips}
    for row in controller.dataplane.connections.list(only, limit):
        any_port = row.vip._replace(port=ANY_PORT)
        pool = owner.get(row.vip) or owner.get(any_port) or ""  # "": removed, and finishing
        yield answers.ConnectionStatus(**row._asdict(), pool=pool)


def routes(controller: Controller) -> list[answers.RouteStatus]:
    """The routes as the switching processors have them."""
    return [answers.RouteStatus(**row) for row in controller.routing.routes_view()]


def neighbors(controller: Controller) -> list[answers.NeighborStatus]:
    """The hosts and gateways on the links of the switch."""
    return [answers.NeighborStatus(**row) for row in controller.routing.neighbors_view()]


def stats(controller: Controller) -> answers.Stats:
    """All counters: by NIC and verdict, by VIP, and by back-end."""
    verdicts: defaultdict[str, dict[str, answers.Tally]] = defaultdict(dict)
    for name, verdict, tally in tallies(controller):
        verdicts[name][verdict.name] = tally
    return answers.Stats(
        nics=tuple(answers.NicVerdicts(name=n, verdicts=v) for n, v in verdicts.items()),
        services=tuple(_services(controller)),
        backends=tuple(_backends(controller)),
    )


def drops(controller: Controller) -> list[answers.Drop]:
    """What was discarded, most first."""
    found = [
        answers.Drop(reason=verdict.name, packets=tally.packets, bytes=tally.bytes, nic=name)
        for name, verdict, tally in tallies(controller)
        if is_drop(verdict)
    ]
    return sorted(found, key=lambda drop: -drop.packets)


def _services(controller: Controller) -> Iterator[answers.ServiceTraffic]:
    reasons, _ = controller.dataplane.counters.reasons()
    pools, apps = controller.configuration.pools, controller.configuration.apps
    owned: list[tuple[Vip, str | None, str | None]] = [
        *((vip, one.name, None) for one in pools for vip in one.vips),
        *((vip, None, one.name) for one in apps for vip in one.vips),
    ]
    for vip, pool, app in owned:
        index = controller.dataplane.configuration.service_index(vip)
        found = _named(reasons[index]) if index is not None else {}
        yield answers.ServiceTraffic(pool=pool, app=app, vip=vip, verdicts=found)


def _backends(controller: Controller) -> Iterator[answers.BackendTraffic]:
    counters = controller.dataplane.counters.by_backend()
    _, reasons = controller.dataplane.counters.reasons()
    vips = controller.configuration.vips_by_pool()
    for pool in controller.configuration.pools:
        for backend in pool.backends:
            for vip, index in records(controller, vips[pool.name], backend.address):
                row = counters[index]
                yield answers.BackendTraffic(
                    pool=pool.name,
                    address=backend.address,
                    vip=vip,
                    verdicts=_named(reasons[index]),
                    **{name: int(row[name]) for name in COUNTED},
                )


def _named(packets: Array) -> dict[str, int]:
    """The verdicts that some packet had, by name; *packets*: uint64[VERDICTS]."""
    return {Verdict(int(v)).name: int(packets[v]) for v in np.flatnonzero(packets)}
