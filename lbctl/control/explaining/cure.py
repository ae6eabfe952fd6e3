"""
The cure: what to type next when a packet was dropped or refused.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control.nic_names import shown
from lbctl.shared.abi import Stage, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbctl.control.explaining.case import Case


def next_command(case: Case) -> str | None:
    """The command that shows the cause or mends it; None: nothing is wrong."""
    make = CURES.get(case.end)
    return make(case) if make else None


def _wire(case: Case) -> str:
    return f"tcpdump -nevvi {shown(case.nic)} host {case.came.source}"


def _vips(_case: Case) -> str:
    return "lbctl vip list"


def _pool(case: Case) -> str:
    return f"lbctl pool show {case.pool.name}" if case.pool else "lbctl pool list"


def _connections(case: Case) -> str:
    return f"lbctl connection list --client {case.client.address}" if case.client else _vips(case)


def _app(case: Case) -> str:
    return f"lbctl app show {case.app.name}" if case.app else "lbctl app list"


def _reset(case: Case) -> str:
    if case.app:
        return _app(case)
    return _vips(case) if case.vip is None else _connections(case)


def _interface(case: Case) -> str | None:
    """What shows a pseudo interface that a packet does not get to; None: it is not for one."""
    ours = case.reached(Stage.PSEUDO) and not case.nic.is_pseudo
    return f"lbctl pseudo show {case.interface}" if ours and case.interface else None


def _host(case: Case) -> str:
    """The host that the packet should get to."""
    if case.server is not None and case.client:
        return str(case.client.address)
    return str(case.record.address.address) if case.record else str(case.came.destination)


def _backends(case: Case) -> str:
    return f"lbctl backend list {case.pool.name}" if case.pool else "lbctl backend list"


CURES: dict[Verdict, Callable[[Case], str]] = {
    Verdict.TO_BACKEND_UNTRACKED: lambda _: "lbctl status",
    Verdict.TO_KERNEL_OTHER_MAC: lambda case: f"ip link show {shown(case.nic)}",
    Verdict.RESET: _reset,
    Verdict.RESET_DOWN: _backends,
    Verdict.TOO_BIG_REPLY: lambda case: f"ip route get {_host(case)}",
    Verdict.DROP_MALFORMED: _wire,
    Verdict.DROP_FRAGMENT: _wire,
    Verdict.DROP_OPTIONS: _wire,
    Verdict.DROP_NO_SERVICE: _vips,
    Verdict.DROP_NO_CONNECTION: _connections,
    Verdict.DROP_NO_BACKEND: _pool,
    Verdict.DROP_TTL_EXPIRED: lambda case: f"ip route get {_host(case)}",
    Verdict.DROP_NO_ROUTE: lambda case: _interface(case) or f"ip route get {_host(case)}",
    Verdict.DROP_NO_NEIGHBOR: lambda case: _interface(case) or f"ping -c 1 {_host(case)}",
    Verdict.DROP_NOT_ATTACHED: lambda case: _interface(case) or f"ip route get {_host(case)}",
    Verdict.DROP_TOO_BIG: lambda case: f"ip route get {_host(case)}",
    Verdict.DROP_TUPLE_CLASH: _connections,
    Verdict.DROP_RESET_WITHHELD: _backends,
    Verdict.DROP_UNANSWERABLE: _connections,
    Verdict.DROP_APP_GONE: _app,
    Verdict.DROP_INTERNAL: lambda _: "lbctl status -o json",
}
