"""
The difference: what separates two configurations, in lines that people read.

``+`` comes, ``-`` goes, ``~`` changes; the pool, then the thing, then old and new value.  Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.model import App, Backend, Configuration, Nic, Pool, Processor, Pseudo, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lbctl.model import Model

    Named = Pseudo | App | Processor

POOL_FIELDS = (
    *("forward", "scheduler", "on_unknown", "on_down", "table_size"),
    *("quorum", "panic", "backup", "rules"),
)
PARTS = ("health", "passive", "balance")  # of a pool, that have fields of their own
BACKEND_FIELDS = ("weight", "state")
NIC_FIELDS = tuple(name for name in Nic.model_fields if name != "name")
# Of what runs on the switch itself: what is told entry by entry, with the word for an entry.
ENTRIES = {Pseudo: ("addresses", "address"), App: ("vips", "vip"), Processor: ("", "")}


def difference(old: Configuration, new: Configuration) -> tuple[str, ...]:
    """Every way in which *new* is not *old*; empty when they are equal."""
    lines = (
        *_nics(old, new),
        *_pools(old, new),
        *_agents(old, new),
        *_programs("pseudo", old.pseudo, new.pseudo),
        *_programs("app", old.apps, new.apps),
        *_programs("processor", old.processors, new.processors),
        *_settings(old.settings, new.settings),
    )
    if not lines and old != new:
        return ("~ order of NICs, pools, agents, programs or processors",)
    return lines


def _nics(old: Configuration, new: Configuration) -> Iterator[str]:
    before, after = ({nic.name: nic for nic in c.nics} for c in (old, new))
    yield from (f"- nic {name}" for name in before if name not in after)
    for name in (name for name in after if name not in before):
        yield f"+ nic {name}{_details(after[name], Nic(name=name), NIC_FIELDS)}"
    for name in (name for name in after if name in before):
        yield from _fields(f"~ nic {name}:", NIC_FIELDS, before[name], after[name])


def _pools(old: Configuration, new: Configuration) -> Iterator[str]:
    before, after = ({pool.name: pool for pool in c.pools} for c in (old, new))
    yield from (f"- pool {name}" for name in before if name not in after)
    for name, pool in after.items():
        if name not in before:
            yield f"+ pool {name}"
        elif before[name] != pool:
            yield from _pool(before[name], pool)


def _pool(old: Pool, new: Pool) -> Iterator[str]:
    lines = (
        *_fields(f"~ pool {new.name}:", POOL_FIELDS, old, new),
        *(line for part in PARTS for line in _part(f"~ pool {new.name}: {part}", part, old, new)),
        *_entries(f"pool {new.name}: vip", old.vips, new.vips),
        *_backends(old, new),
    )
    yield from lines or (f"~ pool {new.name}: order of VIPs or back-ends",)


def _text(value: object) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _fields(start: str, names: Sequence[str], old: object, new: object) -> Iterator[str]:
    for name in names:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"{start} {name} {_text(before)} -> {_text(after)}"


def _part(start: str, name: str, old: Pool, new: Pool) -> Iterator[str]:
    """What is different in a part of a pool; one that comes or goes is told as a whole."""
    before, after = getattr(old, name), getattr(new, name)
    if before is None or after is None or type(before) is not type(after):
        if before != after:
            yield f"{start} {_words(before)} -> {_words(after)}"
        return
    yield from _fields(start, tuple(type(after).model_fields), before, after)


def _words(part: Model | None) -> str:
    """A part in a few words: what is not as usual."""
    if part is None:
        return "none"
    return str(getattr(part, "check", "on"))


def _agents(old: Configuration, new: Configuration) -> Iterator[str]:
    before, after = ({agent.address: agent for agent in c.agents} for c in (old, new))
    yield from (f"- agent {address}" for address in before if address not in after)
    for address, agent in after.items():
        if address not in before:
            yield f"+ agent {address}"
        else:
            names = tuple(type(agent).model_fields)
            yield from _fields(f"~ agent {address}:", names, before[address], agent)


def _programs(what: str, old: Sequence[Named], new: Sequence[Named]) -> Iterator[str]:
    """What is different in the things of one kind, by name."""
    before, after = ({one.name: one for one in several} for several in (old, new))
    yield from (f"- {what} {name}" for name in before if name not in after)
    for name, one in after.items():
        if name not in before:
            yield f"+ {what} {name}"
        elif before[name] != one:
            yield from _program(f"{what} {name}", before[name], one)


def _program(start: str, old: Named, new: Named) -> Iterator[str]:
    part, word = ENTRIES[type(new)]
    names = tuple(name for name in type(new).model_fields if name != part)
    lines = [*_fields(f"~ {start}:", names, old, new)]
    if part:
        lines += _entries(f"{start}: {word}", getattr(old, part), getattr(new, part))
    yield from lines or (f"~ {start}: order of {part}",)


def _entries(start: str, old: Sequence[object], new: Sequence[object]) -> Iterator[str]:
    before, after = set(old), set(new)
    yield from (f"- {start} {entry}" for entry in old if entry not in after)
    yield from (f"+ {start} {entry}" for entry in new if entry not in before)


def _backends(old: Pool, new: Pool) -> Iterator[str]:
    before: Mapping[object, Backend] = {backend.address: backend for backend in old.backends}
    after: Mapping[object, Backend] = {backend.address: backend for backend in new.backends}
    for address in before:
        if address not in after:
            yield f"- pool {new.name}: back-end {address}"
    for address, backend in after.items():
        if address not in before:
            usual = Backend(address=backend.address)
            more = _details(backend, usual, BACKEND_FIELDS)
            yield f"+ pool {new.name}: back-end {address}{more}"
        else:
            start = f"~ pool {new.name}: back-end {address}"
            yield from _fields(start, BACKEND_FIELDS, before[address], backend)


def _details(new: Model, usual: Model, names: Sequence[str]) -> str:
    """Say of something new only what is not as usual."""
    changed = (name for name in names if getattr(new, name) != getattr(usual, name))
    return "".join(f" {name} {_text(getattr(new, name))}" for name in changed)


def _settings(old: Settings, new: Settings) -> Iterator[str]:
    names = tuple(type(new.timeouts).model_fields)
    yield from _fields("~ settings: timeout", names, old.timeouts, new.timeouts)
    yield from _fields("~ settings:", ("resource_manager",), old, new)
