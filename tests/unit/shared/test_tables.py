"""The tables: sizes, what is refused, and the secret keys."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.errors import LbctlError
from lbctl.shared import abi, tables
from lbctl.shared.tables import Capacity
from tests.unit.shared.fakes import FakeTables

sizes = st.builds(
    Capacity,
    services=st.integers(1, 3000),
    backends=st.integers(1, 65535),
    slots=st.integers(1, 10**7),
    connections=st.integers(1, 10**7),
    next_hops=st.integers(1, 65535),
    routes=st.integers(1, 10**6),
)


@given(sizes)
def test_there_is_room_for_what_is_promised(capacity):
    """
    Twice the connections, four places for every service and server, all slots.
    """
    macros = capacity.macros()
    directory = 1 << macros["LB_DIRECTORY_BITS"]

    assert abi.WAYS << macros["LB_SET_BITS"] >= 2 * capacity.connections
    assert directory >= 4 * (capacity.services + capacity.backends)
    assert 1 << macros["LB_GROUP_BITS"] == directory // 4
    assert macros["LB_SLOT_LINES"] * abi.SLOTS_PER_LINE >= capacity.slots


@given(sizes)
def test_the_specifications_are_those_of_the_sources(capacity):
    """
    The sizes that lb/tables.h declares, worked out from the same macros.
    """
    m = capacity.macros()
    entries = {name: spec.entries for name, spec in tables.specifications(capacity).items()}

    assert entries == {
        "control": 1,
        "services": 2 << m["LB_DIRECTORY_BITS"],
        "displacements": 2 << m["LB_GROUP_BITS"],
        "slots": 2 * m["LB_SLOT_LINES"],
        "backends": 2 * m["LB_BACKENDS"],
        "connections": 1 << m["LB_SET_BITS"],
        "details": abi.WAYS << m["LB_SET_BITS"],
        "routes": m["LB_ROUTES"],
        "rules": 2 * m["LB_RULES"] + 1,
        "next_hops": m["LB_NEXT_HOPS"],
        "nics": abi.IFINDEX_MAX,
        "exits": abi.NICS_MAX,
        "apps": abi.APPS_MAX * abi.NICS_MAX * abi.APP_QUEUES,
        "verdicts": m["LB_CPUS"] * abi.NICS_MAX * abi.VERDICTS,
        "traffic": m["LB_CPUS"] * m["LB_BACKENDS"],
        "reasons": m["LB_CPUS"] * (m["LB_SERVICES"] + m["LB_BACKENDS"]),
    }


@pytest.mark.parametrize("name", Capacity.__slots__)
def test_nothing_of_anything_is_refused(name):
    """
    By the name of the option.
    """
    with pytest.raises(LbctlError, match=rf"^capacity of {name}: must be at least 1$"):
        Capacity(**{name: 0})


@pytest.mark.parametrize("name", ["services", "backends", "next_hops"])
def test_more_than_an_index_can_name_is_refused(name):
    """
    Sixteen bits.
    """
    with pytest.raises(LbctlError, match="at most 65535 each"):
        Capacity(**{name: 65536})


def keys_of(fake):
    """The secret numbers, by themselves."""
    return fake["control"]["hash"][0].tobytes()


def test_keys_are_drawn_once():
    """
    A new process keeps them: connections are found by them.
    """
    one, other = FakeTables(), FakeTables()
    for fake in (one, other):
        tables.Tables.make_keys(fake)
    before = keys_of(one)
    tables.Tables.make_keys(one)

    assert before == keys_of(one)
    assert before != keys_of(other)
    assert 16 == len(np.unique(one["control"]["hash"].view("<u8")))


def test_the_mapped_base_is_what_the_constant_words_add():
    """
    0, 0 and ffff in front of an IPv4 address.
    """
    fake = FakeTables()
    tables.Tables.make_keys(fake)
    for keys in fake["control"]["hash"][0]:
        words = np.frombuffer(bytes(10) + b"\xff\xff", "=u4").tolist()
        added = sum(int(key) * word for key, word in zip(keys["address"][:3], words, strict=True))

        assert int(keys["base_mapped"]) == (int(keys["base"]) + added) % 2**64


def test_possible_cpus():
    """
    As many counters as the kernel may ever number CPUs.
    """
    assert tables.possible_cpus() >= 1
