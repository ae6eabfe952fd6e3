"""The API of processors: a plan, and how it is carried out and undone."""

from __future__ import annotations

import pytest

from lbctl.control.processors.keeper import Processors
from tests.unit.control.client import Client
from tests.unit.control.processors.made import World

FAST = {"name": "fast", "cpus": [1], "nics": ["eth0"]}


@pytest.fixture
def daemon(app, controller, tmp_path):
    """A client of a switch with the NIC eth0, on a machine with four CPUs."""
    world = World(tmp_path / "machine")
    world.add_nic("eth0", queues=1)
    app.state.controller = controller
    app.state.processors = Processors(tmp_path, "test", lambda *_: None, world.machine)
    yield Client(app)
    world.close()


def test_a_plan(daemon):
    """What is attached gets CPUs, unless others are configured."""
    plan = daemon.get("/v1/cpu?only_own=true").json()

    assert ("proposal", False, True) == (plan["source"], plan["applied"], plan["only_own"])
    assert [["eth0"]] == [p["nics"] for p in plan["processors"] if p["role"] == "switching"]
    assert {
        "kind": "irq",
        "which": "IRQ 200",
        "now": "0-3",
        "wanted": "1",
        "state": "change",
        "why": "eth0-TxRx-0: served by this CPU",
    } in plan["settings"]
    assert [200] == plan["irqs"][:1]


def test_apply_and_restore(daemon, controller):
    """As configured; and back."""
    wanted = controller.configuration.model_dump(mode="json") | {"processors": [FAST]}
    daemon.post("/v1/configuration", json=wanted)
    done = daemon.post("/v1/cpu/apply").json()
    undone = daemon.post("/v1/cpu/restore").json()

    assert ([], [], []) == (done["cannot"], done["gone"], undone["cannot"])
    assert "IRQ 200: 0-3 -> 1" in done["changed"]
    assert "IRQ 200: 1 -> 0-3" in undone["changed"]
    assert len(done["changed"]) == len(undone["changed"])


def test_nothing_to_apply(daemon):
    """It says how to come by something."""
    answer = daemon.post("/v1/cpu/apply")

    assert (422, 1) == (answer.status_code, answer.json()["exit_code"])
    assert answer.json()["error"].startswith("no processors are configured")


def test_a_misspelt_choice(daemon):
    """It is refused."""
    assert 400 == daemon.get("/v1/cpu?only_mine=true").status_code
