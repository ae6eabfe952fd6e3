"""The wait for a drain: look until a back-end has no connections, or until time is up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lbctl.errors import Conflict, LbctlError, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbctl.cli.client import Client
    from lbctl.model import SocketAddress

POLL_SECONDS = 0.5


def wait_until_idle(
    client: Client,
    pool: str,
    address: SocketAddress,
    timeout: float,
    report: Callable[[int, int], None],
) -> None:
    """
    Return when the back-end has no connections; *report* is told (gone, of all).

    Raises LbctlError when *timeout* seconds are over, Conflict when somebody restores the back-end
    meanwhile: it would never become idle.
    """
    deadline = time.monotonic() + timeout
    most = 0
    while left := _connections(client, pool, address):
        most = max(most, left)
        report(most - left, most)
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise LbctlError(
                f"back-end {address} of pool {pool}: {left} connections remain after "
                f"{timeout:g} s, still draining; see "
                f"`lbctl connection list --pool {pool} --backend {address}`"
            )
        time.sleep(min(POLL_SECONDS, remaining))


def _connections(client: Client, pool: str, address: SocketAddress) -> int:
    for backend in client.backends(pool):
        if backend["address"] == str(address):
            if backend["state"] == "active":
                raise Conflict(
                    f"back-end {address} of pool {pool} was restored meanwhile; "
                    f"see `lbctl generations`"
                )
            return int(backend["connections"])
    raise NotFound(
        f"back-end {address} of pool {pool} was removed meanwhile; see `lbctl generations`"
    )
