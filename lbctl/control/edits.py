"""
The edits: what each verb makes of a configuration.

Pure: every function takes a configuration and returns another, or raises NotFound or Conflict.
What the values must be in themselves is the model's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lbctl.control import program_checks, schedulers
from lbctl.errors import Conflict, LbctlError, NotFound
from lbctl.model import Backend, Configuration, Nic, Pool, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lbctl.model import Agent, App, SocketAddress, Vip


def pool_of(configuration: Configuration, name: str) -> Pool:
    """The pool of that *name*.  Raises NotFound."""
    if pool := configuration.pool(name):
        return pool
    raise NotFound(f"there is no pool {name!r}; see `lbctl pool list`")


def backend_of(pool: Pool, address: SocketAddress) -> Backend:
    """The back-end of *pool* at *address*.  Raises NotFound."""
    for backend in pool.backends:
        if backend.address == address:
            return backend
    raise NotFound(
        f"pool {pool.name!r} has no back-end {address}; see `lbctl backend list {pool.name}`"
    )


def put_nics(configuration: Configuration, nics: Iterable[Nic]) -> Configuration:
    """Attach *nics*, or give them another mode."""
    wanted = {nic.name: nic for nic in (*configuration.nics, *nics)}
    of_pseudo = program_checks.ends(configuration)
    for name in wanted:
        if name in of_pseudo:
            raise Conflict(
                f"NIC {name!r} belongs to pseudo interface {of_pseudo[name]!r}, which is served "
                f"already; see `lbctl pseudo show {of_pseudo[name]}`"
            )
    return replaced(configuration, nics=tuple(wanted.values()))


def remove_nics(configuration: Configuration, names: Iterable[str]) -> Configuration:
    """Detach the NICs *names*."""
    left = {nic.name: nic for nic in configuration.nics}
    for name in dict.fromkeys(names):
        if left.pop(name, None) is None:
            raise NotFound(f"NIC {name!r} is not attached; see `lbctl status`")
        for app in configuration.apps:
            if name in app.nics:
                raise Conflict(
                    f"NIC {name!r} is one that app {app.name!r} receives from; first change that "
                    f"with `lbctl app set {app.name} --nic all`, or name others"
                )
    return replaced(configuration, nics=tuple(left.values()))


def add_pool(configuration: Configuration, pool: Pool) -> Configuration:
    """Add *pool* with all it holds."""
    if configuration.pool(pool.name):
        raise Conflict(f"pool {pool.name!r} exists already; change it with `lbctl pool set`")
    refuse_taken(configuration, pool)
    return replaced(configuration, pools=(*configuration.pools, pool))


def change_pool(
    configuration: Configuration, name: str, fields: Mapping[str, Any]
) -> Configuration:
    """Give the pool *name* what *fields* says; a back-end that stays keeps its state, too."""
    states = {old.address: old.state for old in pool_of(configuration, name).backends}
    changed = dict(fields)
    if "backends" in fields:
        changed["backends"] = tuple(_with_state(new, states) for new in fields["backends"])
    return set_pool(configuration, name, changed)


def set_pool(configuration: Configuration, name: str, fields: Mapping[str, Any]) -> Configuration:
    """Give the pool *name* other values in *fields*."""
    pool = pool_of(configuration, name)
    changed = Pool(**{**dict(pool), **fields})
    refuse_taken(configuration, changed)
    return _with_pool(configuration, changed)


def remove_pool(configuration: Configuration, name: str) -> Configuration:
    """Remove the pool *name* with its VIPs."""
    gone = pool_of(configuration, name)
    for pool in configuration.pools:
        if name == pool.backup or any(rule.pool == name for rule in pool.rules):
            raise Conflict(
                f"pool {name!r} serves for pool {pool.name!r}; change that first, see "
                f"`lbctl pool show {pool.name}`"
            )
    return replaced(configuration, pools=tuple(p for p in configuration.pools if p is not gone))


def add_vip(configuration: Configuration, name: str, vip: Vip) -> Configuration:
    """Give the pool *name* one more VIP."""
    pool = pool_of(configuration, name)
    if vip in pool.vips:
        raise Conflict(f"pool {name!r} has VIP {vip} already; see `lbctl pool show {name}`")
    return set_pool(configuration, name, {"vips": (*pool.vips, vip)})


def remove_vip(configuration: Configuration, name: str, vip: Vip) -> Configuration:
    """Take a VIP from the pool *name*."""
    pool = pool_of(configuration, name)
    if vip not in pool.vips:
        raise NotFound(f"pool {name!r} has no VIP {vip}; see `lbctl pool show {name}`")
    return set_pool(configuration, name, {"vips": tuple(v for v in pool.vips if v != vip)})


def add_backend(configuration: Configuration, name: str, backend: Backend) -> Configuration:
    """Give the pool *name* one more back-end."""
    pool = pool_of(configuration, name)
    if any(other.address == backend.address for other in pool.backends):
        raise Conflict(
            f"pool {name!r} has back-end {backend.address} already; "
            f"change it with `lbctl backend set {name} {backend.address}`"
        )
    return set_pool(configuration, name, {"backends": (*pool.backends, backend)})


def set_backend(
    configuration: Configuration,
    name: str,
    address: SocketAddress,
    *,
    weight: int | None = None,
    state: State | None = None,
) -> Configuration:
    """Give a back-end of the pool *name* another weight or state."""
    pool = pool_of(configuration, name)
    old = backend_of(pool, address)
    new = Backend(
        address=address,
        weight=old.weight if weight is None else weight,
        state=old.state if state is None else state,
    )
    backends = tuple(new if backend is old else backend for backend in pool.backends)
    return set_pool(configuration, name, {"backends": backends})


def remove_backend(
    configuration: Configuration, name: str, address: SocketAddress
) -> Configuration:
    """Take a back-end from the pool *name*."""
    pool = pool_of(configuration, name)
    gone = backend_of(pool, address)
    return set_pool(configuration, name, {"backends": tuple(b for b in pool.backends if b != gone)})


def add_agent(configuration: Configuration, agent: Agent) -> Configuration:
    """Have an agent tell the load of servers."""
    if any(other.address == agent.address for other in configuration.agents):
        raise Conflict(
            f"agent {agent.address} exists already; "
            f"remove it first with `lbctl agent remove {agent.address}`"
        )
    return replaced(configuration, agents=(*configuration.agents, agent))


def remove_agent(configuration: Configuration, address: SocketAddress) -> Configuration:
    """Listen to an agent no more."""
    left = tuple(agent for agent in configuration.agents if agent.address != address)
    if len(left) == len(configuration.agents):
        raise NotFound(f"there is no agent {address}; see `lbctl agent list`")
    return replaced(configuration, agents=left)


def check(configuration: Configuration) -> None:
    """Refuse what each value allows but the switch cannot do."""
    for pool in configuration.pools:
        schedulers.is_dynamic(str(pool.scheduler))  # raises where there is none of that name
        if any(vip.port == 0 for vip in pool.vips):
            _refuse_same_host(pool)
    program_checks.check(configuration)


def _refuse_same_host(pool: Pool) -> None:
    seen: dict[object, SocketAddress] = {}
    for backend in pool.backends:
        other = seen.setdefault(backend.address.address, backend.address)
        if other != backend.address:
            raise LbctlError(
                f"pool {pool.name!r}: a VIP with port * keeps the packet's port, so back-ends "
                f"{other} and {backend.address} are the same; name that server once"
            )


def refuse_taken(configuration: Configuration, owner: Pool | App) -> None:
    """Refuse VIPs of *owner* that another pool or application has; the line says who."""
    for pool in configuration.pools:
        for vip in _shared(pool, owner):
            raise Conflict(
                f"VIP {vip} belongs to pool {pool.name!r}; "
                f"take it from there with `lbctl vip remove {pool.name} {vip}`"
            )
    for app in configuration.apps:
        for vip in _shared(app, owner):
            rest = f"set {app.name} --remove-vip {vip}" if app.vips[1:] else f"remove {app.name}"
            raise Conflict(
                f"VIP {vip} belongs to app {app.name!r}; take it from there with `lbctl app {rest}`"
            )


def _shared(one: Pool | App, other: Pool | App) -> tuple[Vip, ...]:
    """The VIPs that both have, if they are not the same."""
    if type(one) is type(other) and one.name == other.name:
        return ()
    return tuple(vip for vip in one.vips if vip in other.vips)


def _with_state(backend: Backend, states: Mapping[SocketAddress, State]) -> Backend:
    if "state" in backend.model_fields_set or backend.address not in states:
        return backend
    return Backend(**{**dict(backend), "state": states[backend.address]})


def replaced(configuration: Configuration, **fields: object) -> Configuration:
    """The same configuration with other values in *fields*."""
    return Configuration(**{**dict(configuration), **fields})


def _with_pool(configuration: Configuration, pool: Pool) -> Configuration:
    pools = tuple(pool if p.name == pool.name else p for p in configuration.pools)
    return replaced(configuration, pools=pools)
