"""A capture's life: the program goes to the NICs and leaves them, and costs nothing otherwise."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from unittest import mock

import pytest

from lbctl.errors import LbctlError
from lbctl.model import Configuration, Nic, Pool
from lbctl.shared import syscall
from lbctl.switching import capture, program
from tests.packets.test_nics import cables, home, program_on  # noqa: F401 - fixtures
from tests.packets.world import WEB4, establish
from tests.support.features import Feature, require
from tests.support.progrun import ALL, LOOPBACK, POOLS, machine, sent

LIMIT = 1_000_000  # instructions that the verifier follows
RING = 1 << 16


@pytest.fixture(scope="module")
def owner(machines):
    """
    A switch of its own, of the least features, which tests may spoil.
    """
    with machine(("nat",), clock=machines().clock) as switch:
        yield switch


@pytest.fixture
def switch(owner, cables):  # noqa: F811 - the fixture
    """
    The same, with the NIC nic0 attached; nic1 is there to be.
    """
    del cables
    owner.reset()
    owner.memory["nics"].view("u1")[:] = 0
    for slot in (0, 1):
        syscall.map_delete(owner.tables.fd["exits"], slot.to_bytes(4, "little"))
    owner.dataplane.attach(Nic(name="nic0"))
    yield owner
    for nic in owner.dataplane.attached():
        owner.dataplane.detach(nic.name)


def needs(*features):
    """A configuration that needs these features."""
    pools = [Pool.model_validate({"name": f, **POOLS[f]}) for f in features]
    return Configuration(pools=pools)


@contextmanager
def capturing(switch):
    """A capture that runs, for a while."""
    plane = switch.dataplane
    made = plane.new_capture(RING)
    try:
        plane.start_capture(made)
        yield made
        plane.stop_capture()
    finally:
        made.close()


def info(pin):
    """What program is pinned there."""
    descriptor = syscall.get(pin)
    try:
        return syscall.prog_info(descriptor)
    finally:
        os.close(descriptor)


def plain(switch):
    """The number of the plain program."""
    (pin,) = (switch.pins / "programs").iterdir()
    return info(pin).id


def left(switch):
    """What there is beside the usual pins."""
    return {p.name for p in switch.pins.iterdir()} - {"tables", "programs", "links", "forget"}


def test_there_and_back(switch, cables):  # noqa: F811
    """
    While it runs its program is on the NIC; then the plain one, which was pinned all the time.
    """
    before = plain(switch)
    with capturing(switch) as made:
        (nic,) = switch.dataplane.attached()
        assert program_on(cables, "nic0") == info(made.program).id != before
        assert nic.program_tag == info(made.program).tag
        assert plain(switch) == before
        assert {"captures", "filter", "marked", "rooms", made.program.name} == {
            path.name for path in (switch.pins / "capture").iterdir()
        }

    assert before == program_on(cables, "nic0")
    assert set() == left(switch)


def test_it_takes_nothing_before_its_filter_says_so(switch):
    """
    A filter of zeros is that of nothing.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    with capturing(switch) as made:
        descriptor = syscall.get(made.program)
        syscall.test_run(descriptor, WEB4.asks())
        os.close(descriptor)

        assert [] == made.ring.read(10)


def test_a_nic_that_comes_later(switch, cables):  # noqa: F811
    """
    It gets the same program as the others, and leaves it with them.
    """
    with capturing(switch) as made:
        switch.dataplane.attach(Nic(name="nic1"))
        assert info(made.program).id == program_on(cables, "nic1")

    assert [plain(switch)] * 2 == [program_on(cables, name) for name in ("nic0", "nic1")]


def test_a_nic_that_vanishes(switch, cables):  # noqa: F811
    """
    The others get their program back all the same.
    """
    switch.dataplane.attach(Nic(name="nic1"))
    with capturing(switch):
        cables.link("del", index=cables.link_lookup(ifname="nic0")[0])

    assert plain(switch) == program_on(cables, "nic1")
    assert ["nic0"] == switch.dataplane.refresh_nics()


def test_a_configuration_that_needs_less(switch, cables):  # noqa: F811
    """
    Nothing is compiled, and the capture goes on.
    """
    with capturing(switch) as made, mock.patch.object(program, "compile_program") as compiler:
        switch.dataplane.ensure(needs())

        assert not compiler.called
        assert info(made.program).id == program_on(cables, "nic0")


def test_a_configuration_that_needs_more(owner, switch, cables):  # noqa: F811
    """
    Both programs get the new feature; connections live through all of it.
    """
    for slot in (0, 1):  # of single frames all ways are there
        value = LOOPBACK.to_bytes(4, "little")
        syscall.map_update(switch.tables.fd["exits"], slot.to_bytes(4, "little"), value)
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    establish(switch, WEB4)
    with capturing(switch) as made:
        before, first = plain(switch), made.program
        switch.dataplane.ensure(needs("dsr"))

        assert before != plain(switch)
        assert first != made.program
        assert info(made.program).id == program_on(cables, "nic0")
    assert plain(switch) == program_on(cables, "nic0")
    owner.ensure(("dsr",))
    assert sent(WEB4.asked("A")) == switch.run(WEB4.asks("A"))


def test_a_program_that_cannot_be_built(switch, cables, monkeypatch):  # noqa: F811
    """
    The capture ends and says why; the configuration does not fail for it.
    """
    build = program.compile_program

    def fails(pin, macros, **more):
        if macros["LB_WITH_CAPTURE"]:
            raise LbctlError("the verifier has had enough")
        return build(pin, macros, **more)

    with capturing(switch) as made:
        monkeypatch.setattr(program, "compile_program", fails)
        switch.dataplane.ensure(needs("any_port"))

        assert "the verifier has had enough" == made.failure
        assert plain(switch) == program_on(cables, "nic0")
    assert set() == left(switch)


def test_it_cannot_begin(switch, cables, monkeypatch):  # noqa: F811
    """
    Then nothing has changed, and the next one can.
    """
    before = program_on(cables, "nic0")
    with monkeypatch.context() as patch:
        patch.setattr(syscall, "prog_load", mock.Mock(side_effect=OSError(22, "Invalid argument")))
        with pytest.raises(LbctlError, match=r"cannot show packets to a capture; that takes Linux"):
            switch.dataplane.new_capture(RING)
    with monkeypatch.context() as patch:
        patch.setattr(syscall, "map_create", mock.Mock(side_effect=OSError(12, "No memory")))
        with pytest.raises(LbctlError, match=r"cannot make the tables of a capture: No memory"):
            switch.dataplane.new_capture(RING)
    assert (before, set()) == (program_on(cables, "nic0"), left(switch))

    with capturing(switch):
        assert before != program_on(cables, "nic0")


def test_a_daemon_that_was_killed(switch, cables):  # noqa: F811
    """
    Packets go on through its program; the next daemon removes the pins and puts the plain one back.
    """
    made = switch.dataplane.new_capture(RING)
    switch.dataplane.start_capture(made)
    seen = program_on(cables, "nic0")
    switch.dataplane._capture = None  # nobody cleans up
    switch.dataplane.close()
    assert {"capture"} == left(switch)
    switch.reopen()

    assert (seen, set()) == (program_on(cables, "nic0"), left(switch))
    switch.dataplane.ensure(needs("nat"))
    assert plain(switch) == program_on(cables, "nic0")
    made.close()


def test_the_end_of_the_daemon(switch, cables):  # noqa: F811
    """
    One that ends in good order leaves the plain program.
    """
    with capturing(switch):
        switch.dataplane.close()

        assert plain(switch) == program_on(cables, "nic0")
        assert set() == left(switch)
        switch.reopen()


def test_this_kernel_can():
    """
    The probe is right: Linux has had the function since 5.18.
    """
    require(Feature("bpf_xdp_load_bytes", (5, 18), _loads))

    capture.require_kernel()


def _loads():
    try:
        capture.require_kernel()
    except LbctlError:
        return False
    return True


def test_the_verifier(machines):
    """
    With it, it has not much more to follow.
    """
    switch = machines()
    made = switch.dataplane.new_capture(RING)
    with_it = info(made.program).verified
    made.close()
    require(Feature("a count of verified instructions", (5, 16), lambda: bool(with_it)))
    (pin,) = (switch.pins / "programs").iterdir()

    assert info(pin).verified < with_it < min(2 * info(pin).verified, LIMIT * 4 // 5)


@pytest.mark.parametrize("which", [("nat",), ALL], ids=["nat", "all"])
def test_it_costs_nothing_while_it_is_off(machines, tmp_path, which):
    """
    The plain program is, to the instruction, the one of sources in which there is no trace of it.
    """
    switch = machines(which)
    text = program.paste(program.sources(), "switch.c")
    for name in ("capture", "trace"):
        text = re.sub(rf'#line 1 "lb/{name}\.h"\n.*?#endif\n#line', "#line", text, flags=re.DOTALL)
    text = re.sub(r"\blb_capture(_came)?\([^;]*\);", ";", text)
    text = re.sub(r"\blb_trace\((\w|&)+, \w+, verdict\);", ";", text)
    text = re.sub(r"= lb_trace\(&pkt, \w+, (.*)\);", r"= \1;", text)
    (tmp_path / "bare.c").write_text(text)
    (pin,) = (switch.pins / "programs").iterdir()
    macros = switch.dataplane._macros(int(pin.name.partition("_")[0], 16))
    other = pin.with_name("00_bare")
    try:
        bare = program.compile_program(other, macros, source=str(tmp_path / "bare.c"))
    finally:
        other.unlink(missing_ok=True)

    assert not re.search(r"lb_(capture|trace)\w*\(", text)
    assert (bare.tag, bare.verified) == (info(pin).tag, info(pin).verified)
