"""The checks of pseudo interfaces and network applications, each on facts that are spoilt."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from types import SimpleNamespace

import pytest

from lbctl.control.interfaces.records import table_of
from lbctl.control.preflight import program_checks, program_gathering
from lbctl.control.preflight.facts import Link
from lbctl.control.preflight.finding import Unknown
from lbctl.control.preflight.program_facts import App, Pseudo
from lbctl.control.program_state import AppState, PortState
from lbctl.model import Configuration, OnExit
from tests.unit.control.preflight.made import NIC

UP = Link("lb0", 9, up=True, carrier=True, mtu=1500, kind="veth")
PSEUDO = Pseudo("lb0", UP, offloads=frozenset({"rx-gro"}), without_rule=(), table=70_009)
APP = App("voip", OnExit.DROP, pid=7)


def said(checks, facts):
    """What all checks say, by name: severity and cure."""
    told = {check.__name__: check(facts) for check in checks}
    return {name: (one.severity.value, one.cure) for name, one in told.items() if one}


def test_all_is_well():
    """
    Nothing is said.
    """
    assert {} == said(program_checks.PSEUDO_CHECKS, PSEUDO)
    assert {} == said(program_checks.APP_CHECKS, APP)


@pytest.mark.parametrize(
    ("spoilt", "check", "severity", "cure"),
    [
        ({"link": None}, "pseudo_missing", "error", "lbctl pseudo show lb0"),
        ({"attached": False}, "pseudo_not_attached", "error", "lbctl pseudo show lb0"),
        ({"link": replace(UP, up=False)}, "pseudo_down", "error", "ip link set lb0 up"),
        (
            {"offloads": frozenset({"rx-gro", "tx-checksum-ip-generic"})},
            "pseudo_checksums",
            "error",
            "ethtool -K lb0 tx off",
        ),
        ({"offloads": frozenset()}, "pseudo_without_gro", "error", "ethtool -K lb0 gro on"),
        (
            {"without_rule": (ip_address("203.0.113.254"),)},
            "pseudo_without_rule",
            "error",
            "ip rule add from 203.0.113.254 lookup 70009",
        ),
        (
            {"without_rule": (ip_address("2001:db8::fe"),)},
            "pseudo_without_rule",
            "error",
            "ip -6 rule add from 2001:db8::fe lookup 70009",
        ),
        (
            {"deaf": ("eth0", "eth1")},
            "pseudo_hidden",
            "warning",
            "sysctl -w net.ipv4.conf.eth0.rp_filter=2 net.ipv4.conf.eth1.rp_filter=2",
        ),
    ],
)
def test_a_pseudo_interface(spoilt, check, severity, cure):
    """
    One finding for each thing that is wrong, and what mends it.
    """
    found = said(program_checks.PSEUDO_CHECKS, replace(PSEUDO, **spoilt))

    assert {check: (severity, cure)} == found


@pytest.mark.parametrize(
    ("check", "unknown"),
    [
        (program_checks.pseudo_checksums, {"offloads": None}),
        (program_checks.pseudo_without_gro, {"offloads": None}),
        (program_checks.pseudo_without_rule, {"without_rule": None}),
    ],
)
def test_what_is_not_known_is_not_guessed(check, unknown):
    """
    The check says that it could not be made.
    """
    with pytest.raises(Unknown):
        check(replace(PSEUDO, **unknown))


@pytest.mark.parametrize(
    ("spoilt", "check", "severity", "cure"),
    [
        ({"pid": None}, "app_stopped", "error", "lbctl app show voip"),
        (
            {"pid": None, "on_exit": OnExit.KERNEL},
            "app_stopped",
            "note",
            "lbctl app show voip",
        ),
        ({"hung": True}, "app_hung", "error", "ps -o stat,wchan:20,cmd -p 7"),
        ({"unheard": {"eth0": (1, 2)}}, "app_misses_queues", "note", "ethtool -n eth0"),
        (
            {"unheard": {"eth0": (1,)}, "lost": 5},
            "app_misses_queues",
            "warning",
            "ethtool -n eth0",
        ),
        ({"pid": None, "unheard": {"eth0": (0,)}}, "app_stopped", "error", "lbctl app show voip"),
    ],
)
def test_an_application(spoilt, check, severity, cure):
    """
    It does not run, it hangs, or packets come where it does not look.
    """
    assert {check: (severity, cure)} == said(program_checks.APP_CHECKS, replace(APP, **spoilt))


def test_which_queues_are_meant():
    """
    All of them, by NIC.
    """
    told = program_checks.app_misses_queues(replace(APP, unheard={"eth0": (1, 2), "eth1": (3,)}))

    assert "does not receive from eth0 queues 1, 2; eth1 queue 3" == told.what


def test_programs_of_a_switch(controller, monkeypatch):
    """
    What controller and survey know is put together; a switch without programs has none.
    """
    nic = replace(NIC, rp_filter=1)
    assert ([], []) == gathered(controller, nic)
    parts = {
        "pseudo": [{"name": "lb0", "addresses": ["203.0.113.254"]}],
        "apps": [{"name": "voip", "vips": ["203.0.113.60:5060/udp"]}],
    }
    monkeypatch.setattr(
        type(controller), "configuration", Configuration.model_validate(parts), raising=True
    )
    port = PortState("eth0", 1, zero_copy=False)
    known = {"voip": AppState(7, "root", 0.0, (port,))}
    controller.programs = SimpleNamespace(running=known.get)

    (interface,), (app,) = gathered(controller, nic)

    assert ("lb0", False, ("eth0",)) == (interface.name, interface.attached, interface.deaf)
    assert table_of(controller.name, UP.ifindex) == interface.table
    assert App("voip", OnExit.RESET, pid=7, unheard={"eth0": (0,)}) == app


def gathered(controller, nic):
    """The facts about programs, where the survey finds lb0."""
    survey = SimpleNamespace(pseudo=lambda _: [PSEUDO])
    apps = program_gathering.apps(controller, {nic.name: nic})
    return program_gathering.pseudo(controller, survey, [nic]), apps
