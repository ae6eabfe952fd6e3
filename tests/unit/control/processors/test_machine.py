"""
The reading and setting of a machine.
"""

from __future__ import annotations

import pytest

from lbctl.control.processors.facts import Kind, Place
from tests.unit.control.processors.made import World


def facts_of(world, *nics):
    """What there is to be known."""
    with world.machine() as machine:
        return machine.facts(nics)


def test_a_nic_and_its_interrupts(world):
    """
    As the kernel tells which interrupt is whose.
    """
    world.add_nic("eth1", queues=2)
    nic = facts_of(world, "eth1").nics["eth1"]

    assert ("ixgbe", 2, 2) == (nic.driver, nic.receive, nic.transmit)
    assert "rx 0 tx 0 combined 2" == str(nic.queues)
    assert {0: (200,), 1: (201,)} == nic.queue_irqs


def test_interrupts_by_their_names(world):
    """
    Where the kernel does not tell; those of a virtio NIC are the PCI function's.
    """
    nic = world.add_nic("eth1", queues=2, driver="veth", polled=False)
    names = ("virtio2-config", "virtio2-input.0", "virtio2-output.0", "virtio2-input.1")
    pci = world.folder / "sys/devices/pci3"
    for number, name in enumerate(names, 40):
        world.add_irq(number, name)
        world.put(f"sys/devices/pci3/msi_irqs/{number}", "msix")
    (pci / "virtio2").mkdir()
    (world.folder / nic.folder / "device").symlink_to("../../../devices/pci3/virtio2")
    found = facts_of(world, "eth1").nics["eth1"]

    assert {40, 41, 42, 43} == found.irqs
    assert {0: (41, 42), 1: (43,)} == found.queue_irqs


def test_another_namespace(world):
    """
    A NIC that /sys shows and the kernel does not, or not as the same, is not there.
    """
    world.add_nic("eth1").index = 77

    assert {} == facts_of(world, "eth1", "eth2").nics
    with world.machine() as machine:
        assert machine.read(Place(Kind.THREADED, "eth1", identity=2)) is None


def test_interrupts_that_nobody_uses(world):
    """
    They are no business of ours.
    """
    world.put("proc/irq/3/smp_affinity_list", "0-3")

    assert {8: "disk.0", 9: "disk.1"} == facts_of(world).irqs


def test_one_form(world):
    """
    Masks are written in many ways and read in one.
    """
    world.put("proc/irq/default_smp_affinity", "00000000,0000000f\n")

    assert "f" == facts_of(world).values[Place(Kind.NEW_IRQS)]


def test_what_runs(world):
    """
    Whether irqbalance does.
    """
    before = facts_of(world).balancer
    world.add_process(7, "irqbalance")

    assert (False, True) == (before, facts_of(world).balancer)


@pytest.mark.parametrize(
    ("kind", "name", "number", "value"),
    [
        (Kind.IRQ, "", 8, "1-2"),
        (Kind.NEW_IRQS, "", 0, "3"),
        (Kind.WORK, "", 0, "1"),
        (Kind.GOVERNOR, "", 1, "performance"),
        (Kind.DAEMON, "", 0, "0"),
        (Kind.THREADED, "eth1", 0, "1"),
        (Kind.DEFER, "eth1", 0, "2"),
        (Kind.FLUSH, "eth1", 0, "200000"),
        (Kind.RPS, "eth1", 1, "5"),
        (Kind.XPS, "eth1", 0, "8"),
        (Kind.QUEUES, "eth1", 0, "rx 0 tx 0 combined 4"),
        (Kind.SPREAD, "eth1", 0, "1 1 1 1 1 1 1 1"),
    ],
)
def test_set_is_what_is_read(world, kind, name, number, value):
    """
    Of everything.
    """
    world.add_nic("eth1")
    place = Place(kind, name, number, 2 if name else 0)
    with world.machine() as machine:
        before = machine.read(place)
        machine.write(place, value)
        assert (True, value) == (before not in (None, value), machine.read(place))


def test_a_thread_of_a_queue(world):
    """
    It is there once the NIC is threaded.
    """
    world.add_nic("eth1")
    place = Place(Kind.THREAD, "eth1", 1, 2)
    with world.machine() as machine:
        before = machine.read(place)
        machine.write(Place(Kind.THREADED, "eth1", identity=2), "1")
        machine.write(place, "3")
        assert (None, "3") == (before, machine.read(place))


def test_all_threads_of_lbctld(world):
    """
    Those that it makes later come from these.
    """
    with world.machine() as machine:
        machine.write(Place(Kind.DAEMON), "0")

    assert [{0}, {0}] == [world.affinity[thread] for thread in world.threads()]


def test_another_process_of_that_number(world):
    """
    When it was started tells them apart.
    """
    world.add_process(7)
    with world.machine() as machine:
        place = machine.process("voip", 7)
        assert "0-3" == machine.read(place)
        assert machine.read(place._replace(identity=1)) is None
        with pytest.raises(ProcessLookupError):
            machine.write(place._replace(identity=1), "0")


def test_a_group_with_cpus_of_its_own(tmp_path):
    """
    Made with its processes, and gone without them.
    """
    world = World(tmp_path / "machine", cpusets=True)
    place = Place(Kind.GROUP)
    with world.machine() as machine:
        without = machine.admit(7)
        machine.write(place, "2-3")
        assert (False, True, "2-3") == (without, machine.admit(7), machine.read(place))
        machine.write(place, "none")
        assert "none" == machine.read(place)
    assert "cgroup.procs 7" == world.trees["group"].written[-1]
    world.close()


def test_a_group_that_the_kernel_does_not_want(tmp_path):
    """
    It says why, and nothing is left of it.
    """
    world = World(tmp_path / "machine", cpusets=True)
    world.trees["group"].partition = "root invalid (Cpu list in cpuset.cpus not exclusive)"
    with world.machine() as machine:
        with pytest.raises(OSError, match="not exclusive"):
            machine.write(Place(Kind.GROUP), "3")
        assert "none" == machine.read(Place(Kind.GROUP))
    world.close()


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("cgroup.controllers", "cpu memory", "cgroup v2 has no cpusets here"),
        ("cgroup.type", "domain", "this is a container's cgroup"),
    ],
)
def test_no_groups(tmp_path, file, text, reason):
    """
    That is a reason, not a failure.
    """
    world = World(tmp_path / "machine", cpusets=True)
    world.put(f"group/{file}", text)
    found = facts_of(world)

    assert found.cpusets.startswith(reason)
    assert not {Place(Kind.GROUP), Place(Kind.CONTROLLER)} & set(found.values)
    world.close()
