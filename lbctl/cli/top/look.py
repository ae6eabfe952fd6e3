"""The look: ask the daemon for what a page shows, and for nothing else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lbctl.cli.top.readings import Look
from lbctl.cli.top.view import Page
from lbctl.errors import NotFound

if TYPE_CHECKING:
    from lbctl.cli.client import Client
    from lbctl.cli.top.view import View


def look(client: Client, view: View) -> Look:
    """Take one look.  Raises the errors of the client."""
    status = client.status()
    if view.page is Page.APPS:
        return Look(time.monotonic(), status)
    if view.page is Page.DROPS:
        return Look(time.monotonic(), status, drops=client.drops())
    if view.page is Page.POOL:
        try:
            pool, health = client.pool(view.pool), client.health(view.pool)
        except NotFound:  # it was removed
            pool, health = {}, []
        return Look(time.monotonic(), status, pool=pool, health=health, stats=client.stats())
    pools = client.pools()
    return Look(time.monotonic(), status, pools=pools, stats=client.stats())
