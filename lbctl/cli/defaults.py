"""
The defaults: tell what of an answer is not as the model would have it anyway.

Slow to import (the model): commands do so when they have something to leave out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from pydantic_core import to_jsonable_python

from lbctl.model import (
    Agent,
    AnyCheck,
    App,
    Balance,
    Check,
    Model,
    Passive,
    Pool,
    Processor,
    Pseudo,
    Rule,
    Settings,
)

if TYPE_CHECKING:
    Row = dict[str, Any]

# Kind of check -> its class.
CHECKS: dict[str, type[Check]] = {
    kind: each
    for each in get_args(get_args(AnyCheck)[0])
    for kind in get_args(each.model_fields["check"].annotation)
}
# What an export has only where it is not as usual.
OPTIONAL = ("on_down", "health", "passive", "balance", "quorum", "panic", "backup", "rules")
# What an export has only where there are any; their entries are told where not as usual.
PARTS: dict[str, type[Model]] = {
    "agents": Agent,
    "pseudo": Pseudo,
    "apps": App,
    "processors": Processor,
}


def unusual(kind: type[Model], data: Row) -> Row:
    """What of *data* is not the default of *kind*."""
    usual = {
        name: to_jsonable_python(field.get_default())
        for name, field in kind.model_fields.items()
        if not field.is_required()
    }
    return {key: value for key, value in data.items() if key not in usual or value != usual[key]}


def check(data: Row) -> Row:
    """What of a check is not as usual for its kind, and the kind."""
    return {"check": data["check"], **unusual(CHECKS[data["check"]], data)}


def policy(pool: Row) -> Row:
    """What of a pool's policies is not as usual."""
    found = {key: value for key, value in unusual(Pool, pool).items() if key in OPTIONAL}
    if "health" in found:
        found["health"] = check(found["health"])
    if "passive" in found:
        found["passive"] = unusual(Passive, found["passive"])
    if "balance" in found:
        found["balance"] = unusual(Balance, found["balance"])
    if "rules" in found:
        found["rules"] = [unusual(Rule, rule) for rule in found["rules"]]
    return found


def compact(configuration: Row) -> Row:
    """The same configuration without policies, agents and programs that are as usual."""
    short = {**configuration}
    short["pools"] = [_pool(pool) for pool in configuration["pools"]]
    short["settings"] = _settings(configuration["settings"])
    for part, kind in PARTS.items():
        if found := short.pop(part, []):
            short[part] = [unusual(kind, one) for one in found]
    return short


def _pool(pool: Row) -> Row:
    found = policy(pool)
    return {
        key: found.get(key, value)
        for key, value in pool.items()
        if key in found or key not in OPTIONAL
    }


def _settings(settings: Row) -> Row:
    kept = unusual(Settings, settings)
    return {key: value for key, value in settings.items() if key == "timeouts" or key in kept}
