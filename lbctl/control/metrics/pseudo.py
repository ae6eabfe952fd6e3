"""The pseudo interfaces as metrics: which are there, and what goes by them.  Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control import program_views
from lbctl.control.metrics import catalogue as m

if TYPE_CHECKING:
    from lbctl.control.controller import Controller
    from lbctl.control.metrics.exposition import Page


def collect(page: Page, controller: Controller) -> None:
    """Add all of them."""
    for one in program_views.pseudo(controller):
        page.add(m.PSEUDO_UP, one.state == "up", one.name)
        if one.packets_in is not None:
            page.add(m.PSEUDO_RECEIVED, one.packets_in, one.name)
        page.add(m.PSEUDO_SENT, one.packets_out, one.name)
