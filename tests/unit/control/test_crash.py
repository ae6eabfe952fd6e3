"""Kill -9 at any moment leaves the old configuration or the new one, never half of each."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from lbctl.control.controller import Controller
from lbctl.control.store import Store
from tests.unit.control import fakes
from tests.unit.control.crash import NEW, OLD

ROOT = Path(__file__).parents[3]
MOMENTS = {
    "before publishing": (None, (2, OLD)),
    "after publishing": ([3, [2]], (2, OLD)),
    "after storing": ([3, [2]], (3, NEW)),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_controller_leaves_one_whole_configuration(moment, tmp_path):
    """The store says which, and the next start makes the tables agree with it."""
    published, (number, configuration) = MOMENTS[moment]
    died = subprocess.run(
        [sys.executable, "-m", "tests.unit.control.crash", str(tmp_path), moment],
        cwd=ROOT,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    tables = tmp_path / "tables"
    assert (json.loads(tables.read_text()) if tables.exists() else None) == published

    links = fakes.Links()
    plane = fakes.Dataplane(links)
    plane.configuration.generation = published[0] if published else 2
    with closing(Store(tmp_path)) as store:
        controller = Controller(plane, store, fakes.Routing(), links=links)
        controller.start()

        controller.on_address()

        assert controller.current == (number, configuration)
        assert plane.configuration.generation == number
        backends = [len(service.backends) for service in plane.configuration.services]
        assert backends == [len(configuration.pools[0].backends)]
