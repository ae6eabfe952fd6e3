"""A controller with the NICs eth0 and eth1 and the pool web, over a switch that can capture."""

from __future__ import annotations

import pytest

from lbctl.model import Nic
from tests.unit.control import fakes
from tests.unit.control.capturing import rig


@pytest.fixture
def plane(links):
    """The switch."""
    return rig.Dataplane(links)


@pytest.fixture
def switch(empty):
    """The controller."""
    empty.watch = fakes.Watch()
    empty.attach([Nic(name="eth0"), Nic(name="eth1")], "root")
    empty.apply(
        fakes.configured(nics=[{"name": "eth0"}, {"name": "eth1"}], pools=[fakes.web(1, 1)]), "root"
    )
    return empty
