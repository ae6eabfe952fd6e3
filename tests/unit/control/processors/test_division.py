"""
The division of CPUs among tasks, and what is proposed for a machine.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.control.processors.division import divide, propose
from lbctl.control.processors.facts import Facts, Nic, Queues
from lbctl.model import Processor, Role

FOUR = frozenset(range(4))


def card(name, count=2, **fields):
    """A NIC with combined queues."""
    irqs = {queue: (100 + queue,) for queue in range(count)}
    fields = {"queues": Queues(0, 0, count, 8), "queue_irqs": irqs, **fields}
    return Nic(name, 2, "ixgbe", receive=count, transmit=count, **fields)


def machine(*nics, cpus=FOUR, **fields):
    """The facts of a machine with these NICs."""
    return Facts(frozenset(cpus), {nic.name: nic for nic in nics}, **fields)


def dealt(facts, *processors):
    """Which CPU has which queue."""
    found = divide(facts, [Processor(**fields) for fields in processors])
    return [(serving.nic, serving.queue, serving.cpu) for serving in found.servings]


def test_several_cpus_for_a_nic():
    """
    A queue for each of them.
    """
    wanted = {"name": "fast", "cpus": (1, 2, 3), "nics": ("eth1",)}

    assert [("eth1", 0, 1), ("eth1", 1, 2), ("eth1", 2, 3)] == dealt(machine(card("eth1")), wanted)


def test_several_nics_for_a_cpu():
    """
    It serves all their queues.
    """
    wanted = {"name": "fast", "cpus": (3,), "nics": ("eth1", "eth2")}
    facts = machine(card("eth1"), card("eth2"))

    assert [("eth1", 0, 3), ("eth2", 0, 3)] == dealt(facts, wanted)


def test_queues_that_cannot_be_set():
    """
    They are dealt in turn, one NIC after the other, so that each CPU gets some.
    """
    wanted = {"name": "fast", "cpus": (1, 2), "nics": ("eth1", "eth2")}
    facts = machine(card("eth1", 1, queues=None), card("eth2", 3, queues=None))

    assert [1, 2, 1, 2] == [cpu for _, _, cpu in dealt(facts, wanted)]


def test_a_veth_keeps_its_queues():
    """
    The other end sends to each of them.
    """
    told = Queues(4, 2, most=8)
    nic = Nic("va", 2, "veth", queues=told, receive=4, transmit=2)
    wanted = Processor(name="fast", cpus=(1, 2, 3), nics=("va",))
    counts = divide(machine(nic), [wanted]).counts

    assert "rx 4 tx 3 combined 0" == str(counts["va"])


def test_everything_else():
    """
    Runs where nothing is dedicated; lbctld on what is the control processor's, or there too.
    """
    fast = Processor(name="fast", cpus=(2,), nics=("eth1",))
    app = Processor(name="app", role=Role.APPLICATION, cpus=(3,))
    mine = Processor(name="mine", role=Role.CONTROL, cpus=(0,))
    facts = machine(card("eth1"))
    without, with_control = divide(facts, [fast, app]), divide(facts, [fast, app, mine])

    assert [{0, 1}, {0, 1}] == [without.others, without.control]
    assert [{0, 1}, {0}] == [with_control.others, with_control.control]


@pytest.mark.parametrize(
    ("processors", "remark"),
    [
        (({"cpus": (1, 9)},), "processor p0: there is no CPU 9"),
        (({"cpus": (1,), "nics": ("eth9",)},), "processor p0: there is no NIC eth9"),
        (
            ({"cpus": (1,)}, {"cpus": (1,), "role": "control"}),
            "CPU 1 is for switching and for control: not dedicated",
        ),
        (({"cpus": (2,)},), "CPUs 2 and 3 are one core: what runs on 3 slows 2 down"),
        (({"cpus": (0, 1, 2, 3)},), "no CPU is left for everything else: interrupts and programs"),
    ],
)
def test_remarks(processors, remark):
    """
    What does not go, or not well, in one line each.
    """
    named = [Processor(name=f"p{n}", **fields) for n, fields in enumerate(processors)]
    twins = {cpu: frozenset({cpu}) for cpu in (0, 1)} | dict.fromkeys((2, 3), frozenset({2, 3}))
    (told,) = divide(machine(siblings=twins), named).remarks

    assert told.startswith(remark)


def proposed(facts, apps=()):
    """A proposal in short."""
    return [(each.name, each.cpus, each.nics, str(each.polling)) for each in propose(facts, apps)]


def test_a_proposal_for_two_cpus():
    """
    One for switching, one for everything else.
    """
    facts = machine(card("eth1"), card("eth2"), cpus=(0, 1))

    assert [
        ("control", (0,), (), "interrupt"),
        ("switching", (1,), ("eth1", "eth2"), "interrupt"),
    ] == proposed(facts)


def test_a_proposal_for_one_cpu():
    """
    There is nothing to divide.
    """
    assert [] == proposed(machine(card("eth1"), cpus=(0,)))


def test_a_proposal_with_much_of_everything():
    """
    A whole core is kept; apps get a quarter; NICs are served near by, veths by threads.
    """
    twins = {cpu: frozenset({cpu % 8, cpu % 8 + 8}) for cpu in range(16)}
    nodes = {cpu: cpu % 8 // 4 for cpu in range(16)}
    veth = Nic("va", 5, "veth", polls=())
    facts = machine(
        *(card("eth1", node=0), card("eth2", node=1), veth),
        cpus=range(16),
        siblings=twins,
        nodes=nodes,
    )

    assert [
        ("control", (0, 8), (), "interrupt"),
        ("apps", (14, 7, 15), (), "interrupt"),
        ("switching0", (1, 9, 2, 10, 3, 11), ("va",), "threaded"),
        ("switching1", (1, 9, 2, 10, 3, 11), ("eth1",), "interrupt"),
        ("switching2", (4, 12, 5, 13, 6), ("eth2",), "interrupt"),
    ] == proposed(facts, ["voip"])


@given(st.frozensets(st.integers(0, 20), max_size=12), st.booleans(), st.integers(0, 3))
def test_no_cpu_is_proposed_twice(cpus, has_apps, nics):
    """
    Every role has CPUs that there are, and no other has these; one is kept for everything else.
    """
    facts = machine(*(card(f"eth{n}") for n in range(nics)), cpus=cpus | {21})
    made = propose(facts, ["voip"] if has_apps else [])
    found = divide(facts, made)
    named = [cpu for each in made for cpu in each.cpus]

    assert set(named) <= facts.cpus
    assert sorted(set(named)) == sorted(named)
    assert () == found.remarks
    assert not made or found.others
