"""The endpoints of pools: their VIPs and back-ends too."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from lbctl.control import answers, edits, views
from lbctl.control.endpoints.common import Control, Forced, Who, address_of, changed, vip_of
from lbctl.model import (
    AnyCheck,
    Backend,
    Balance,
    Forward,
    Model,
    OnDown,
    OnUnknown,
    Passive,
    Pool,
    Rule,
    SchedulerName,
    SocketAddress,
    State,
    VipText,
)

router = APIRouter(tags=["pools"])

# What an administrator calls a change of nothing but the state.
VERBS = {State.DRAINING: "drain", State.ACTIVE: "restore", State.MAINTENANCE: "maintenance"}
NULLABLE = {"health", "passive", "backup"}


class PoolChange(Model):
    """What to change in a pool; what is left out stays."""

    vips: tuple[VipText, ...] | None = None
    forward: Forward | None = None
    scheduler: SchedulerName | None = None
    on_unknown: OnUnknown | None = None
    on_down: OnDown | None = None
    table_size: int | None = None
    backends: tuple[Backend, ...] | None = None
    health: AnyCheck | None = None  # here and in passive and backup, null takes away what is there
    passive: Passive | None = None
    balance: Balance | None = None
    quorum: int | None = None
    panic: float | None = None
    backup: str | None = None
    rules: tuple[Rule, ...] | None = None


class BackendChange(Model):
    """What to change in a back-end; what is left out stays."""

    weight: int | None = Field(default=None, ge=0, le=65535)
    state: State | None = None


class NewVip(Model):
    """A VIP to add."""

    vip: VipText


class OfPool(Model):
    """Which pool, or all."""

    pool: str | None = None


class Removal(Model):
    """Whether to forget the connections too, instead of letting them finish."""

    now: bool = False


async def _server(name: str, address: str) -> tuple[str, SocketAddress]:
    return name, address_of(address)


@router.get("/pools")
def pools(control: Control) -> list[answers.PoolStatus]:
    """All pools."""
    return views.pools(control)


@router.get("/pools/{name}")
def pool(control: Control, name: str) -> answers.PoolStatus:
    """One pool."""
    return views.pool(control, name)


@router.post("/pools")
def add_pool(control: Control, who: Who, new: Pool, options: Forced) -> answers.PoolStatus:
    """Add a pool with its VIPs and back-ends."""
    edit = partial(edits.add_pool, pool=new)
    control.change(f"pool add {new.name}", who, edit, force=options.force)
    return views.pool(control, new.name)


@router.patch("/pools/{name}")
def set_pool(
    control: Control, who: Who, name: str, change: PoolChange, options: Forced
) -> answers.PoolStatus:
    """Change what the body names; a back-end that stays keeps its state unless that is given."""
    given = change.model_fields_set
    fields = {k: v for k, v in change if v is not None or (k in given and k in NULLABLE)}
    edit = partial(edits.change_pool, name=name, fields=fields)
    control.change(f"pool set {name}", who, edit, force=options.force)
    return views.pool(control, name)


@router.delete("/pools/{name}")
def remove_pool(control: Control, who: Who, name: str) -> answers.Changed:
    """Remove a pool; its connections finish."""
    edit = partial(edits.remove_pool, name=name)
    return changed(control.change(f"pool remove {name}", who, edit))


@router.get("/vips")
def vips(control: Control) -> list[answers.VipStatus]:
    """The VIPs of all pools, then those of network applications."""
    return views.vips(control)


@router.post("/pools/{name}/vips")
def add_vip(control: Control, who: Who, name: str, new: NewVip) -> answers.PoolStatus:
    """Give a pool one more VIP."""
    edit = partial(edits.add_vip, name=name, vip=new.vip)
    control.change(f"vip add {name} {new.vip}", who, edit)
    return views.pool(control, name)


@router.delete("/pools/{name}/vips/{vip:path}")
def remove_vip(control: Control, who: Who, name: str, vip: str) -> answers.Changed:
    """Take a VIP from a pool."""
    edit = partial(edits.remove_vip, name=name, vip=vip_of(vip))
    return changed(control.change(f"vip remove {name} {vip}", who, edit))


@router.get("/backends")
def backends(control: Control, chosen: Annotated[OfPool, Query()]) -> list[answers.PooledBackend]:
    """The back-ends of all pools, or of one."""
    return views.backends(control, chosen.pool)


@router.post("/pools/{name}/backends")
def add_backend(
    control: Control, who: Who, name: str, new: Backend, options: Forced
) -> answers.PooledBackend:
    """Give a pool one more back-end."""
    edit = partial(edits.add_backend, name=name, backend=new)
    control.change(f"backend add {name} {new.address}", who, edit, force=options.force)
    return views.backend(control, name, new.address)


@router.patch("/pools/{name}/backends/{address}")
def set_backend(
    control: Control,
    who: Who,
    server: Annotated[tuple[str, SocketAddress], Depends(_server)],
    change: BackendChange,
    options: Forced,
) -> answers.PooledBackend:
    """Change weight or state; `draining` keeps new connections away and lets the others finish."""
    (name, address), state = server, change.state
    edit = partial(edits.set_backend, name=name, address=address, weight=change.weight, state=state)
    verb = "set"
    if state is not None and change.weight is None:
        verb = VERBS.get(state, verb)
    control.change(f"backend {verb} {name} {address}", who, edit, force=options.force)
    return views.backend(control, name, address)


@router.delete("/pools/{name}/backends/{address}")
def remove_backend(
    control: Control,
    who: Who,
    server: Annotated[tuple[str, SocketAddress], Depends(_server)],
    options: Annotated[Removal, Query()],
) -> answers.Changed:
    """Take a back-end from a pool; its connections finish, or with `now` end at once."""
    return changed(control.remove_backend(*server, who, now=options.now))
