"""
The keeper: what a user asks for, and what lbctld does by itself.
"""

from __future__ import annotations

import pytest

from lbctl.control.processors.keeper import Processors
from lbctl.errors import LbctlError
from lbctl.model import Configuration
from tests.unit.control.processors.made import BOOT

APP = {"name": "voip", "vips": ["203.0.113.10:5060/udp"]}
FAST = {"name": "fast", "cpus": [1, 2], "nics": ["eth1"]}
CONFIGURED = Configuration.model_validate({"processors": [FAST]})
WITH_APP = Configuration.model_validate(
    {
        "apps": [APP],
        "processors": [FAST, {"name": "a", "role": "application", "cpus": [3], "apps": ["voip"]}],
    }
)
EMPTY = Configuration()


@pytest.fixture
def told():
    """
    The events.
    """
    return []


@pytest.fixture
def keeper(world, tmp_path, told):
    """
    Of a machine with the NIC eth1.
    """
    world.add_nic("eth1", queues=2)
    return Processors(tmp_path, "test", lambda *event: told.append(event), world.machine)


def test_a_plan_changes_nothing(keeper, world):
    """
    It says what would be.
    """
    before = world.snapshot()
    plan = keeper.plan(CONFIGURED, ["eth1"])

    assert before == world.snapshot()
    assert ("configuration", False, (8, 9, 200, 201)) == (plan.source, plan.applied, plan.irqs)
    assert ["any", "switching", "switching", "any"] == [use.role for use in plan.cpus]
    assert [(), ("eth1 0",), ("eth1 1",), ()] == [use.queues for use in plan.cpus]
    assert {"set", "change"} == {str(setting.state) for setting in plan.settings}


def test_a_proposal(keeper):
    """
    Where nothing is configured, for the NICs that are attached.
    """
    plan = keeper.plan(EMPTY, ["eth1"])

    assert ("proposal", ["control", "switching"]) == (
        plan.source,
        [each.name for each in plan.processors],
    )
    assert () == keeper.plan(EMPTY, []).processors[-1].nics


def test_nothing_is_configured(keeper):
    """
    It says how to come by something.
    """
    with pytest.raises(LbctlError, match="`lbctl cpu apply --proposed` takes these"):
        keeper.apply(EMPTY, ["eth1"], "alice")


def test_apply_and_restore(keeper, world, told):
    """
    Both are events, with who did it; and restore leaves nothing.
    """
    before = world.snapshot()
    done = keeper.apply(CONFIGURED, ["eth1"], "alice")
    after = keeper.plan(CONFIGURED, ["eth1"])
    undone = keeper.restore("bob")

    assert (True, True) == (after.applied, all(s.state == "set" for s in after.settings))
    assert (before, len(done.changed)) == (world.snapshot(), len(undone.changed))
    assert [
        ("cpu", "test", f"processors applied, by alice: {len(done.changed)} settings changed"),
        ("cpu", "test", f"processors restored, by bob: {len(done.changed)} settings changed"),
    ] == told
    assert ((), False) == (
        keeper.restore("bob").changed,
        keeper.plan(CONFIGURED, ["eth1"]).applied,
    )
    assert 2 == len(told)


def test_a_proposal_that_was_applied(keeper):
    """
    It is known as that, and what was spared stays spared.
    """
    keeper.apply(EMPTY, ["eth1"], "alice", proposed=True, only_own=True)
    plan = keeper.plan(EMPTY, ["eth1"])

    assert ("applied", True, True) == (plan.source, plan.applied, plan.only_own)
    assert not {8, 9} & set(plan.irqs)


def test_lbctld_starts_anew(keeper, world, told):
    """
    It has lost its CPUs, and gets them again.
    """
    keeper.resume()
    keeper.apply(CONFIGURED, ["eth1"], "alice")
    for thread in world.threads():
        world.affinity[thread] = frozenset(range(4))
    keeper.resume()

    assert [{0, 3}, {0, 3}] == [world.affinity[thread] for thread in world.threads()]
    assert "processors applied anew, by lbctld: 1 settings changed" == told[-1][2]


def test_the_machine_starts_anew(keeper, world):
    """
    All is lost then, and done again; what restore comes back to is of this start.
    """
    keeper.apply(CONFIGURED, ["eth1"], "alice")
    keeper.restore("alice")
    fresh = world.snapshot()
    keeper.apply(CONFIGURED, ["eth1"], "alice")
    applied = world.snapshot()
    for path, text in fresh["files"].items():
        world.put(path, text)
    world.put(f"proc/{BOOT}", "second")
    world.put("proc/irq/9/smp_affinity_list", "0")
    keeper.resume()
    found = world.snapshot()["files"]
    keeper.restore("alice")

    changed = {f"proc/{BOOT}": "second", "proc/irq/9/smp_affinity_list": "0"}
    assert {**applied["files"], **changed} == found
    assert {**fresh["files"], **changed} == world.snapshot()["files"]


def test_a_start_never_fails(keeper, world, monkeypatch, caplog):
    """
    Packets have to flow all the same.
    """
    keeper.apply(CONFIGURED, ["eth1"], "alice")
    monkeypatch.setattr(world, "index", None)
    keeper.resume()

    assert "could not be dedicated anew" in caplog.text


def test_a_process_of_an_application(keeper, world):
    """
    It gets the CPUs of its processor, and what it had when all is undone.
    """
    world.add_process(7)
    before = keeper.admit("voip", 7), world.affinity[7]
    keeper.apply(WITH_APP, ["eth1"], "alice")
    said = keeper.admit("voip", 7), keeper.admit("web", 7), keeper.admit("voip", 99)
    during = world.affinity[7]
    again = keeper.apply(WITH_APP, ["eth1"], "alice")
    keeper.restore("alice")

    assert ("", {0, 1, 2, 3}) == before
    assert (("", "", ""), {3}, ()) == (said, during, again.changed)
    assert {0, 1, 2, 3} == world.affinity[7]


def test_a_process_that_cannot_be_moved(keeper, world, monkeypatch):
    """
    That is said, and nothing fails.
    """
    world.add_process(7)
    keeper.apply(WITH_APP, ["eth1"], "alice")

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(world, "set_cpus", refuse)

    assert "app voip, process 7: Operation not permitted" == keeper.admit("voip", 7)
