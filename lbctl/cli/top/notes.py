"""
The notes: what is said below a table of the selected row, and of all that are not well.

Pure: sentences for people, the selected row's first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.cli.counters import note
from lbctl.cli.top.marks import percent
from lbctl.control.program_state import LOST

if TYPE_CHECKING:
    from lbctl.cli.tables import Row
    from lbctl.cli.top.readings import Look


def of_pool(look: Look, row: Row | None) -> list[str]:
    """The VIPs of a pool and what is wrong with it; then the warnings but the first."""
    more = list(look.status["warnings"][1:])
    if row is None:
        return more
    pool = row["pool"]
    return [f"{pool['name']}: {_vips(pool)}{_standing(pool)}", *more]


def of_backend(_look: Look, row: Row | None) -> list[str]:
    """All about one back-end; then the pool, and why other back-ends are not as they should be."""
    if row is None:
        return []
    pool = row["pool"]
    others = [
        f"{server['address']} is {server['state']}: {server['reason']}"
        for server in pool["backends"]
        if server["reason"] and server["address"] != row["name"]
    ]
    return [_state(row), _share(row), *_checked(row), *others]


def of_drop(look: Look, row: Row | None) -> list[str]:
    """Cause and cure of a reason and how to see such packets; then the other reasons."""
    if row is None:
        return []
    chosen = row["reason"]
    reasons = dict.fromkeys([chosen, *(drop["reason"] for drop in look.drops or ())])
    told = [f"{reason}: {note(reason)}" for reason in reasons]
    return [told[0], f"See them: `lbctl capture --verdict {chosen}`", *told[1:]]


def of_app(look: Look, row: Row | None) -> list[str]:
    """All about one application, and what to type if it does not run; then the others' cures."""
    if row is None:
        return []
    app = row["app"]
    by = f", process {app['pid']} of {app['run_by']} since {app['since']}" if app["pid"] else ""
    lines = [f"{app['name']}: {', '.join(app['vips'])}", f"{app['state']}{by}", *_lost(app)]
    chosen_first = sorted(look.status["apps"], key=lambda one: one["name"] != app["name"])
    return lines + [f"{one['name']}: `{one['next']}`" for one in chosen_first if one["next"]]


def pool_line(pool: Row) -> str:
    """A pool in a line: what leads to it and how it works."""
    how = f"{pool['forward']}, {pool['scheduler']}"
    return f"{_vips(pool)} ({how}){_standing(pool)}"


def _lost(app: Row) -> list[str]:
    """Why an application lost packets."""
    totals = {reason: sum(port[reason] for port in app["ports"]) for reason in LOST}
    told = [f"{reason.replace('_', '-')} {number}" for reason, number in totals.items() if number]
    return [f"lost: {', '.join(told)}"] if told else []


def _vips(pool: Row) -> str:
    return ", ".join(pool["vips"]) or "no VIP"


def _standing(pool: Row) -> str:
    """Who serves the pool, where that is not itself, and its problem."""
    words = ""
    if pool["backends"] and pool["served_by"] != pool["name"]:
        words += f"; served by {pool['served_by'] or 'nobody'}"
    if pool["panicking"]:
        words += "; panicking: too few back-ends are well, so that all are asked"
    if pool["problem"]:
        words += f"; {pool['problem']}"
    return words


def _state(row: Row) -> str:
    reason = f": {row['reason']}" if row["reason"] else ""
    return f"{row['name']} is {row['state']}{reason}"


def _share(row: Row) -> str:
    parts = [
        f"weight {row['weight']}",
        f"wanted {percent(row['asked'])}",
        f"given {percent(row['share'])}",
        f"measured {percent(row['measured'])}",
    ]
    if row["load"] is not None:
        parts.append(f"load {percent(row['load'])}")
    if row["report_age_seconds"] is not None:
        parts.append(f"reported {row['report_age_seconds']:.1f} s ago")
    return ", ".join(parts)


def _checked(row: Row) -> list[str]:
    check = row["check"]
    if check is None:
        return []
    reason = f": {check['reason']}" if check["reason"] else ""
    lines = [f"check {check['check']} {row['health']} since {check['since']}{reason}"]
    if check["inhibited_until"]:
        lines.append(f"kept from new connections until {check['inhibited_until']}")
    return lines
