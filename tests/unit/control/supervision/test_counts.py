"""What the data path counted of each back-end, summed over the VIPs that lead to it."""

from __future__ import annotations

import pytest

from lbctl.control.supervision.counts import Counts
from lbctl.control.supervision.traffic import Totals
from lbctl.model import SocketAddress, Vip
from lbctl.shared.configuration import BackendRecord
from tests.unit.control import fakes
from tests.unit.control.fakes import ONE, TWO, VIP, configured, connection, web

OTHER = Vip.parse("203.0.113.11:*/tcp")
SPARE = SocketAddress.parse("10.0.2.1:8080")


@pytest.fixture
def plane():
    """A switch whose tables a test fills."""
    return fakes.Dataplane(fakes.Links())


def record(plane, index: int, vip: Vip, address: SocketAddress, *row: int) -> None:
    """Put a record into the back-end table, with what was counted of it."""
    plane.configuration.indices[BackendRecord(vip, address)] = index
    for name, number in zip(Totals._fields, row, strict=True):
        plane.traffic[index][name] = number


def test_a_back_end_is_the_sum_of_its_records(plane):
    """Behind a VIP of any port it is written with port 0; who has no record is left out."""
    record(plane, 5, VIP, ONE, 1, 2, 3, 4)
    record(plane, 7, OTHER, ONE._replace(port=0), 10, 20, 30, 40)
    configuration = configured(pools=[web(1, 1, vips=[str(VIP), str(OTHER)])])

    assert Counts(plane).totals(configuration) == {("web", ONE): Totals(11, 22, 33, 44)}


def test_a_backup_is_counted_in_its_own_pool(plane):
    """Whatever VIP led to it."""
    record(plane, 1, VIP, ONE, 5, 0, 0, 0)
    record(plane, 2, VIP, SPARE, 7, 0, 0, 0)
    spare = {"name": "spare", "backends": [{"address": str(SPARE)}]}
    configuration = configured(pools=[web(1, backup="spare"), spare])

    assert Counts(plane).totals(configuration) == {
        ("web", ONE): Totals(5),
        ("spare", SPARE): Totals(7),
    }


def test_without_records_nothing_is_read(plane):
    """Summing over all CPUs is not free."""
    plane.counters.by_backend = None

    assert Counts(plane).totals(configured(pools=[web(1)])) == {}


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [("wlc", {ONE: 2, TWO: 1}), ("p2c", {ONE: 2, TWO: 1}), ("plugin", {ONE: 2, TWO: 1})]
    + [(name, {}) for name in ("maglev", "least-load")],
)
def test_open_connections_are_counted_for_who_asks(plane, scheduler, expected):
    """Going through the connection table is not free, either."""
    record(plane, 1, VIP, ONE, 0, 0, 0, 0)
    record(plane, 2, VIP, TWO, 0, 0, 0, 0)
    plane.connections.rows = [connection(1, ONE), connection(2, ONE), connection(3, TWO)]
    configuration = configured(pools=[web(1, 1, scheduler=scheduler)])

    found = Counts(plane).open_connections(configuration)

    assert {address: count for (_, address), count in found.items()} == expected
