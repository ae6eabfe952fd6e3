"""NICs: attach, detach, upgrade and recover, on veths in a namespace of their own."""

from __future__ import annotations

import os
import struct
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from pyroute2 import IPRoute, netns

from lbctl.errors import Conflict, LbctlError, NotFound
from lbctl.model import Mode, Nic
from lbctl.shared import syscall
from lbctl.shared.abi import Verdict
from tests.packets.world import WEB4
from tests.support.progrun import machine

PASS = struct.pack("=BBhi", 0xB7, 0, 0, syscall.PASS) + struct.pack("=BBhi", 0x95, 0, 0, 0)


@pytest.fixture(scope="module")
def home():
    """
    A namespace of this module's, entered: nothing here sees the machine's own NICs.

        nic0 ---- far0      nic1 ---- far1
    """
    name = f"lbn-{uuid4().hex[:8]}"
    netns.create(name)
    try:
        netns.pushns(name)
        try:
            quiet = Path("/proc/sys/net/ipv6/conf/default/disable_ipv6")
            if quiet.exists():  # nobody looks for routers here, and nothing counts their packets
                quiet.write_text("1")
            yield name
        finally:
            netns.popns()
    finally:
        netns.remove(name)


@pytest.fixture
def cables(home):
    """
    The two cables, new for each test.
    """
    del home
    with IPRoute() as ip:
        for n in (0, 1):
            ip.link("add", ifname=f"nic{n}", kind="veth", peer={"ifname": f"far{n}"})
            ip.link("set", index=index_of(ip, f"nic{n}"), address=f"02:00:00:00:01:0{n}")
            for end in ("nic", "far"):
                ip.link("set", index=index_of(ip, f"{end}{n}"), state="up")
        yield ip
        for link in ip.get_links():  # the far ends go with them
            if link.get_attr("IFLA_IFNAME").startswith(("nic", "new")):
                ip.link("del", index=link["index"])


@pytest.fixture
def switch(machines, cables):
    """
    A switch whose NICs are real, with none attached.
    """
    del cables
    owner = machines(("nat",))
    owner.reset()
    owner.memory["nics"].view("u1")[:] = 0
    for slot in (0, 1):
        syscall.map_delete(owner.tables.fd["exits"], slot.to_bytes(4, "little"))
    yield owner
    for nic in owner.dataplane.attached():
        owner.dataplane.detach(nic.name)


def index_of(ip, name):
    """The ifindex of a NIC."""
    return ip.link_lookup(ifname=name)[0]


def program_on(ip, name):
    """The number of the XDP program on a NIC; 0: none."""
    (link,) = ip.link("get", ifname=name)
    return link.get_attr("IFLA_XDP").get_attr("IFLA_XDP_PROG_ID") or 0


def program_of(switch):
    """The number of the switch's own program."""
    return syscall.prog_info(switch.program).id


def exits(switch):
    """Where packets can leave: slot to ifindex."""
    found = {}
    for slot in range(8):
        try:
            value = syscall.map_lookup(switch.tables.fd["exits"], slot.to_bytes(4, "little"), 4)
        except OSError:
            continue
        if value is not None and any(value):
            found[slot] = int.from_bytes(value, "little")
    return found


def test_attach_and_detach(switch, cables):
    """
    Two NICs, each with a slot, a MAC and a way out; and nothing is left of them.
    """
    one, two = (switch.dataplane.attach(Nic(name=f"nic{n}")) for n in (0, 1))

    assert ("nic0", index_of(cables, "nic0"), "native", 0) == (
        one.name,
        one.ifindex,
        one.mode,
        one.slot,
    )
    assert (two.slot, two.mac.hex(":"), two.warning) == (1, "02:00:00:00:01:01", "")
    assert one.program_tag == two.program_tag == syscall.prog_info(switch.program).tag
    assert [one, two] == switch.dataplane.attached()
    assert {0: one.ifindex, 1: two.ifindex} == exits(switch)
    assert program_of(switch) == program_on(cables, "nic0") == program_on(cables, "nic1")

    switch.dataplane.detach("nic0")
    assert 0 == program_on(cables, "nic0")
    assert {1: two.ifindex} == exits(switch)
    assert [two] == switch.dataplane.attached()
    assert not switch.memory["nics"].view("<u8")[one.ifindex]
    assert 1 == len(list((switch.pins / "links").iterdir()))


def test_attaching_twice_changes_nothing(switch):
    """
    The same answer, the same link.
    """
    first = switch.dataplane.attach(Nic(name="nic0"))

    assert first == switch.dataplane.attach(Nic(name="nic0", mode=Mode.NATIVE))
    assert [first] == switch.dataplane.attached()


def test_another_mode_is_a_conflict(switch):
    """
    To change it, detach first.
    """
    switch.dataplane.attach(Nic(name="nic0", mode=Mode.GENERIC))

    with pytest.raises(Conflict, match=r"^nic0: attached in generic mode, asked for native; "):
        switch.dataplane.attach(Nic(name="nic0", mode=Mode.NATIVE))


@pytest.mark.parametrize("mode", [Mode.NATIVE, Mode.GENERIC])
def test_modes(switch, mode):
    """
    What is asked for, and the next process sees which it is.
    """
    assert mode == switch.dataplane.attach(Nic(name="nic0", mode=mode)).mode

    switch.dataplane.close()
    switch.reopen()
    assert [mode] == [nic.mode for nic in switch.dataplane.attached()]


def test_no_native_mode(switch):
    """
    The loopback device has none: generic is taken, with a word of warning, unless native is a must.
    """
    with pytest.raises(LbctlError, match=r"^lo: native mode is not to be had: .*--mode generic`$"):
        switch.dataplane.attach(Nic(name="lo", mode=Mode.NATIVE))
    assert [] == switch.dataplane.attached()
    assert {} == exits(switch)

    attached = switch.dataplane.attach(Nic(name="lo"))
    assert "generic" == attached.mode
    assert "its driver has no native XDP" in attached.warning


def test_no_such_nic(switch):
    """
    Neither to attach nor to detach.
    """
    with pytest.raises(NotFound, match=r"^nic9: no such NIC; see `ip link`$"):
        switch.dataplane.attach(Nic(name="nic9"))
    with pytest.raises(NotFound, match=r"^nic0: not attached; see `lbctl status`$"):
        switch.dataplane.detach("nic0")


@contextmanager
def intruder(ip, name):
    """Put somebody else's program on a NIC."""
    program = syscall.prog_load(PASS, "intruder")
    link = syscall.link_create(program, index_of(ip, name), syscall.MODE_NATIVE)
    try:
        yield
    finally:
        syscall.link_detach(link)
        for descriptor in (link, program):
            os.close(descriptor)


@pytest.mark.parametrize("mode", Mode)
def test_a_foreign_program_is_respected(switch, cables, mode):
    """
    It stays, and the message says whose it is.
    """
    with intruder(cables, "nic0"):
        before = program_on(cables, "nic0")
        with pytest.raises(
            Conflict, match=r"^nic0: the XDP program 'intruder', number \d+, is att"
        ):
            switch.dataplane.attach(Nic(name="nic0", mode=mode))

        assert before == program_on(cables, "nic0")
    assert {} == exits(switch)
    assert switch.dataplane.attach(Nic(name="nic0"))


def test_a_program_of_another_instance(switch, machines):
    """
    Two switches do not share a NIC.
    """
    switch.dataplane.attach(Nic(name="nic0"))

    with pytest.raises(Conflict, match=r"\(of another lbctl instance\), is attached already"):
        machines().dataplane.attach(Nic(name="nic0"))


def test_nobody_replaces_ours(switch, cables):
    """
    A link is not pushed aside.
    """
    switch.dataplane.attach(Nic(name="nic0"))
    program = syscall.prog_load(PASS, "intruder")
    with pytest.raises(OSError, match="busy"):
        syscall.link_create(program, index_of(cables, "nic0"), syscall.MODE_NATIVE)
    os.close(program)

    assert program_of(switch) == program_on(cables, "nic0")


def test_a_new_process_finds_its_nics(switch, cables):
    """
    Packets went on all the while.
    """
    before = [switch.dataplane.attach(Nic(name=f"nic{n}")) for n in (0, 1)]
    switch.dataplane.close()
    assert program_of(switch) == program_on(cables, "nic0")
    switch.reopen()

    assert before == switch.dataplane.attached()
    switch.dataplane.detach("nic0")
    assert 0 == program_on(cables, "nic0")


def test_a_new_process_misses_a_nic(switch, cables):
    """
    It went while nobody was there: its slot is free again, the other one works.
    """
    switch.dataplane.attach(Nic(name="nic0"))
    other = switch.dataplane.attach(Nic(name="nic1"))
    switch.dataplane.close()
    cables.link("del", index=index_of(cables, "nic0"))
    switch.reopen()

    assert [other] == switch.dataplane.attached()
    assert [str(other.ifindex)] == [path.name for path in (switch.pins / "links").iterdir()]


def test_a_nic_that_vanishes(switch, cables):
    """
    It is let go of, by name; its slot goes to the next.
    """
    switch.dataplane.attach(Nic(name="nic0"))
    switch.dataplane.attach(Nic(name="nic1"))
    cables.link("del", index=index_of(cables, "nic0"))

    assert ["nic0"] == switch.dataplane.refresh_nics()
    assert ["nic1"] == [nic.name for nic in switch.dataplane.attached()]
    assert [] == switch.dataplane.refresh_nics()
    cables.link("add", ifname="new0", kind="veth", peer={"ifname": "far0"})
    assert 0 == switch.dataplane.attach(Nic(name="new0")).slot


def test_a_nic_with_another_name_and_mac(switch, cables):
    """
    Packets must know the MAC, people the name.
    """
    nic = switch.dataplane.attach(Nic(name="nic0"))
    cables.link("set", index=nic.ifindex, state="down")
    cables.link("set", index=nic.ifindex, ifname="new0", address="02:00:00:00:01:77")
    cables.link("set", index=nic.ifindex, state="up")

    assert [] == switch.dataplane.refresh_nics()
    (seen,) = switch.dataplane.attached()
    assert ("new0", "02:00:00:00:01:77", nic.slot) == (seen.name, seen.mac.hex(":"), seen.slot)
    assert seen.mac == switch.memory["nics"]["mac"][nic.ifindex].tobytes()


def test_a_slot_begins_to_count_at_zero(switch):
    """
    Whoever had it before.
    """
    nic = switch.dataplane.attach(Nic(name="nic0"))
    context = struct.pack("=6I", 0, 54, 0, nic.ifindex, 0, 0)
    syscall.test_run(switch.program, WEB4.asks("S"), context=context)
    assert {Verdict.TO_KERNEL_OTHER_MAC: 1} == switch.verdicts()

    switch.dataplane.detach("nic0")
    switch.dataplane.attach(Nic(name="nic1"))
    assert {} == switch.verdicts()


def test_a_new_program_is_swapped_in(switch, cables, machines):
    """
    The link stays, the program changes; both NICs have it.
    """
    with machine(("nat",), clock=machines().clock) as fresh:
        for n in (0, 1):
            fresh.dataplane.attach(Nic(name=f"nic{n}"))
        links = [syscall.link_info(fd).id for fd in fresh.dataplane._nics._links.values()]
        before = program_of(fresh)
        fresh.ensure(("dsr",))

        assert before != program_of(fresh)
        assert program_of(fresh) == program_on(cables, "nic0") == program_on(cables, "nic1")
        after = [syscall.link_info(fd).id for fd in fresh.dataplane._nics._links.values()]
        assert links == after
        tag = syscall.prog_info(fresh.program).tag
        assert [tag, tag] == [nic.program_tag for nic in fresh.dataplane.attached()]
    assert 0 == program_on(cables, "nic0")
    assert [] == switch.dataplane.attached()
