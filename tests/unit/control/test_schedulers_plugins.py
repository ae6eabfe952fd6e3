"""Plugins: schedulers of other packages, which may be anything and break nothing."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from lbctl.control import schedulers
from lbctl.control.distribution import Distributor, Member
from lbctl.control.schedulers import Server, plugins
from lbctl.errors import LbctlError
from lbctl.model import Balance, SocketAddress

ONE, TWO = (SocketAddress.parse(f"10.0.1.{i}:80") for i in (1, 2))
PAIR = [Server("10.0.1.1:80", 1.0), Server("10.0.1.2:80", 3.0)]


class Nothing:
    """A plugin without what a plugin has to have."""


def shipping(monkeypatch, name, plugin):
    """Let a package be installed that ships *plugin* as *name*."""
    module = ModuleType("example_plugin")
    module.it = plugin
    monkeypatch.setitem(sys.modules, "example_plugin", module)
    point = EntryPoint(name, "example_plugin:it", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point] * (group == point.group))
    plugins.found.cache_clear()


@pytest.fixture(autouse=True)
def _forget():
    """Look for plugins anew before and after each test."""
    plugins.found.cache_clear()
    yield
    plugins.found.cache_clear()


def answering(*shares):
    """Make a plugin that always says the same."""

    class Answer:
        def shares(self, servers):
            del servers
            return shares

    return Answer


class Ending:
    """A plugin that ends the process."""

    def shares(self, servers):
        """Do not return."""
        del servers
        sys.exit("good-bye")


class Counting:
    """A plugin that remembers how often it was asked."""

    def __init__(self):
        self.asked = 0

    def shares(self, servers):
        """Give the first server more and more."""
        self.asked += 1
        return [float(self.asked)] + [1.0] * (len(servers) - 1)


def test_a_plugin_is_a_scheduler(monkeypatch):
    """
    It is listed, it is dynamic, and its base table is dealt by configured weights.
    """
    shipping(monkeypatch, "night-shift", answering(1, 3))

    assert "night-shift" == schedulers.names()[-1]
    assert schedulers.is_dynamic("night-shift")
    assert (
        schedulers.slots("maglev", [(ONE, 1), (TWO, 3)], 97).tolist()
        == schedulers.slots("night-shift", [(ONE, 1), (TWO, 3)], 97).tolist()
    )
    shares = schedulers.dynamic("night-shift")(PAIR)
    assert 3.0 == shares[1] / shares[0]


def test_our_own_schedulers_cannot_be_replaced(monkeypatch):
    """
    Whoever installs a package does not change what `maglev` means, nor makes odd names.
    """
    shipping(monkeypatch, "maglev", answering(1, 3))
    assert not schedulers.is_dynamic("maglev")

    shipping(monkeypatch, "Not A Name", answering(1, 3))
    assert "Not A Name" not in schedulers.names()


def test_a_class_makes_an_object_for_every_pool(monkeypatch):
    """
    What a plugin remembers of one pool is not mixed up with another; an object is used as it is.
    """
    shipping(monkeypatch, "counting", Counting)
    first, second = schedulers.dynamic("counting"), schedulers.dynamic("counting")
    first(PAIR)

    assert [0.5, 1.0] == [first(PAIR)[1], second(PAIR)[1]]

    shared = Counting()
    shipping(monkeypatch, "shared", shared)
    schedulers.dynamic("shared")(PAIR)
    schedulers.dynamic("shared")(PAIR)
    assert 2 == shared.asked


@pytest.mark.parametrize(
    ("plugin", "why"),
    [
        (answering(1.0), "1 shares for 2 servers; the plugin must give one for each"),
        (answering(1.0, float("nan")), r"\[1.0, nan\] are no shares"),
        (answering(1.0, float("inf")), r"\[1.0, inf\] are no shares"),
        (answering(2.0, -1.0), r"\[2.0, -1.0\] are no shares"),
        (answering(0.0, 0.0), r"\[0.0, 0.0\] are no shares"),
        (answering("all", "none"), "ValueError: could not convert"),
        (Ending, "SystemExit: good-bye; mend or remove the plugin"),
        (Nothing, "AttributeError"),
    ],
)
def test_nonsense_is_an_error(monkeypatch, plugin, why):
    """
    One line that names the scheduler and says what is wrong with it.
    """
    shipping(monkeypatch, "bad", plugin)

    with pytest.raises(LbctlError, match=f"scheduler 'bad': {why}"):
        schedulers.dynamic("bad")(PAIR)


def test_huge_shares_are_shares(monkeypatch):
    """
    Only the ratios matter, and their sum need not be a number.
    """
    shipping(monkeypatch, "huge", answering(1e308, 1e308))

    assert [1.0, 1.0] == schedulers.dynamic("huge")(PAIR).tolist()


class Moody:
    """A plugin that fails when it is told to."""

    fails = False

    def shares(self, servers):
        """Give all to the first, or fail."""
        if Moody.fails:
            raise RuntimeError("not\ntoday")
        return [1.0] + [0.0] * (len(servers) - 1)


def test_the_pool_goes_on_without_its_scheduler(monkeypatch):
    """
    Configured weights are wanted while it fails, it is told once, and once more when it recurs.
    """
    shipping(monkeypatch, "moody", Moody)
    distributor = Distributor()
    members = [Member(ONE, 1, serving=True), Member(TWO, 3, serving=True)]
    told = []
    for second, fails in enumerate([False, True, True, False, True]):
        monkeypatch.setattr(Moody, "fails", fails)
        done = distributor.step(float(second), "moody", Balance(floor=0), members)
        assert {ONE: 0.25, TWO: 0.75} == done.wanted if fails else done.wanted == {ONE: 1, TWO: 0}
        told.append(done.problem)
    why = "scheduler 'moody': RuntimeError: not today; mend or remove the plugin"

    assert [None, why, None, None, why] == told
    assert why == distributor.problem


def test_a_plugin_that_was_removed(monkeypatch):
    """
    A pool still names it: the daemon lives, with configured weights.
    """
    monkeypatch.setattr(plugins, "entry_points", lambda group: [] * len(group))
    members = [Member(ONE, 1, serving=True), Member(TWO, 3, serving=True)]
    done = Distributor().step(0.0, "gone", Balance(), members)

    assert {ONE: 0.25, TWO: 0.75} == done.given
    assert done.problem.startswith("no scheduler 'gone'; there are ")
