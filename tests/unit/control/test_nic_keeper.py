"""The NIC keeper attaches what ought to be attached, and says why it could not."""

from __future__ import annotations

import pytest

from lbctl.control.nic_keeper import NicKeeper
from lbctl.control.pseudo_keeper import PseudoKeeper
from lbctl.errors import Conflict
from lbctl.model import Nic
from tests.unit.control.fakes import configured

BOTH = configured(nics=[{"name": "eth0"}, {"name": "eth1"}])


@pytest.fixture
def told() -> list[tuple[str, str, str]]:
    """The events that the keeper told of."""
    return []


@pytest.fixture
def keeper(plane, links, told) -> NicKeeper:
    """A keeper over a switch with two NICs, none attached."""
    return NicKeeper(plane, links, PseudoKeeper("default", plane), told.extend)


def attached(plane) -> list[tuple[str, int]]:
    """Name and index of what is attached."""
    return [(nic.name, nic.ifindex) for nic in plane.attached()]


def test_the_start_attaches_what_is_configured_and_nothing_else(keeper, plane, told):
    """A NIC of somebody else's is an event; one that a dead change left is let go."""
    plane.foreign = {"eth1"}
    plane.links.indices["eth2"] = 4
    plane.attach(Nic(name="eth2"))

    keeper.start(BOTH)

    assert attached(plane) == [("eth0", 2)]
    assert keeper.refusals == {"eth1": "eth1: another XDP program is attached"}
    refused = "not attached: eth1: another XDP program is attached"
    assert told == [("nic", "eth0", "attached"), ("nic", "eth1", refused)]
    keeper.attach_or_warn(BOTH.nics[1], BOTH)
    assert told[2:] == []  # once is enough


def test_a_refusal_is_forgotten_when_it_is_mended(keeper, plane):
    """Or when the NIC is not wanted any more."""
    plane.foreign = {"eth0", "eth1"}
    keeper.start(BOTH)
    plane.foreign = set()

    keeper.attach(Nic(name="eth0"))
    assert list(keeper.refusals) == ["eth1"]
    keeper.forget_all_but(configured(nics=[{"name": "eth0"}]))
    assert keeper.refusals == {}


def test_a_nic_that_is_another_under_the_old_name_is_attached_anew(keeper, plane, links):
    """The kernel has detached the old one; its record goes first."""
    keeper.start(BOTH)
    links.indices["eth0"] = 77
    plane.calls.clear()

    keeper.attach(Nic(name="eth0"))

    assert plane.calls == ["detach eth0", "attach eth0 auto"]
    assert ("eth0", 77) in attached(plane)


def test_whoever_asks_is_told_of_a_refusal(keeper, plane):
    """Only what happens by itself is an event."""
    plane.foreign = {"eth0"}

    with pytest.raises(Conflict):
        keeper.attach(Nic(name="eth0"))


def test_a_missing_nic_is_one_that_is_wanted_and_there(keeper, links):
    """Whoever is not there cannot be attached, and whoever is not wanted must not."""
    one = configured(nics=[{"name": "eth0"}])
    assert [keeper.is_missing(name, one) for name in ("eth0", "eth1")] == [True, False]
    keeper.start(one)
    assert not keeper.is_missing("eth0", one)
    links.indices["eth0"] = 77
    assert keeper.is_missing("eth0", one)
    del links.indices["eth0"]
    assert not keeper.is_missing("eth0", one)


def test_following_attaches_only_the_nic_that_changed(keeper, plane, links, told):
    """The others have their own turn; what vanished is told."""
    keeper.start(BOTH)
    del links.indices["eth0"], links.indices["eth1"]
    keeper.follow("eth0", BOTH)
    assert attached(plane) == []
    assert ("nic", "eth0", "vanished") in told
    links.indices.update(eth0=12, eth1=13)

    keeper.follow("eth1", BOTH)

    assert attached(plane) == [("eth1", 13)]


def test_a_renamed_nic_concerns_us(keeper, links):
    """It has its program still; what happens to strangers does not."""
    keeper.start(BOTH)
    links.indices["new"] = links.indices.pop("eth0")
    links.indices["other"] = 9

    names = ("eth0", "new", "other")
    assert [keeper.concerns(name, BOTH) for name in names] == [True, True, False]
