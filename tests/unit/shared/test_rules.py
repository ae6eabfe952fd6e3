"""Rules as packets see them: their keys, both buffers, and what a new process finds."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbctl.errors import LbctlError
from lbctl.model import Timeouts
from lbctl.shared import abi, rules, syscall, tables
from lbctl.shared.abi import Role, ServiceFlag
from lbctl.shared.records import ServiceRule
from tests.unit.shared.fakes import TINY, FakeTables, Shared, service

SERVERS = ["10.0.1.11:80", "10.0.1.12:80", "10.0.1.13:80"]
VIPS = ["203.0.113.10:80/tcp", "203.0.113.20:*/udp", "203.0.113.30:53/udp"]
NETWORKS = [None, *map(ip_network, ["0.0.0.0/0", "198.51.100.0/24", "198.51.100.7/32"])]
FD = 1  # of the rules, in the fakes


def rule(clients=None, port=0, slots=(0,)):
    """Make a rule; *clients* as text."""
    network = ip_network(clients) if clients else None
    return ServiceRule(network, port, np.array(slots, np.uint16))


def with_rules(vip, *found, **more):
    """Make a service of three servers with these rules."""
    return replace(service(vip, *SERVERS, **more), rules=found)


def held():
    """All rules of both buffers."""
    keys = syscall.map_keys(FD, abi.RULE_KEY.itemsize)
    return {key: syscall.map_lookup(FD, key, abi.RUN.itemsize) for key in keys}


def publish(shared, *services):
    """Publish services as the next generation."""
    generation = shared.configuration.generation + 1
    shared.configuration.publish(services, Timeouts(), generation)


@pytest.mark.parametrize(
    ("clients", "bits", "words"),
    [
        (None, 0, "::"),
        ("0.0.0.0/0", 96, "::ffff:0.0.0.0"),
        ("198.51.100.0/24", 120, "::ffff:198.51.100.0"),
        ("198.51.100.7/32", 128, "::ffff:198.51.100.7"),
        ("::/0", 0, "::"),
        ("2001:db8::/32", 32, "2001:db8::"),
        ("2001:db8::7/128", 128, "2001:db8::7"),
    ],
)
def test_keys(clients, bits, words):
    """
    Service, buffer and port as they lie in memory, then as much of the address as the prefix says.
    """
    expected = (64 + bits).to_bytes(4, "little") + b"\x05\x02\x01\x00" + b"\x01\xbb\0\0"

    assert expected + ip_address(words).packed == rules.key(1, 0x205, rule(clients, 443))


def test_runs():
    """
    Two numbers of four bytes, which packets read as one.
    """
    assert b"\x04\x03\0\0\x21\0\0\0" == rules.run(0x304, 33)


class Written:
    """The system calls that change the rules."""

    def __init__(self, patch):
        self.calls = []
        for name in ("map_update", "map_delete"):
            patch.setattr(syscall, name, self.note(name, getattr(syscall, name)))

    def note(self, name, call):
        """Do it, and remember."""

        def noted(fd, key, *value):
            call(fd, key, *value)
            buffer = int(np.frombuffer(key, abi.RULE_KEY)["buffer"][0])
            self.calls.append((name.removeprefix("map_"), "AB"[buffer]))

        return noted

    def new(self):
        """What was called since."""
        calls, self.calls = self.calls, []
        return calls


def test_only_what_is_different_is_written(monkeypatch):
    """
    Into the spare buffer, never into the one that packets read.
    """
    shared, written = Shared(), Written(monkeypatch)
    one, two = rule("198.51.100.0/24"), rule("192.0.2.0/24", slots=[0, 1])
    other = rule("192.0.2.0/24", slots=[2])
    seen = []
    for found in ((one,), (one, two), (one, two), (one, other), (other,), (other,), ()):
        publish(shared, with_rules(VIPS[0], *found))
        seen.append((shared.configuration.active_buffer, written.new()))

    assert seen == [
        ("B", [("update", "B")]),
        ("A", [("update", "A"), ("update", "A")]),
        ("B", [("update", "B")]),
        ("A", [("update", "A")]),  # its run is shorter now
        ("B", [("delete", "B"), ("update", "B")]),
        ("A", [("delete", "A"), ("update", "A")]),
        ("B", [("delete", "B")]),
    ]


def test_a_new_process_takes_nothing_for_granted(monkeypatch):
    """
    It knows which rules there are but not where they lead: it writes them anew, and removes others.
    """
    shared = Shared()
    for _ in range(2):
        publish(shared, with_rules(VIPS[0], rule("198.51.100.0/24"), rule("192.0.2.0/24")))
    written, shared = Written(monkeypatch), Shared(tables=shared.tables)
    assert 4 == len(held())
    for buffer in "BA":
        publish(shared, with_rules(VIPS[0], rule("198.51.100.0/24")))
        assert sorted(written.new()) == [("delete", buffer), ("update", buffer)]
    assert 2 == len(held())


def test_a_write_that_fails_half_way(monkeypatch):
    """
    Packets see the old generation, and the next attempt does what is left.
    """
    shared, calls = Shared(), []
    publish(shared, with_rules(VIPS[0], rule("198.51.100.0/24")))
    wanted = [rule(f"192.0.2.{n}/32") for n in range(4)]
    before = held()
    with monkeypatch.context() as patch:
        update = syscall.map_update

        def fail_at_the_third(fd, key, value):
            calls.append(key)
            if len(calls) == 3:
                raise OSError(12, "Cannot allocate memory")
            update(fd, key, value)

        patch.setattr(syscall, "map_update", fail_at_the_third)
        with pytest.raises(OSError, match="Cannot allocate memory"):
            publish(shared, with_rules(VIPS[0], *wanted))
    active = "AB".index(shared.configuration.active_buffer)
    assert before == {k: v for k, v in held().items() if of(k)["buffer"] == active}
    assert 1 == shared.configuration.generation

    publish(shared, with_rules(VIPS[0], *wanted))
    assert_is_what_packets_see(shared, [with_rules(VIPS[0], *wanted)])


def test_no_room():
    """
    One word about what would help.
    """
    shared = Shared()
    several = [with_rules(vip, rule(), rule("198.51.100.0/24")) for vip in VIPS]
    with pytest.raises(LbctlError) as failure:
        publish(shared, *several)

    assert str(failure.value) == "rules: 6 are wanted and 4 fit; start lbctld with larger --rules"
    assert 0 == shared.configuration.generation
    publish(shared, *several[:2])


def test_the_table_has_room_for_both_buffers_and_one_more():
    """
    Old kernels want room for an entry that they only replace.
    """
    spec = tables.specifications(replace(TINY, rules=100))["rules"]

    assert (201, 201, 28, 8) == (
        spec.entries,
        spec.info.entries,
        spec.info.key_size,
        spec.info.value_size,
    )


@pytest.mark.parametrize(
    ("slots", "found", "several"),
    [
        ([0, 0, 0], [], False),
        ([0, 1], [], True),
        ([0, 0], [[1, 1], [2]], False),
        ([0, 0], [[1, 1], [2, 1]], True),
        ([], [[1, 2]], True),
        ([], [[], [1]], False),
    ],
)
def test_several_servers_are_several_of_one_run(slots, found, several):
    """
    That others have others helps no client.
    """
    shared = Shared()
    made = [rule(f"192.0.2.{n}/32", slots=run) for n, run in enumerate(found)]
    publish(shared, with_rules(VIPS[0], *made, slots=slots))
    flags = active(shared, "backends")["flags"][:3]

    assert {several} == {bool(f & ServiceFlag.MULTIPLE) for f in flags.tolist()}


def test_a_run_with_one_server_has_one_slot():
    """
    By that packets know that nobody else would be found.  Without rules it is as it was dealt.
    """
    shared = Shared()
    publish(
        shared,
        with_rules(VIPS[0], rule(slots=[1] * 40), rule("192.0.2.0/24", slots=[1, 2] * 20)),
        service(VIPS[1], "10.0.2.1:80", slots=[0] * 40),
    )
    lengths = {int(np.frombuffer(run, abi.RUN)["slots"][0]) for run in held().values()}
    rows = active(shared, "services")
    rows = rows[rows["role"] == Role.SERVICE]

    assert {1, 40} == lengths
    assert {3, 40} == set(rows["slots"].tolist())


def of(key):
    """A key, as a record."""
    return np.frombuffer(key, abi.RULE_KEY)[0]


def active(shared, name):
    """The half of a table that packets read."""
    table, start = shared.tables[name], "AB".index(shared.configuration.active_buffer)
    return table[start * (len(table) // 2) :][: len(table) // 2]


def servers_of(shared, first_line, slots):
    """The addresses of the servers of a run."""
    flat = active(shared, "slots").view(np.uint16).reshape(-1)
    named = shared.configuration.backends()
    run = flat[first_line * abi.SLOTS_PER_LINE :][:slots]
    return [(str(named[index].vip), str(named[index].address)) for index in run.tolist()]


def assert_is_what_packets_see(shared, services):
    """The active buffer has these services' rules and no others; each leads to its servers."""
    buffer = "AB".index(shared.configuration.active_buffer)
    rows = active(shared, "services")
    index = {
        (int(row["address"][3]), int(row["port"])): int(row["index"])
        for row in rows[rows["role"] == Role.SERVICE]
    }
    wanted = {}
    for one in services:
        number = index[int(one.vip.address), one.vip.port]
        for found in one.rules:
            run = [(str(one.vip), str(one.backends[i].address)) for i in found.slots]
            wanted[rules.key(buffer, number, found)] = run[:1] if len(set(run)) == 1 else run
    seen = {
        key: servers_of(shared, *np.frombuffer(value, "<u4").tolist())
        for key, value in held().items()
        if of(key)["buffer"] == buffer
    }

    assert wanted == seen
    assert len(held()) <= 2 * shared.tables.capacity.rules


some_rules = st.dictionaries(
    st.tuples(st.sampled_from(NETWORKS), st.sampled_from([0, 443])),
    st.lists(st.integers(0, 2), max_size=70),
    max_size=4,
)
generations = st.lists(
    st.tuples(st.dictionaries(st.sampled_from(VIPS), some_rules), st.booleans()), max_size=8
)


@given(generations)
@settings(max_examples=60)
def test_whatever_is_published(history):
    """
    Each generation has its own rules, after a restart too; what does not fit changes nothing.
    """
    for key in held():
        syscall.map_delete(FD, key)
    shared = Shared(tables=FakeTables())
    last = []
    for wanted, restart in history:
        services = [
            replace(
                service(vip, *SERVERS),
                rules=tuple(
                    ServiceRule(clients, port, np.array(run, np.uint16))
                    for (clients, port), run in found.items()
                ),
            )
            for vip, found in wanted.items()
        ]
        if sum(map(len, wanted.values())) > TINY.rules:
            with pytest.raises(LbctlError, match=r"^rules: "):
                publish(shared, *services)
        else:
            publish(shared, *services)
            last = services
        assert_is_what_packets_see(shared, last)
        if restart:
            shared = Shared(tables=shared.tables)


def test_rules_go_with_their_vip():
    """
    What is left of a removed one has connections to finish, and takes no new ones by any rule.
    """
    shared = Shared()
    publish(shared, with_rules(VIPS[0], rule("198.51.100.0/24")))
    shared.connect(0, 0)
    for _ in range(2):
        publish(shared, service(VIPS[2]))
        rows = active(shared, "services")
        (left,) = rows[(rows["flags"] & ServiceFlag.ORPHAN != 0) & (rows["role"] == Role.SERVICE)]

        assert not left["flags"] & ServiceFlag.RULES
