"""A broker that answers, and applications that ask it."""

from __future__ import annotations

import pytest

from tests.unit.control.broker.rig import VOIP, Client, Rig


@pytest.fixture
def rig(tmp_path, monkeypatch):
    """A broker that knows the application voip."""
    with Rig(tmp_path / "lbctld.apps", monkeypatch, VOIP).started() as rig:
        yield rig


@pytest.fixture
def client(rig):
    """A function that connects; all connections are closed in the end."""
    made = []

    def connect():
        made.append(Client(rig.path))
        return made[-1]

    yield connect
    for one in made:
        one.close()
