"""
The work: apply, apply again, apply something else, and restore; whatever the machine is like.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lbctl.control.processors.facts import Kind, Place
from lbctl.control.processors.saved import Memory, Saved
from lbctl.control.processors.work import Work
from lbctl.errors import LbctlError
from lbctl.model import Polling, Processor, Role
from tests.unit.control.processors.made import BOOT, World

# Each example makes a folder full of files; to make it smaller takes minutes.
QUICK = settings(max_examples=12, deadline=None, phases=[Phase.generate])
CPUS = st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True)
NICS = ("eth1", "eth2", "va")
BREAKABLE = (
    *("irq/8/smp_affinity_list", "irq/200/smp_affinity_list", "irq/default_smp_affinity"),
    *("class/net/eth1/threaded", "class/net/eth1/queues/rx-0/rps_cpus"),
    *("devices/virtual/workqueue/cpumask", "cgroup.subtree_control"),
)


@pytest.fixture(autouse=True, scope="module")
def no_disk():
    """
    Nothing waits for a disk: what is written is there all the same.
    """
    with patch.object(os, "fsync"):
        yield


def applied(world, processors, memory, *, only_own=False):
    """Apply; what came of it."""
    with world.machine() as machine:
        work = Work(machine, memory)
        wanted = Saved(boot=machine.boot, processors=tuple(processors), only_own=only_own)
        work.apply(wanted, [nic for each in processors for nic in each.nics])
        return work.outcome


def restored(world, memory):
    """Restore; what came of it."""
    with world.machine() as machine:
        work = Work(machine, memory)
        work.restore()
        return work.outcome


@st.composite
def wishes(draw):
    """What somebody may want, sensible or not."""
    made, left = [], list(NICS)
    for number in range(draw(st.integers(0, 3))):
        role = draw(st.sampled_from(Role))
        mine = draw(st.lists(st.sampled_from(left), unique=True)) if left else []
        nics = mine if role is Role.SWITCHING else []
        left = [name for name in left if name not in nics]
        made.append(
            Processor(
                name=f"p{number}",
                role=role,
                cpus=tuple(draw(CPUS)),
                nics=tuple(nics),
                polling=draw(st.sampled_from(Polling)),
            )
        )
    return made


@st.composite
def worlds(draw):
    """Say what a machine is like: a function that makes it in a folder."""
    count, cpusets = draw(st.integers(1, 4)), draw(st.booleans())
    queues = [draw(st.integers(1, 4)) for _ in NICS]
    frozen, polled, threaded = (draw(st.booleans()) for _ in range(3))
    broken = draw(st.sets(st.sampled_from(BREAKABLE)))
    masks = [draw(st.integers(1, (1 << count) - 1)) for _ in range(3)]

    def make(folder):
        world = World(folder, count, cpusets=cpusets)
        world.add_nic("eth1", queues[0]).frozen = frozen
        world.add_nic("eth2", queues[1])
        world.add_nic("va", queues[2], driver="veth", polled=polled)
        if threaded:
            world.put("sys/class/net/eth2/threaded", "1")
            world.affinity[30000] = frozenset({0})
        last = queues[1] - 1
        world.put(f"sys/class/net/eth2/queues/rx-{last}/rps_cpus", f"{masks[0]:x}")
        world.put(f"sys/class/net/eth2/queues/tx-{last}/xps_cpus", f"{masks[1]:x}")
        world.put("proc/irq/default_smp_affinity", f"{masks[2]:x}")
        for tree in world.trees.values():
            tree.broken = broken
        return world

    return make


@QUICK
@given(worlds(), st.lists(wishes(), min_size=1, max_size=3), st.booleans())
def test_restore_undoes_whatever_was_applied(make, wanted, only_own):
    """
    Once or several times, on any machine, with settings that refuse to be made.
    """
    with tempfile.TemporaryDirectory() as folder:
        world, memory = make(Path(folder, "machine")), Memory(Path(folder))
        before = world.snapshot()
        for processors in wanted:
            applied(world, processors, memory, only_own=only_own)
        restored(world, memory)

        assert before == world.snapshot()
        assert memory.read() is None
        world.close()


@QUICK
@given(worlds(), wishes(), wishes())
def test_applying_twice_changes_nothing(make, first, second):
    """
    And what was applied before makes no difference.
    """
    with tempfile.TemporaryDirectory() as folder:
        world, memory = make(Path(folder, "machine")), Memory(Path(folder))
        applied(world, first, memory)
        applied(world, second, memory)
        once = world.snapshot()
        again = applied(world, second, memory)

        assert ([], once) == (again.changed, world.snapshot())
        world.close()


@QUICK
@given(worlds(), wishes(), st.integers(0, 40))
def test_a_crash_in_the_middle(make, wanted, writes):
    """
    After any number of changes: what was there is on the disk already.
    """

    class PowerCut(BaseException):
        """Nobody catches it."""

    left = [writes]

    def cut(write):
        def counted(*given):
            left[0] -= 1
            if left[0] < 0:
                raise PowerCut
            return write(*given)

        return counted

    with tempfile.TemporaryDirectory() as folder:
        world, memory = make(Path(folder, "machine")), Memory(Path(folder))
        before = world.snapshot()
        kept = {name: tree.write for name, tree in world.trees.items()}
        for tree in world.trees.values():
            tree.write = cut(tree.write)
        with contextlib.suppress(PowerCut):
            applied(world, wanted, memory)
        for name, tree in world.trees.items():
            tree.write = kept[name]
        restored(world, memory)

        assert before == world.snapshot()
        world.close()


FAST = Processor(name="fast", cpus=(1,), nics=("eth1",))


@pytest.fixture
def memory(tmp_path):
    """
    Nothing is remembered.
    """
    return Memory(tmp_path)


def test_what_is_wanted_no_more(world, memory):
    """
    It is undone, and the rest stays.
    """
    world.add_nic("eth1")
    world.add_nic("eth2")
    both = FAST.model_copy(update={"nics": ("eth1", "eth2")})
    applied(world, [both], memory)
    applied(world, [FAST], memory)

    with world.machine() as machine:
        rps = [machine.read(Place(Kind.RPS, f"eth{n}", 0, n + 1)) for n in (1, 2)]
    assert ["d", "0"] == rps


def test_what_cannot_be_set(world, memory):
    """
    It is told in a line; the rest is done, and restore has nothing to say about it.
    """
    world.add_nic("eth1")
    world.trees["proc"].broken = {"irq/8/smp_affinity_list"}
    outcome = applied(world, [FAST], memory)

    assert ["IRQ 8: the kernel or the driver keeps it as it is"] == outcome.failures
    assert "IRQ 9: 0-3 -> 0,2-3" in outcome.changed
    assert [] == restored(world, memory).failures


def test_a_driver_that_keeps_its_queues(world, memory):
    """
    The queues that there are get their CPUs.
    """
    world.add_nic("eth1", queues=2).frozen = True
    outcome = applied(world, [FAST.model_copy(update={"cpus": (1, 2, 3)})], memory)

    assert ["eth1 queues: it refuses"] == outcome.failures
    assert {"IRQ 200: 0-3 -> 1", "IRQ 201: 0-3 -> 2"} <= set(outcome.changed)


def test_a_nic_that_has_vanished(world, memory):
    """
    Another one of that name keeps what it has.
    """
    nic = world.add_nic("eth1")
    applied(world, [FAST], memory)
    nic.index = 9
    world.put("sys/class/net/eth1/ifindex", "9")
    outcome = restored(world, memory)

    with world.machine() as machine:
        assert "d" == machine.read(Place(Kind.RPS, "eth1", 0, 9))
    assert {"eth1 queues", "eth1 rx 0 RPS", "eth1 tx 0 XPS"} <= set(outcome.gone)
    assert [] == outcome.failures


def test_a_restart_of_the_machine(world, memory):
    """
    It has undone everything: numbers of interrupts may mean others now.
    """
    applied(world, [FAST], memory)
    world.put(f"proc/{BOOT}", "second")
    world.put("proc/irq/8/smp_affinity_list", "2")

    assert [] == restored(world, memory).changed
    assert memory.read() is None


def test_what_cannot_be_undone(world, memory):
    """
    It stays in memory for another attempt.
    """
    applied(world, [FAST], memory)
    world.trees["proc"].broken = {"irq/8/smp_affinity_list"}
    outcome = restored(world, memory)
    left = memory.read()
    world.trees["proc"].broken = set()

    assert 1 == len(outcome.failures)
    assert [Place(Kind.IRQ, number=8)] == [setting.place for setting in left.settings]
    assert () == left.processors
    assert ["IRQ 8: 0,2-3 -> 0-3"] == restored(world, memory).changed


def test_a_file_that_makes_no_sense(memory, caplog):
    """
    It is put aside, and nothing was applied.
    """
    memory.path.write_text("{")

    assert memory.read() is None
    assert memory.path.with_suffix(".damaged").exists()
    assert "makes no sense" in caplog.text


def test_a_disk_that_is_full(world, tmp_path):
    """
    Then nothing is changed, for it could not be undone.
    """
    before = world.snapshot()
    with pytest.raises(LbctlError, match="nothing was changed"):
        applied(world, [FAST], Memory(tmp_path / "none"))

    assert before == world.snapshot()
