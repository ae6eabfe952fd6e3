"""Publishing: packets see one generation or the other, whole; and what survives a crash."""

from __future__ import annotations

import random
import sys
from contextlib import contextmanager

import pytest

from lbctl.errors import LbctlError
from lbctl.model import Timeouts
from lbctl.shared import configuration, syscall
from lbctl.shared.abi import BackendState, ConnectionKey, Verdict
from tests.packets.world import DNS4, WEB4, WEB6, Talk, establish, where
from tests.support import frames
from tests.support.progrun import dropped, passed, sent
from tests.support.reader import reading
from tests.support.sums import sums

NEW = Verdict.TO_BACKEND_NEW
COMMON, ONLY_X, ONLY_Y, CROWDED = (f"203.0.113.{n}:80" for n in (10, 20, 30, 40))
CONFIGURATIONS = {
    "X": {COMMON: range(11, 15), ONLY_X: range(21, 25), CROWDED: range(51, 55)},
    "Y": {COMMON: range(31, 35), ONLY_Y: range(41, 45), CROWDED: range(61, 65)},
}
SERVERS = {
    vip: {f"10.0.1.{n}:80" for found in CONFIGURATIONS.values() if vip in found for n in found[vip]}
    for vip in (COMMON, ONLY_X, ONLY_Y)
}


@pytest.fixture(autouse=True)
def busy(switch):
    """
    Packets are under way while these tests publish: wait for them as in earnest.
    """
    switch.busy = True
    yield
    switch.busy = False


TURNS = 40  # publishes


def publish(switch, name, chance):
    """Publish X or Y, in an order that gives the indices new meanings."""
    services = []
    for vip, numbers in chance.sample(list(CONFIGURATIONS[name].items()), 3):
        servers = chance.sample([f"10.0.1.{n}:80" for n in numbers], len(numbers))
        slots = chance.choices(range(4), k=chance.choice([32, 64, 96]))
        services.append(switch.service(f"{vip}/tcp", servers, slots=[0, 1, 2, 3, *slots]))
    switch.publish(*services)


def new_connections():
    """Make SYNs of many clients to each VIP: (VIP, frame)."""
    for vip in SERVERS:
        talk = Talk("198.51.100.7:1", vip, "")
        yield from ((vip, talk.asks_from(port).asks("S")) for port in range(2000, 2120))


def test_packets_see_whole_generations(switch):
    """
    Two configurations in turn, under fire: every packet goes where one of them says.

    One reader opens connections; the other's client has no room in the connection table, so that
    each of its packets is a look at the slots.
    """
    chance, cases = random.Random(1), list(new_connections())
    publish(switch, "X", chance)
    loner = Talk("198.51.100.9:9", CROWDED, "")
    key = switch.key_of(loner.asks("S"))
    ways = switch.memory["connections"]["way"]
    for index in (key % len(ways), (key >> 32) % len(ways)):
        ways[index]["key"] = ConnectionKey.LOCKED
    path = str(next((switch.pins / "programs").iterdir()))
    asks = [frame for _, frame in cases], [loner.asks("A")] * 64
    with reading(path, *asks) as readers:
        for turn in range(TURNS):
            switch.connections.flush()
            publish(switch, "YX"[turn % 2], chance)

    places = set()
    for number, action, frame in readers[0].seen:
        vip, asked = cases[number]
        if action == syscall.PASS:  # its address is in the other configuration
            assert (vip != COMMON, frame) == (True, asked)
            continue
        place = frames.destination(frame)
        assert (action, sums(frame)) == (syscall.REDIRECT, {"ip": 0, 6: 0})
        assert frame[:6].hex(":") == frames.server_mac(place)
        assert place in SERVERS[vip]
        places.add((vip, place))
    assert sum(map(len, SERVERS.values())) == len(places)
    counts = switch.verdicts()
    assert {syscall.REDIRECT} == {action for _, action, _ in readers[1].seen}
    # and, at most once a flush, a SYN whose entry was being forgotten that very moment
    untracked = counts[Verdict.TO_BACKEND_UNTRACKED] - readers[1].seen.total()
    assert 0 <= untracked <= TURNS
    assert Verdict.DROP_INTERNAL not in counts


@contextmanager
def after_every_line(check):
    """Call *check* after every line of lbctl.shared.configuration that is run in the block."""

    def trace(frame, event, _):
        if frame.f_code.co_filename != configuration.__file__:
            return None
        if event in ("line", "return"):
            check()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def test_at_no_moment_is_there_half_a_generation(switch):
    """
    Between any two lines of publish() packets see all of the old generation, or all of the new.
    """
    chance = random.Random(1)
    probes = [frame for _, frame in list(new_connections())[::12]]
    switch.memory["connections"]["way"]["key"] = ConnectionKey.LOCKED  # so that slots decide
    for turn in range(3):
        publish(switch, "XY"[turn % 2], chance)

    def view():
        return [switch.fast(probe).frame for probe in probes]

    for turn in range(3, 7):
        old, seen = view(), []
        with after_every_line(lambda seen=seen: seen.append(view())):
            publish(switch, "XY"[turn % 2], chance)
        new = view()
        whole = ["old" if v == old else "new" if v == new else "half" for v in seen]

        assert old != new
        assert {"old", "new"} == set(whole)
        assert whole == sorted(whole, reverse=True), "first old, then new"
    assert Verdict.DROP_INTERNAL not in switch.verdicts()


def test_a_connection_goes_on_through_all_generations(switch):
    """
    Its server comes and goes, and no packet is lost.
    """
    talk, chance = WEB4._replace(server="10.0.1.11:80"), random.Random(1)
    others = [f"10.0.1.{n}:80" for n in range(20, 60)]
    switch.publish(switch.service(talk.service, [talk.server]))
    establish(switch, talk)
    path = str(next((switch.pins / "programs").iterdir()))
    with reading(path, [talk.asks("PA", b"data")] * 64) as (reader,):
        for _ in range(40):
            servers = chance.sample([talk.server, *others], 12)
            switch.publish(switch.service(talk.service, servers))

    assert {talk.asked("PA", b"data")} == {frame for _, _, frame in reader.seen}
    assert 1 + reader.seen.total() == switch.verdicts()[Verdict.TO_BACKEND]


def test_the_pointer_moves_before_the_wait_and_nothing_after_it(switch, monkeypatch):
    """
    When the wait begins the old half is as it was, and packets read the new one.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    before, seen = halves(switch), []

    def wait():
        seen.append((int(switch.memory["control"]["active"][0]), halves(switch)))

    monkeypatch.setattr(syscall, "wait_for_packets", wait)
    active = int(switch.memory["control"]["active"][0])
    switch.publish(switch.service(WEB6.service, [WEB6.server]))

    ((now, then),) = seen
    assert now == 1 - active
    assert before[active] == then[active]
    assert then == halves(switch)


def halves(switch):
    """The bytes of both buffers."""
    names = ("services", "displacements", "slots", "backends")
    tables = [switch.memory[name] for name in names]
    return [
        [t[i * len(t) // 2 : (i + 1) * len(t) // 2].tobytes() for t in tables] for i in range(2)
    ]


class CrashError(Exception):
    """The process ends here."""


@pytest.mark.parametrize(
    "step",
    ["_assign", "_back_end_table", "_write_directory", "_begin_counting", "_write_slots"],
)
def test_a_crash_while_publishing(switch, monkeypatch, step):
    """
    Packets notice nothing; who comes next finds what packets see, and can publish.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server, WEB4.second], slots=[0]))
    establish(switch, WEB4)
    table = switch.configuration
    real = getattr(table, step)

    def crash(*args):
        real(*args)
        raise CrashError

    monkeypatch.setattr(table, step, crash)
    with pytest.raises(CrashError):
        switch.publish(
            switch.service(WEB4.service, [WEB4.second]), switch.service(DNS4.service, [DNS4.server])
        )
    assert sent(WEB4.asked("A")) == switch.run(WEB4.asks("A"))
    assert Verdict.DROP_NO_SERVICE is switch.run(DNS4.asks()).verdict

    names, generation = table.backends(), table.generation
    switch.dataplane.close()
    switch.reopen()
    assert (names, generation) == (switch.configuration.backends(), switch.configuration.generation)

    switch.publish(switch.service(WEB4.service, [WEB4.second]))
    assert sent(WEB4.asked("A")) == switch.run(WEB4.asks("A"))
    assert where(switch.run(WEB4.asks_from(40001).asks("S"))) == WEB4.second


def test_a_crash_before_the_wait_is_over(switch, monkeypatch):
    """
    The pointer has moved, so the new generation counts; the next process waits in its place.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    waits = []
    with monkeypatch.context() as patch:
        patch.setattr(syscall, "wait_for_packets", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            switch.publish(switch.service(WEB4.service, [WEB4.second]))
    monkeypatch.setattr(syscall, "wait_for_packets", lambda: waits.append(1))
    switch.dataplane.close()
    switch.reopen()

    assert [1] == waits
    assert switch.configuration.generation == 2
    assert where(switch.run(WEB4.asks("S"))) == WEB4.second


def test_what_a_new_process_finds(switch):
    """
    Names, next hops, routes, connections: the tables are the memory.
    """
    switch.route("198.51.100.0/24", frames.ROUTER)
    switch.route("2001:db8:c::/48", frames.ROUTER)
    everything = [
        switch.service(t.service, [t.server, t.second], slots=[0]) for t in (WEB4, WEB6, DNS4)
    ]
    switch.publish(*everything, switch.service("203.0.113.99:*/tcp", []))
    establish(switch, WEB4)
    switch.publish(*everything[1:])

    def view():
        return (
            switch.configuration.backends(),
            switch.configuration.generation,
            switch.configuration.active_buffer,
            switch.routing.destinations(),
            switch.routing.routes(),
            [c._replace(idle_seconds=0) for c in switch.connections.list()],
        )

    before = view()
    switch.dataplane.close()
    switch.reopen()

    assert before == view()
    assert sent(WEB4.heard("A"), Verdict.TO_CLIENT) == switch.reply(WEB4.says("A"))
    assert Verdict.RESET is switch.run(WEB4.asks_from(1).asks("S")).verdict


def test_a_removed_server_stays_while_it_has_connections(switch):
    """
    Its record and its index; both go with its last connection.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server, WEB4.second], slots=[0]))
    establish(switch, WEB4)
    (mine,) = set(switch.entries["backend"][switch.entries["key"] > 1])
    crowd = [f"10.0.1.{n}:8080" for n in range(20, 60)]
    for turn in range(4):
        switch.publish(switch.service(WEB4.service, crowd[turn * 10 : turn * 10 + 10]))
        assert str(switch.configuration.backends()[int(mine)].address) == WEB4.server
        assert sent(WEB4.asked("A")) == switch.run(WEB4.asks("A"))
        assert sent(WEB4.heard("A"), Verdict.TO_CLIENT) == switch.reply(WEB4.says("A"))

    switch.connections.flush()
    switch.publish(switch.service(WEB4.service, crowd[:10]))
    addresses = [str(record.address) for record in switch.configuration.backends().values()]
    assert WEB4.server not in addresses
    assert passed(WEB4.says("A")) == switch.reply(WEB4.says("A"))


def test_a_server_that_comes_back_is_itself_again(switch):
    """
    Same index, new connections, and the old ones have never noticed.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    establish(switch, WEB4)
    for servers in ([WEB4.second], [WEB4.second, WEB4.server]):
        switch.publish(switch.service(WEB4.service, servers, slots=[len(servers) - 1]))
    other = WEB4.asks_from(40001)

    assert sent(WEB4.asked("A")) == switch.run(WEB4.asks("A"))
    assert sent(other.asked("S"), NEW) == switch.run(other.asks("S"))
    half = switch.memory["backends"][switch.capacity.backends * (switch.configuration._active) :]
    assert BackendState.REMOVED not in half["state"][:4]


@pytest.mark.parametrize(
    ("services", "message"),
    [
        (lambda s: [s.service(f"203.0.113.{n}:80/tcp", []) for n in range(40)], "^services: no ro"),
        (
            lambda s: [
                s.service(f"203.0.113.{n}:80/tcp", [f"10.0.{n}.{m}:80" for m in range(1, 9)])
                for n in range(20)
            ],
            "^backends: no room for",
        ),
        (lambda s: [s.service(WEB4.service, [WEB4.server], slots=[0] * 40_000)], "^slots: 4000"),
    ],
    ids=["services", "backends", "slots"],
)
def test_what_does_not_fit_changes_nothing(switch, services, message):
    """
    The error says which table is too small, and how to get a larger one.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    before = halves(switch)
    with pytest.raises(LbctlError, match=message) as failure:
        switch.publish(*services(switch))

    assert "start lbctld with a larger --" in str(failure.value)
    assert before == halves(switch)
    assert 1 == switch.configuration.generation
    assert sent(WEB4.asked("S"), NEW) == switch.run(WEB4.asks("S"))


def test_a_new_server_begins_to_count_at_zero(switch):
    """
    Whoever had its index before.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    establish(switch, WEB4)
    switch.connections.flush()
    for servers in ([], [], [WEB4.second]):
        switch.publish(switch.service(WEB4.service, servers))
    (index,) = switch.configuration.backends()

    assert (0,) * 8 == switch.dataplane.counters.by_backend()[index].item()


def test_timeouts_are_published_too(switch):
    """
    They hold for connections that are there already.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    establish(switch, WEB4)
    switch.age(100)
    service = switch.service(WEB4.service, [WEB4.server], unknown="drop")
    switch.publish(service, timeouts=Timeouts(established=60))

    assert dropped(Verdict.DROP_NO_CONNECTION) == switch.run(WEB4.asks("A"))
