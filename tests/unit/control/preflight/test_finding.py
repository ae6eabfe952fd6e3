"""
From checks to a report.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lbctl.control.preflight.finding import (
    Collection,
    Finding,
    Severity,
    Unknown,
    error,
    known,
    note,
    warning,
)


@dataclass
class Thing:
    """A subject."""

    subject: str
    fact: int | None = 0


def is_odd(thing):
    """A check that finds something in odd ones."""
    fact = known(thing.fact, "nobody knows")
    tell = {1: error, 3: warning, 5: note}.get(fact)
    return tell("is odd", "why", "do it") if tell else None


def test_findings_and_checks():
    """
    The worst first; a check is called by the name of its function.
    """
    found = Collection()
    found.look([is_odd], [Thing("five", 5), Thing("three", 3), Thing("one", 1), Thing("two", 2)])
    report = found.report()

    assert ["one", "three", "five"] == [one.subject for one in report.findings]
    assert list(Severity) == [one.severity for one in report.findings]
    assert ("is-odd",) == report.checks
    assert () == report.not_checked
    assert found.has("is-odd")


def test_a_check_that_lacks_a_fact():
    """
    It is not in the list of those that were made, unless it was made of somebody else.
    """
    found = Collection()
    found.look([is_odd], [Thing("first", None)])
    before = found.report()
    found.look([is_odd], [Thing("second", 2)])

    assert ((), ("is-odd of first: nobody knows",)) == (before.checks, before.not_checked)
    assert (("is-odd",), before.not_checked) == (found.report().checks, found.report().not_checked)
    assert not found.has("is-odd")


def test_a_check_of_nobody_is_not_made():
    """
    There was nothing to look at.
    """
    found = Collection()
    found.look([is_odd], [])

    assert () == found.report().checks


def test_one_line():
    """
    Subject, what, and the cure.
    """
    told = {"what": "is down", "why": "no packet", "cure": "ip link set eth0 up"}
    finding = Finding(check="nic-down", severity=Severity.ERROR, subject="NIC eth0", **told)

    assert "NIC eth0 is down; run `ip link set eth0 up`" == finding.line


def test_zero_is_known():
    """
    Only None is not.
    """
    assert 0 == known(0, "")
    with pytest.raises(Unknown, match="no such luck"):
        known(None, "no such luck")
