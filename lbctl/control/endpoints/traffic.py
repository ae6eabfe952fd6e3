"""The endpoints of what the switching processors see: routes, connections, counters."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from lbctl.control import answers
from lbctl.control import traffic as seen
from lbctl.control.edits import pool_of
from lbctl.control.endpoints.common import Control, address_of
from lbctl.errors import UsageError
from lbctl.model import IPAddress, Model, SocketAddress
from lbctl.shared.connections import Filter

router = APIRouter(tags=["traffic"])


class Chosen(Model):
    """Which connections: of a pool, to a back-end A:P, of a client A or A:P."""

    pool: str | None = None
    backend: str | None = None
    client: str | None = None


class Listed(Chosen):
    """Which connections, and at most how many."""

    limit: int | None = Field(default=None, ge=1)


def _filter(control: Control, chosen: Chosen) -> Filter:
    pool = pool_of(control.configuration, chosen.pool) if chosen.pool is not None else None
    return Filter(
        vips=frozenset(pool.vips) if pool else None,
        backend=address_of(chosen.backend) if chosen.backend is not None else None,
        client=_client(chosen.client) if chosen.client is not None else None,
    )


def _client(text: str) -> tuple[IPAddress, int | None]:
    """Read a client: an address, or an address with a port."""
    try:
        return ip_address(text), None
    except ValueError:
        pass
    try:
        return SocketAddress.parse(text)
    except ValueError as err:
        raise UsageError(f"client: {err}") from err


@router.get("/connections")
def connections(
    control: Control, chosen: Annotated[Listed, Query()]
) -> list[answers.ConnectionStatus]:
    """The connections that match, the newest first; all of them without a limit."""
    return list(seen.connections(control, _filter(control, chosen), chosen.limit))


@router.get("/connections/count")
def count(control: Control, chosen: Annotated[Chosen, Query()]) -> answers.Count:
    """How many connections match."""
    return answers.Count(count=control.dataplane.connections.count(_filter(control, chosen)))


@router.delete("/connections")
def flush(control: Control, chosen: Annotated[Chosen, Query()]) -> answers.Flushed:
    """Forget the connections that match; without a filter, all."""
    return answers.Flushed(flushed=control.dataplane.connections.flush(_filter(control, chosen)))


@router.get("/routes")
def routes(control: Control) -> list[answers.RouteStatus]:
    """The routes as the switching processors have them."""
    return seen.routes(control)


@router.get("/neighbors")
def neighbors(control: Control) -> list[answers.NeighborStatus]:
    """The hosts and gateways that routes and back-ends need."""
    return seen.neighbors(control)


@router.get("/stats")
def stats(control: Control) -> answers.Stats:
    """All counters."""
    return seen.stats(control)


@router.get("/drops")
def drops(control: Control) -> list[answers.Drop]:
    """What was discarded, where and why, most first."""
    return seen.drops(control)
