"""
Dedicated CPUs, alive: a NIC with several queues gets its threads, and has nothing of it afterwards.

Only what belongs to this NIC is touched: `--only-own` leaves the interrupts of the machine alone.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lbctl.control.processors.facts import Kind, Place
from lbctl.control.processors.machine import open_machine
from lbctl.testbed import namespaces
from tests.netns.live import going, none_failed, switch, vip4

NIC, FAR, QUEUES = "wide0", "wide1", 4
TWO = {"name": "two", "cpus": [0, 1], "nics": [NIC], "polling": "threaded"}

pytestmark = pytest.mark.skipif(os.cpu_count() < 2, reason="one CPU: there is none to dedicate")


@pytest.fixture(scope="module")
def live():
    """A switch with a NIC that has four queues, beside those with traffic."""
    with switch() as live:
        pair = f"numrxqueues {QUEUES} numtxqueues {QUEUES}"
        live.ip("switch", f"link add {NIC} {pair} type veth peer name {FAR} {pair}")
        live.ip("switch", f"link set {NIC} up")
        live.ip("switch", f"link set {FAR} up")
        live.lbctl("attach", NIC)
        live.pool("web", f"{vip4(10)}:80/tcp", live.backends())
        yield live
        live.lbctl("cpu", "restore")


def places(live):
    """All that can be set of the NIC, and where lbctld may run."""

    def look():
        with open_machine(live.name) as machine:
            facts = machine.facts([NIC])
            return {str(p): value for p, value in facts.values.items() if p.name == NIC}

    found = namespaces.call(live.bed.plan.namespace("switch"), look)
    return found | {"lbctld": sorted(os.sched_getaffinity(live.daemon.pid))}


def irqs():
    """Where each interrupt of the machine may go."""
    files = sorted(Path("/proc/irq").glob("*/smp_affinity_list"))
    return {str(path): path.read_text() for path in files}


def configure(live, *processors):
    """Have these processors in the configuration."""
    live.apply({**live.export(), "processors": list(processors)})


def test_threads_have_their_cpus(live):
    """
    Each queue has a thread on its CPU; restore brings all back, and no interrupt was touched.
    """
    before, interrupts = places(live), irqs()
    configure(live, {**TWO, "cpus": [1]}, {"name": "rest", "role": "control", "cpus": [0]})
    done = live.json("cpu", "apply", "--only-own")
    during = places(live)
    again = live.json("cpu", "apply", "--only-own")
    undone = live.json("cpu", "restore")

    assert {"1"} == {during[f"{NIC} rx {queue} thread"] for queue in range(QUEUES)}
    assert {"1"} == {during[f"{NIC} rx {queue} RPS"] for queue in range(QUEUES)}
    assert {"2"} == {during[f"{NIC} tx {queue} XPS"] for queue in range(QUEUES)}
    assert [0] == during["lbctld"]
    assert ([], []) == (done["cannot"], again["changed"])
    assert (before, interrupts) == (places(live), irqs())
    assert ([], []) == (undone["cannot"], undone["gone"])


def test_several_cpus_for_a_nic(live):
    """
    Queues are dealt in turn.
    """
    configure(live, TWO)
    live.lbctl("cpu", "apply", "--only-own")
    found = places(live)
    live.lbctl("cpu", "restore")

    assert ["0", "1", "0", "1"] == [found[f"{NIC} rx {queue} thread"] for queue in range(QUEUES)]


def test_busy_polling_of_a_veth(live):
    """
    It is refused in a line, and nothing else fails for it.
    """
    configure(live, {**TWO, "cpus": [1], "polling": "busy"})
    done = live.json("cpu", "apply", "--only-own")
    found = places(live)
    live.lbctl("cpu", "restore")

    assert {
        f"{NIC} {what}: veth cannot be polled by its user: packets would only wait 200 us"
        for what in ("napi_defer_hard_irqs", "gro_flush_timeout")
    } == set(done["cannot"])
    assert ("0", "2") == (found[f"{NIC} napi_defer_hard_irqs"], found[f"{NIC} tx 0 XPS"])


def test_the_daemon_is_killed(live):
    """
    What it set stays, the next one gets its CPUs again, and can undo it all.
    """
    before = places(live)
    live.lbctl("cpu", "apply", "--proposed", "--only-own")
    during = places(live)
    live.kill()
    live.start()
    after = places(live)
    live.lbctl("cpu", "restore")

    assert (during, before) == (after, places(live))
    assert "as applied by `--proposed`" not in live.lbctl("cpu", "plan")


def test_under_traffic(live):
    """
    All NICs are given to a CPU and taken from it, and no request fails.
    """
    configure(live)
    with live.crowd(f"http://{vip4(10)}/") as crowd:
        going(crowd)
        done = live.json("cpu", "apply", "--proposed", "--only-own")
        going(crowd)
        undone = live.json("cpu", "restore")
        going(crowd)
        none_failed(crowd)

    assert [] == done["cannot"]
    assert len(done["changed"]) == len(undone["changed"])


def test_a_nic_that_goes(live):
    """
    Restore says so and undoes the rest.
    """
    configure(live, {**TWO, "cpus": [1]})
    live.ip("switch", "link add gone0 type veth peer name gone1")
    live.ip("switch", "link set gone0 up")
    live.lbctl("attach", "gone0")
    live.lbctl("cpu", "apply", "--proposed", "--only-own")
    live.ip("switch", "link delete gone0")
    undone = live.json("cpu", "restore")

    assert {f"gone0 {what}" for what in ("threaded", "rx 0 thread", "rx 0 RPS", "tx 0 XPS")} == set(
        undone["gone"]
    )
    assert [] == undone["cannot"]


def test_the_plan_names_every_interrupt(live):
    """
    All of the machine without `--only-own`, none with it: a veth has none.
    """
    every, own = live.json("cpu", "plan"), live.json("cpu", "plan", "--only-own")
    used = {
        int(path.parent.name)
        for path in Path("/proc/irq").glob("*/*")
        if path.is_dir() and path.parent.name.isdecimal()
    }

    assert (used, []) == (set(every["irqs"]), own["irqs"])


def test_another_namespaces_nics(live):
    """
    /sys is read as the namespace of the switch has it: names of another one mean nothing.
    """

    def look():
        with open_machine(live.name) as machine:
            names = {path.name for path in Path("/sys/class/net").iterdir()} - {"lo", NIC}
            return machine.facts(names).nics, machine.read(Place(Kind.THREADED, NIC, identity=1))

    assert ({}, None) == namespaces.call(live.bed.plan.namespace("switch"), look)
