"""A made-up machine with four CPUs."""

from __future__ import annotations

import pytest

from tests.unit.control.processors.made import World


@pytest.fixture
def world(tmp_path):
    """
    Without a NIC.
    """
    made = World(tmp_path / "machine")
    yield made
    made.close()
