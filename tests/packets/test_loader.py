"""The loader: what is compiled when, what is taken over, and what a failure leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbctl.errors import LbctlError
from lbctl.shared import abi, syscall, tables
from lbctl.shared.tables import Capacity
from lbctl.switching import dataplane, program
from lbctl.switching.dataplane import Dataplane
from tests.packets.world import WEB4, WEB6, establish
from tests.support.progrun import machine, sent

TINY = Capacity(services=4, backends=8, slots=64, connections=64, next_hops=16, routes=8)


@pytest.fixture(scope="module")
def small(machines):
    """
    A switch of its own, of the least features, which tests may spoil.
    """
    with machine(("nat",), TINY, machines().clock) as switch:
        yield switch


@pytest.fixture
def fresh(small):
    """
    The same, empty.
    """
    small.reset()
    return small


def programs(switch):
    """The names of the pinned programs."""
    return sorted(path.name for path in (switch.pins / "programs").iterdir())


def never(*_, **__):
    """Stand in for the compiler where nothing may be compiled."""
    pytest.fail("compiled without need")


BROKEN = {
    "it is no C": ("int lb_switch(struct xdp_md *ctx)\n{\n\treturn nonsense;\n}\n", "nonsense"),
    "the verifier refuses it": (
        "int lb_switch(struct xdp_md *ctx) { return *(int *)(long)ctx->data; }\n",
        "invalid access to packet",
    ),
    "there is no such function": ("int lb_other(struct xdp_md *ctx) { return 2; }\n", "lb_switch"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_program_that_cannot_be_built(fresh, tmp_path, caplog, name):
    """
    One line for people; the whole story is in the log, for who wants to know.
    """
    text, reason = BROKEN[name]
    caplog.set_level("DEBUG")
    source = tmp_path / "broken.c"
    source.write_text(text)
    with pytest.raises(LbctlError) as failure:
        program.compile_program(fresh.pins / "programs" / "00_0", {}, source=str(source))

    (line,) = str(failure.value).splitlines()
    assert "broken.c: the switching processor could not be built (" in line
    assert line.endswith("; run `lbctld --log-level debug` for the whole output")
    assert reason in caplog.text
    assert 1 == len(programs(fresh))


def test_errors_name_the_file_that_they_are_in(fresh, tmp_path, caplog):
    """
    The sources are pasted into one text; the compiler still says which it was.
    """
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "odd.h").write_text("\n\nstatic int odd(void) { return nonsense; }\n")
    source = tmp_path / "switch.c"
    source.write_text(
        '#include "stages/odd.h"\nint lb_switch(struct xdp_md *c) { return odd(); }\n'
    )
    text = program.paste(tmp_path, "switch.c")
    whole = tmp_path / "whole.c"
    whole.write_text(text)
    caplog.set_level("DEBUG")
    with pytest.raises(LbctlError):
        program.compile_program(fresh.pins / "programs" / "00_0", {}, source=str(whole))

    assert "stages/odd.h:3" in caplog.text


def test_the_program_is_used_again(fresh, monkeypatch):
    """
    By the same process, by the next one, and for a configuration that needs less.
    """
    monkeypatch.setattr(program, "compile_program", never)
    before = programs(fresh)
    fresh.ensure(("nat",))
    fresh.dataplane.close()
    fresh.reopen()
    fresh.ensure(("nat",))
    fresh.ensure(())

    assert before == programs(fresh)


def test_what_shapes_the_program_is_in_its_name(fresh, monkeypatch):
    """
    Other sources, sizes, ticks or options of the compiler: another program.
    """
    names = {fresh.dataplane._digest()}
    with monkeypatch.context() as patch:
        patch.setattr(program, "paste", lambda *_: "another text")
        names.add(fresh.dataplane._digest())
    with monkeypatch.context() as patch:
        patch.setattr(program, "_LANGUAGE", ("-O1",))
        names.add(fresh.dataplane._digest())
    with monkeypatch.context() as patch:
        patch.setattr(fresh.clock, "shift", fresh.clock.shift + 1)
        names.add(fresh.dataplane._digest())

    assert 4 == len(names)


def test_features_are_added(fresh):
    """
    A second configuration needs more: one program for both, and connections go on.
    """
    fresh.publish(fresh.service(WEB4.service, [WEB4.server]))
    establish(fresh, WEB4)
    (before,) = programs(fresh)
    fresh.ensure(("ipv6",))
    (after,) = programs(fresh)

    assert before != after
    assert int(before[:2], 16) | 1 << dataplane.FEATURES.index("IPV6") == int(after[:2], 16)
    assert sent(WEB4.asked("A")) == fresh.run(WEB4.asks("A"))
    fresh.publish(*(fresh.service(t.service, [t.server]) for t in (WEB4, WEB6)))
    establish(fresh, WEB6)


def test_a_failure_changes_nothing(fresh, monkeypatch):
    """
    The old program stays, and so does the one by which connections are forgotten.
    """
    fresh.publish(fresh.service(WEB4.service, [WEB4.server]))
    establish(fresh, WEB4)
    before = programs(fresh)
    with monkeypatch.context() as patch:
        patch.setattr(program, "paste", lambda *_: "other sources")  # in this process only
        patch.setattr(Dataplane, "_macros", lambda *_: {"LB_PINS": "no text"})
        with pytest.raises(LbctlError, match=r"^switch\.c: the switching processor could not"):
            fresh.ensure(("nat",))

    assert before == programs(fresh)
    assert sent(WEB4.asked("A")) == fresh.run(WEB4.asks("A"))
    assert 1 == fresh.connections.flush()


@pytest.mark.parametrize(
    ("change", "table"),
    [
        ({"connections": 128}, "connections"),
        ({"backends": 16}, "services"),
        ({"slots": 128}, "slots"),
        ({"next_hops": 32}, "next_hops"),
        ({"routes": 16}, "routes"),
    ],
)
def test_tables_of_another_size_are_refused(fresh, change, table):
    """
    Which, how large, and what to do; and nothing happens to them.
    """
    values = {name: getattr(TINY, name) for name in TINY.__slots__}
    with pytest.raises(LbctlError) as failure:
        Dataplane.open(fresh.pins, Capacity(**(values | change)))

    (line,) = str(failure.value).splitlines()
    assert line.startswith(f"{fresh.pins}/tables/{table}: ")
    assert "start `lbctld --fresh`" in line
    fresh.dataplane.close()
    fresh.reopen()


def test_tables_of_another_layout_are_refused(fresh):
    """
    Sizes may be the same by chance; the number tells.
    """
    mine = abi.ABI_VERSION
    words = f"tables of layout {mine + 1}, this version has layout {mine}; "
    fresh.memory["control"]["layout"] = mine + 1
    try:
        with pytest.raises(
            LbctlError,
            match=words,
        ):
            Dataplane.open(fresh.pins, TINY)
    finally:
        fresh.memory["control"]["layout"] = abi.ABI_VERSION


def test_a_missing_table_is_named(fresh):
    """
    Somebody has tidied up.
    """
    path = fresh.pins / "tables" / "routes"
    path.unlink()
    try:
        with pytest.raises(LbctlError, match=r"tables/routes: No such file.*lbctld --fresh"):
            Dataplane.open(fresh.pins, TINY)
    finally:
        syscall.pin(fresh.tables.fd["routes"], path)


def test_a_refusal_leaks_no_descriptor(fresh):
    """
    Lbctld may try again and again.
    """
    before = descriptors()
    for _ in range(3):
        with pytest.raises(LbctlError):
            Dataplane.open(fresh.pins, Capacity())

    assert before == descriptors()


def descriptors():
    """Count what this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_an_instance_is_there_whole_or_not_at_all(small, monkeypatch):
    """
    No half-made folder is left where an instance would be looked for.
    """
    pins = small.pins.with_name(small.pins.name + "-half")

    def fail(*_):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(tables, "create", fail)
    with pytest.raises(LbctlError, match="make the tables: Cannot allocate memory; is bpffs"):
        Dataplane.open(pins, TINY)

    assert [] == list(pins.parent.glob(f"{pins.name}*"))


def test_what_a_crash_left_while_building_is_no_obstacle(small, monkeypatch):
    """
    The next start begins afresh.
    """
    pins = small.pins.with_name(small.pins.name + "-again")
    monkeypatch.setattr(dataplane, "Clock", lambda: small.clock)
    (pins.with_name(f"{pins.name}_new") / "tables").mkdir(parents=True)
    made = Dataplane.open(pins, TINY)

    assert 0 == made.configuration.generation
    made.destroy()
    assert [] == list(pins.parent.glob(f"{pins.name}*"))


def test_keys_are_secret_and_stay(small, monkeypatch):
    """
    Each instance draws its own, once.
    """
    monkeypatch.setattr(dataplane, "Clock", lambda: small.clock)
    pins = small.pins.with_name(small.pins.name + "-keys")
    keys = []
    for _ in range(2):
        made = Dataplane.open(pins, TINY)
        keys.append(made._tables["control"]["hash"].tobytes())
        made.close()
    made = Dataplane.open(pins, TINY)
    made.destroy()
    made = Dataplane.open(pins, TINY)
    keys.append(made._tables["control"]["hash"].tobytes())
    made.destroy()

    assert keys[0] == keys[1] != keys[2]
    assert 0 not in (len(set(key)) for key in keys)


def test_destroying_leaves_no_pin(small, monkeypatch):
    """
    Programs, tables, links, and the folder.
    """
    monkeypatch.setattr(dataplane, "Clock", lambda: small.clock)
    pins = small.pins.with_name(small.pins.name + "-gone")
    Dataplane.open(pins, TINY).destroy()

    assert not pins.exists()
