"""A supervisor for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.control.supervision.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A supervisor that has not started."""
    rig = Rig(tmp_path)
    yield rig
    rig.journal.close()
