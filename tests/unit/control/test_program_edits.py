"""What each verb makes of pseudo interfaces and network applications, and what it refuses."""

from __future__ import annotations

from ipaddress import ip_interface

import pytest

from lbctl.control import edits, program_checks
from lbctl.control.program_edits import (
    add_app,
    add_pseudo,
    remove_app,
    remove_pseudo,
    set_app,
    set_pseudo,
)
from lbctl.errors import Conflict, LbctlError, NotFound
from lbctl.model import App, Nic, Pool, Pseudo, Vip
from tests.unit.control.fakes import VIP, configured, web

SIP, SIP6 = Vip.parse("203.0.113.20:5060/udp"), Vip.parse("[2001:db8::20]:5060/udp")
FREE = Vip.parse("203.0.113.21:5060/udp")
ONE, TWO, THREE = (ip_interface(f"203.0.113.{n}/32") for n in (1, 2, 3))
LB0 = Pseudo(name="lb0", addresses=(ONE,))
VOIP = App(name="voip", vips=(SIP, SIP6), nics=("eth0",))
DNS = App(name="dns", vips=("203.0.113.53:53/udp",))
BASE = configured(
    nics=[{"name": "eth0"}, {"name": "eth1"}],
    pools=[web(1)],
    pseudo=[LB0],
    apps=[VOIP, DNS],
    processors=[{"name": "fast", "role": "application", "cpus": [1], "apps": ["dns"]}],
)


def addresses(configuration, name="lb0"):
    """The addresses of a pseudo interface."""
    (found,) = (pseudo for pseudo in configuration.pseudo if pseudo.name == name)
    return found.addresses


def test_removing_is_the_reverse_of_adding():
    """Of each kind of thing."""
    pseudo, app = Pseudo(name="lb1", addresses=(TWO,)), App(name="new", vips=(FREE,))

    assert remove_pseudo(add_pseudo(BASE, pseudo), "lb1") == BASE
    assert remove_app(add_app(BASE, app), "new") == BASE


def test_addresses_come_and_go():
    """Beside those there are, or instead of them; the length of a prefix names no address."""
    more = set_pseudo(BASE, "lb0", {}, add=[TWO, THREE])

    assert addresses(more) == (ONE, TWO, THREE)
    assert addresses(set_pseudo(more, "lb0", {}, remove=[ip_interface("203.0.113.1/24")])) == (
        TWO,
        THREE,
    )
    assert addresses(set_pseudo(more, "lb0", {"addresses": (TWO,)}, add=[ONE])) == (TWO, ONE)


def test_the_mtu_of_a_pseudo_interface_is_set_and_unset():
    """Its addresses stay."""
    set_, unset = (set_pseudo(BASE, "lb0", {"mtu": mtu}) for mtu in (1400, None))

    assert set_.pseudo == (Pseudo(name="lb0", addresses=(ONE,), mtu=1400),)
    assert unset == BASE


def test_an_app_keeps_what_is_not_named():
    """VIPs come and go beside the rest."""
    after = set_app(BASE, "voip", {"on_exit": "drop"}, add=[FREE], remove=[SIP])

    assert after.app("voip") == App(name="voip", vips=(SIP6, FREE), nics=("eth0",), on_exit="drop")
    assert after.app("dns") == DNS


def test_a_vip_that_an_app_gave_up_can_be_a_pool_s():
    """The other way as well."""
    free = set_app(BASE, "voip", {}, remove=[SIP])
    taken = edits.add_vip(free, "web", SIP)

    assert SIP in taken.pool("web").vips
    back = set_app(edits.remove_vip(taken, "web", SIP), "voip", {}, add=[SIP])
    assert back.app("voip").vips == (SIP6, SIP)


def test_an_app_of_all_nics_hinders_no_detaching():
    """One that names a NIC does."""
    after = set_app(BASE, "voip", {"nics": ()})

    assert [nic.name for nic in edits.remove_nics(after, ["eth0"]).nics] == ["eth1"]


PAIR = configured(pseudo=[{"name": "lb0", "addresses": [ONE]}])
REFUSED = {
    "a pseudo interface that exists": (
        lambda: add_pseudo(BASE, LB0),
        Conflict,
        "pseudo interface 'lb0' exists already; change it with `lbctl pseudo set lb0`",
    ),
    "a pseudo interface by the name of a NIC": (
        lambda: add_pseudo(BASE, Pseudo(name="eth1", addresses=(TWO,))),
        Conflict,
        "'eth1' is a NIC that is attached; choose another name, see `lbctl status`",
    ),
    "a pseudo interface by the name of another's end": (
        lambda: add_pseudo(BASE, Pseudo(name="lb0-s", addresses=(TWO,))),
        Conflict,
        "'lb0-s' is an end of pseudo interface 'lb0'; choose another name",
    ),
    "an address of another pseudo interface": (
        lambda: add_pseudo(BASE, Pseudo(name="lb1", addresses=("203.0.113.1/24",))),
        Conflict,
        (
            "address 203.0.113.1 belongs to pseudo interface 'lb0'; take it from there with "
            "`lbctl pseudo set lb0 --remove-address 203.0.113.1`"
        ),
    ),
    "an address twice": (
        lambda: set_pseudo(BASE, "lb0", {}, add=[ip_interface("203.0.113.1/24")]),
        Conflict,
        "pseudo interface 'lb0' has address 203.0.113.1 already; see `lbctl pseudo show lb0`",
    ),
    "an address that is not there": (
        lambda: set_pseudo(BASE, "lb0", {}, remove=[TWO]),
        NotFound,
        "pseudo interface 'lb0' has no address 203.0.113.2; see `lbctl pseudo show lb0`",
    ),
    "no address": (
        lambda: set_pseudo(BASE, "lb0", {}, remove=[ONE]),
        Conflict,
        "would have no address left; remove it with `lbctl pseudo remove lb0`",
    ),
    "a pseudo interface that is not there": (
        lambda: remove_pseudo(BASE, "lb7"),
        NotFound,
        "there is no pseudo interface 'lb7'; see `lbctl pseudo list`",
    ),
    "to attach a pseudo interface": (
        lambda: edits.put_nics(BASE, [Nic(name="lb0")]),
        Conflict,
        "NIC 'lb0' belongs to pseudo interface 'lb0', which is served already",
    ),
    "to attach an end of one": (
        lambda: edits.put_nics(BASE, [Nic(name="lb0-s")]),
        Conflict,
        "see `lbctl pseudo show lb0`",
    ),
    "to detach the NIC of an app": (
        lambda: edits.remove_nics(BASE, ["eth0"]),
        Conflict,
        (
            "NIC 'eth0' is one that app 'voip' receives from; first change that with "
            "`lbctl app set voip --nic all`"
        ),
    ),
    "an app that exists": (
        lambda: add_app(BASE, App(name="voip", vips=(FREE,))),
        Conflict,
        "app 'voip' exists already; change it with `lbctl app set voip`",
    ),
    "two apps that ask for one VIP": (
        lambda: add_app(BASE, App(name="rival", vips=(FREE, SIP))),
        Conflict,
        (
            "VIP 203.0.113.20:5060/udp belongs to app 'voip'; take it from there with "
            "`lbctl app set voip --remove-vip 203.0.113.20:5060/udp`"
        ),
    ),
    "the only VIP of another app": (
        lambda: set_app(BASE, "voip", {}, add=DNS.vips),
        Conflict,
        "belongs to app 'dns'; take it from there with `lbctl app remove dns`",
    ),
    "an app with the VIP of a pool": (
        lambda: add_app(BASE, App(name="rival", vips=(VIP,))),
        Conflict,
        "belongs to pool 'web'; take it from there with `lbctl vip remove web 203.0.113.10:80/tcp`",
    ),
    "a pool with the VIP of an app": (
        lambda: edits.add_pool(BASE, Pool(name="sip", vips=(SIP,))),
        Conflict,
        "belongs to app 'voip'",
    ),
    "a VIP of an app for a pool": (
        lambda: edits.add_vip(BASE, "web", SIP),
        Conflict,
        "`lbctl app set voip --remove-vip 203.0.113.20:5060/udp`",
    ),
    "a VIP twice": (
        lambda: set_app(BASE, "voip", {}, add=[SIP]),
        Conflict,
        "app 'voip' has VIP 203.0.113.20:5060/udp already; see `lbctl app show voip`",
    ),
    "a VIP that is not there": (
        lambda: set_app(BASE, "voip", {}, remove=[FREE]),
        NotFound,
        "app 'voip' has no VIP 203.0.113.21:5060/udp; see `lbctl app show voip`",
    ),
    "no VIP": (
        lambda: set_app(BASE, "dns", {}, remove=DNS.vips),
        Conflict,
        "app 'dns' would have no VIP left; remove it with `lbctl app remove dns`",
    ),
    "an app that is not there": (
        lambda: remove_app(BASE, "nope"),
        NotFound,
        "there is no app 'nope'; see `lbctl app list`",
    ),
    "an app that a processor names": (
        lambda: remove_app(BASE, "dns"),
        Conflict,
        "app 'dns' runs on processor 'fast'; take it from there first",
    ),
    "a NIC that is not attached": (
        lambda: edits.check(set_app(BASE, "dns", {"nics": ("eth7",)})),
        LbctlError,
        "app 'dns': NIC 'eth7' is not attached; run `lbctl attach eth7` first",
    ),
    "a file with two interfaces of one name": (
        lambda: edits.check(configured(nics=[{"name": "lb0-s"}], pseudo=[LB0])),
        LbctlError,
        "NIC 'lb0-s' has the name of an end of pseudo interface 'lb0'",
    ),
    "a file with a pseudo interface named like an end": (
        lambda: edits.check(
            configured(pseudo=[LB0, {"name": "lb0-s", "addresses": ["203.0.113.9"]}])
        ),
        LbctlError,
        "pseudo interface 'lb0-s' has the name of an end of pseudo interface 'lb0'",
    ),
    "more pseudo interfaces than there are places": (
        lambda: edits.check(
            configured(
                pseudo=[
                    {"name": f"lb{n}", "addresses": [f"203.0.113.{n + 1}"]}
                    for n in range(program_checks.PSEUDO_MAX + 1)
                ]
            )
        ),
        LbctlError,
        "pseudo interfaces: at most 8; one of them can have several addresses",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused(case):
    """The object, the reason, what to type."""
    edit, kind, text = case

    with pytest.raises(kind) as caught:
        edit()

    assert text in str(caught.value)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("user", "known"), [("root", True), ("0", True), ("54321", True), ("no-such-user", False)]
)
def test_users_are_asked_for(user, known):
    """Of this machine; a number needs no entry."""
    assert program_checks.is_user(user) is known


def test_a_user_who_is_new_must_be_known():
    """One who is configured already may have left: that must not stand in the way of changes."""
    old = configured(apps=[{"name": "voip", "vips": [SIP], "user": "no-such-user"}])
    app = {"name": "dns", "vips": ["203.0.113.53:53/udp"]}

    program_checks.require_users(old, configured(apps=[*old.apps, app]))
    with pytest.raises(LbctlError) as caught:
        program_checks.require_users(configured(), old)

    text = "app 'voip': there is no user 'no-such-user' here; see `getent passwd`"
    assert str(caught.value).startswith(text)
