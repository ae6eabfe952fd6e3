"""A controller over a switch without a kernel, and its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lbctl.control.api import create_app
from lbctl.control.controller import Controller
from lbctl.control.store import Store
from lbctl.model import Nic
from tests.unit.control import fakes
from tests.unit.control.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def links() -> fakes.Links:
    """The NICs and addresses of the namespace."""
    return fakes.Links()


@pytest.fixture
def plane(links: fakes.Links) -> fakes.Dataplane:
    """The switch."""
    return fakes.Dataplane(links)


@pytest.fixture
def routing() -> fakes.Routing:
    """The routing daemon."""
    return fakes.Routing()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    store = Store(tmp_path / "state")
    yield store
    store.close()


@pytest.fixture
def empty(plane, store, routing, links) -> Controller:
    """A controller that has just started and has nothing to do."""
    controller = Controller(plane, store, routing, links=links)
    controller.start()
    return controller


@pytest.fixture
def controller(empty: Controller) -> Controller:
    """A controller with the NIC eth0, generation 1."""
    empty.attach([Nic(name="eth0")], "root")
    return empty


@pytest.fixture(scope="session")
def app():
    """The application, which takes a while to make; each test gives it its own controller."""
    return create_app(None)


@pytest.fixture
def client(app, controller):
    """A client of a switch with the NIC eth0."""
    app.state.controller = controller
    return Client(app)


@pytest.fixture
def served(client):
    """A client of a switch with the pool web besides, generation 2."""
    added = client.post("/v1/pools", json=fakes.web(1, 3), headers={"X-Lbctl-Who": "alice"})
    assert added.status_code == 200
    return client
