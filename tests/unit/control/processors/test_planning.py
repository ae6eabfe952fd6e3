"""
The plan: what leads from the facts of a machine to what is wanted of it.
"""

from __future__ import annotations

import pytest

from lbctl.control.processors.planning import plan
from lbctl.model import Processor
from tests.unit.control.processors.made import World

FAST = {"name": "fast", "cpus": (1, 2), "nics": ("eth1",)}
APP = {"name": "apps", "role": "application", "cpus": (3,)}


def planned(world, *processors, **options):
    """The plan for a made-up machine."""
    wanted = [Processor(**fields) for fields in processors]
    with world.machine() as machine:
        return plan(machine.facts([nic for each in wanted for nic in each.nics]), wanted, **options)


def changes(made):
    """What is to be done, in short."""
    return {str(step.place): step.wanted for step in made.pending}


def refusals(made):
    """What cannot be, in short."""
    return {str(step.place): step.refused for step in made.steps if step.refused}


def test_all_of_it(world):
    """
    Interrupts go to the CPU of their queue, all others away, and so does everything else.
    """
    world.add_nic("eth1", queues=2)
    made = planned(world, FAST)

    assert {
        "IRQ 200": "1",
        "IRQ 201": "2",
        "eth1 rx 0 RPS": "9",
        "eth1 rx 1 RPS": "9",
        "eth1 tx 0 XPS": "2",
        "eth1 tx 1 XPS": "4",
        "lbctld": "0,3",
        "IRQ 8": "0,3",
        "IRQ 9": "0,3",
        "new IRQs": "9",
        "work queues": "9",
        "CPU 1 governor": "performance",
        "CPU 2 governor": "performance",
    } == changes(made)
    assert (8, 9, 200, 201) == made.irqs


def test_only_own(world):
    """
    Nothing is touched that is not the switch's.
    """
    world.add_nic("eth1", queues=2)
    made = planned(world, FAST, only_own=True)

    assert (200, 201) == made.irqs
    assert {"IRQ 200", "IRQ 201", "lbctld"} == {
        name for name in changes(made) if not name.startswith("eth1")
    }


def test_an_interrupt_that_is_well_where_it_is(world):
    """
    It stays on those of its CPUs that it may have.
    """
    world.add_nic("eth1", queues=2)
    world.put("proc/irq/8/smp_affinity_list", "2-3")
    world.put("proc/irq/9/smp_affinity_list", "0")
    found = changes(planned(world, FAST))

    assert ("3", None) == (found["IRQ 8"], found.get("IRQ 9"))


def test_more_queues(world):
    """
    Their settings are planned too, before they are there.
    """
    world.add_nic("eth1", queues=1)
    made = planned(world, FAST)
    order = [str(step.place) for step in made.steps]

    assert "rx 0 tx 0 combined 2" == changes(made)["eth1 queues"]
    assert {"eth1 rx 1 RPS", "eth1 tx 1 XPS"} <= set(changes(made))
    assert {} == refusals(made)
    assert order.index("eth1 queues") < order.index("eth1 RSS table")


def test_fewer_queues(world):
    """
    The RSS table must not name those that go.
    """
    world.add_nic("eth1", queues=4)
    made = planned(world, FAST)
    order = [str(step.place) for step in made.steps]

    assert "0 1 0 1 0 1 0 1" == changes(made)["eth1 RSS table"]
    assert order.index("eth1 RSS table") < order.index("eth1 queues")


def test_threads(world):
    """
    The NIC is threaded first; each thread has the CPU of its queue.
    """
    world.add_nic("eth1", queues=2, driver="veth")
    made = planned(world, {**FAST, "polling": "threaded"}, only_own=True)
    found = changes(made)

    assert ("1", "1", "2") == tuple(
        found[f"eth1 {what}"] for what in ("threaded", "rx 0 thread", "rx 1 thread")
    )
    assert {} == refusals(made)


def test_busy_polling(world):
    """
    Interrupts are deferred, and the kernel polls only if nobody else does.
    """
    world.add_nic("eth1", queues=2)
    found = changes(planned(world, {**FAST, "polling": "busy"}))

    assert "2" == found["eth1 napi_defer_hard_irqs"]
    assert "200000" == found["eth1 gro_flush_timeout"]


@pytest.mark.parametrize(
    ("polling", "polled", "which", "reason"),
    [
        (
            *("interrupt", True, "eth1 interrupts"),
            "veth has no interrupts; `polling: threaded` pins a thread",
        ),
        (
            *("busy", True, "eth1 gro_flush_timeout"),
            "veth cannot be polled by its user: packets would only wait 200 us",
        ),
        (
            *("threaded", False, "eth1 threaded"),
            "nothing polls it yet; `lbctl attach eth1`, then again",
        ),
    ],
)
def test_what_a_veth_cannot(world, polling, polled, which, reason):
    """
    One line says so.
    """
    world.add_nic("eth1", queues=2, driver="veth", polled=polled)
    made = planned(world, {**FAST, "polling": polling})

    assert reason == refusals(made)[which]
    assert 0 not in made.irqs


def test_an_old_kernel(world):
    """
    What it lacks is told, thing by thing.
    """
    nic = world.add_nic("eth1", queues=2)
    nic.polls = lambda: None
    (world.folder / nic.folder / "threaded").unlink()
    made = planned(world, {**FAST, "polling": "threaded"})

    assert {
        "eth1 threaded": "the kernel or the driver does not have it here",
        "eth1 rx 0 thread": "the kernel does not tell which thread (Linux 6.8 does)",
        "eth1 rx 1 thread": "the kernel does not tell which thread (Linux 6.8 does)",
    } == refusals(made)


def test_cpus_for_applications(tmp_path):
    """
    A group that nobody else shares.
    """
    world = World(tmp_path / "machine", cpusets=True)
    found = changes(planned(world, APP))
    world.close()

    assert ("on", "3") == (found["cgroup cpusets"], found["cgroup of applications"])


def test_no_cpusets(world):
    """
    An affinity is what there is, and that is said.
    """
    made = planned(world, APP)

    (remark,) = made.remarks

    assert remark.startswith("applications only get an affinity, others may run on their CPUs: ")
    assert remark.endswith("cgroup v2 has no cpusets here (cgroup v1 may have them)")
    assert "cgroup of applications" not in changes(made)


def test_one_cpu(tmp_path):
    """
    Nothing is to be done, and that is said.
    """
    world = World(tmp_path / "machine", 1)
    world.add_nic("eth1")
    made = planned(world, FAST)
    world.close()

    assert [] == list(made.steps)
    assert ["this machine has one CPU: there is none to dedicate"] == list(made.remarks)


def test_irqbalance(world):
    """
    It would undo it all.
    """
    world.add_process(7, "irqbalance")
    made = planned(world, {**FAST, "nics": ()})

    assert made.remarks[-1].startswith("irqbalance runs and moves interrupts as it likes")


def test_nothing_wanted(world):
    """
    Nothing is done.
    """
    assert [] == list(planned(world).steps)
