"""Stage select: which server a new connection gets, and who makes room for it."""

from __future__ import annotations

import random
import time
from collections import Counter

import numpy as np
import pytest

from lbctl.model import Timeouts
from lbctl.shared import syscall
from lbctl.shared.abi import ConnectionKey, Verdict
from lbctl.shared.abi import ConnectionState as State
from tests.packets.world import BOTH, DNS4, TCP, WEB4, WEB6, establish, play, where
from tests.support import frames
from tests.support.progrun import dropped, sent
from tests.support.reader import reading

NEW = Verdict.TO_BACKEND_NEW
UNTRACKED = Verdict.TO_BACKEND_UNTRACKED


def set_of(switch, key):
    """The states in both sets of a client."""
    ways = switch.memory["connections"]["way"]
    return [*ways[key % len(ways)], *ways[(key >> 32) % len(ways)]]


def older(entry, ticks):
    """Make one entry older."""
    entry["last_used"] = (int(entry["last_used"]) - ticks) & 0xFFFF


@BOTH
def test_no_active_server(switch, talk):
    """
    The pool is empty, or all of it is down: a verdict of its own.
    """
    for servers in ([], [f"{talk.server} down"], [f"{talk.server} draining"]):
        switch.publish(switch.service(talk.service, servers))

        assert dropped(Verdict.DROP_NO_BACKEND) == switch.run(talk.asks(*talk.start))


@BOTH
def test_only_servers_with_slots_get_connections(switch, talk):
    """
    And each gets about as many as it has slots.
    """
    servers = [frames.at_port(talk.server.replace("11", str(n)), 8080) for n in (11, 12, 13)]
    switch.publish(switch.service(talk.service, servers, slots=[0, 0, 0, 2]))

    asks = [talk.asks_from(port).asks(*talk.start) for port in range(20000, 20120)]
    counts = Counter(frames.destination(switch.fast(ask).frame) for ask in asks)

    assert {servers[0], servers[2]} == set(counts)
    assert 60 < counts[servers[0]] < 118


def test_a_client_keeps_its_server_while_the_slots_stay(switch):
    """
    What is forwarded by hash alone goes where the connection would have gone.
    """
    servers = [f"10.0.1.{n}:8080" for n in range(11, 19)]
    switch.publish(switch.service(WEB4.service, servers))
    for port in range(20000, 20050):
        talk = WEB4.asks_from(port)
        first = where(switch.run(talk.asks("S")))
        switch.forget()
        assert first == where(switch.run(talk.asks("S")))


@TCP
@pytest.mark.parametrize("filled", [State.ESTABLISHED, State.CLOSING, State.UDP])
def test_full_of_live_connections(switch, talk, filled):
    """
    Nobody is thrown out.  The packet goes by its slot alone, and is counted as what it is.
    """
    switch.publish(switch.service(talk.service, [talk.server]))
    key = switch.key_of(talk.asks("S"))
    switch.fill(key, filled)
    before = [entry.tobytes() for entry in set_of(switch, key)]

    assert sent(talk.asked("S"), UNTRACKED) == switch.run(talk.asks("S"))
    assert sent(talk.asked("PA"), UNTRACKED) == switch.run(talk.asks("PA"))
    assert before == [entry.tobytes() for entry in set_of(switch, key)]


@TCP
@pytest.mark.parametrize(
    ("filled", "age"),
    [
        (State.HALF_OPEN, 0),
        (State.HALF_OPEN, 11),
        (State.ESTABLISHED, 3700),
        (State.CLOSING, 130),
        (State.CLOSED, 0),
        (State.CLOSED, 12),
        (State.UDP, 70),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_room_is_made_from_half_open_and_expired_entries(switch, talk, filled, age):
    """
    Seven live connections and one that may go.
    """
    switch.publish(switch.service(talk.service, [talk.server]))
    key = switch.key_of(talk.asks("S"))
    switch.fill(key, State.ESTABLISHED)
    victim = set_of(switch, key)[5]
    victim["state"] = filled
    older(victim, age)

    establish(switch, talk)

    assert int(victim["key"]) == key
    assert 7 == sum(entry["key"] == key ^ 1 << 63 for entry in set_of(switch, key))


def test_the_oldest_half_open_entry_goes_first(switch):
    """
    The others may still be answered.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    key = switch.key_of(WEB4.asks("S"))
    switch.fill(key, State.HALF_OPEN)
    entries = set_of(switch, key)
    for age, entry in zip([3, 1, 4, 1, 5, 9, 2, 6], entries, strict=True):
        older(entry, age)

    play(switch, WEB4, ">S")

    assert [5] == [index for index, entry in enumerate(entries) if entry["key"] == key]


def test_who_goes_first(switch):
    """
    Free places, expired entries, closed ones, half-open ones: in that order.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    key = switch.key_of(WEB4.asks("S"))
    switch.fill(key, State.ESTABLISHED)
    entries = set_of(switch, key)
    entries[0]["state"], entries[1]["state"], entries[3]["key"] = State.HALF_OPEN, State.CLOSED, 0
    older(entries[0], 8)
    older(entries[2], 3700)
    for place in (3, 2, 1, 0):
        play(switch, WEB4, ">S")

        assert int(entries[place]["key"]) == key
        entries[place]["key"], entries[place]["state"] = key ^ 1 << 63, State.ESTABLISHED


def test_the_second_set_takes_what_the_first_has_no_room_for(switch):
    """
    Half-open entries of the first set are spared while the second has a free place.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    key = switch.key_of(WEB4.asks("S"))
    switch.fill(key, State.HALF_OPEN)
    entries = set_of(switch, key)
    entries[6]["key"] = 0

    play(switch, WEB4, ">S <SA >A")

    assert int(entries[6]["key"]) == key


@pytest.mark.parametrize("words", [">S >FA!", ">S >R!", ">S >RA!", ">S <SA >FA!", ">S <SA >R"])
def test_who_never_shook_hands_makes_room(switch, words):
    """
    A flood of SYNs, each followed by a blind FIN or RST, must not hold places for longer.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    key = switch.key_of(WEB4.asks("S"))
    play(switch, WEB4, words)
    (state,) = (entry["state"] for entry in set_of(switch, key) if entry["key"] == key)
    switch.forget()
    switch.fill(key, state)

    assert NEW is switch.run(WEB4.asks("S")).verdict


@pytest.mark.parametrize("talk", [WEB4, WEB6], ids=["IPv4", "IPv6"])
def test_a_flood_of_syns_evicts_nobody(switch, talk):
    """
    100,000 random clients, each with one SYN, and a table that is half full already.
    """
    switch.publish(switch.service(talk.service, [talk.server]))
    regulars = [talk.asks_from(port) for port in range(1000, 1400)]
    for regular in regulars:
        for frame in ("S", "A"):
            switch.fast(regular.asks(frame))
    mine = switch.entries["key"] > 1
    switch.entries["state"][mine] = State.ESTABLISHED
    before = switch.entries[mine].copy()

    flood(switch, talk, 100_000)

    assert len(regulars) == len(before)
    assert before["key"].tobytes() == switch.entries[mine]["key"].tobytes()
    assert before["state"].tobytes() == switch.entries[mine]["state"].tobytes()
    counts = switch.verdicts()
    assert {NEW, Verdict.TO_BACKEND} == set(counts)
    assert 100_000 <= counts[NEW]
    for regular in regulars[::40]:
        assert sent(regular.asked("PA")) == switch.run(regular.asks("PA"))


def flood(switch, talk, packets):
    """Send SYNs of random addresses and ports; checksums are no business of the switch."""
    frame, chance = bytearray(talk.asks("S")), random.Random(7)
    address = slice(26, 30) if talk is WEB4 else slice(30, 38)
    port = slice(34, 36) if talk is WEB4 else slice(54, 56)
    for _ in range(packets):
        frame[address] = chance.randbytes(address.stop - address.start)
        frame[port] = chance.randbytes(2)
        switch.fast(bytes(frame))


def test_two_processors_at_once(switch):
    """
    Both open the same connections in too small a table: nothing stays locked, nothing is mixed up.
    """
    talks = [WEB4.asks_from(port) for port in range(20000, 20200)]
    switch.publish(switch.service(WEB4.service, [WEB4.server, WEB4.second], slots=[0, 1]))
    asks = [talk.asks("S") for talk in talks]
    for ways in switch.memory["connections"]["way"][::2]:
        ways["key"], ways["state"] = ConnectionKey.FIRST, State.ESTABLISHED
        ways["last_used"] = switch.clock.now()
    path, deadline = str(next((switch.pins / "programs").iterdir())), time.monotonic() + 20
    with reading(path, asks, asks[::-1]) as readers:
        while sum(switch.verdicts().values()) < 60_000:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    assert not (switch.entries["key"] == ConnectionKey.LOCKED).any()
    assert {NEW, Verdict.TO_BACKEND, UNTRACKED} >= set(switch.verdicts())
    mine = switch.entries[switch.entries["key"] > ConnectionKey.FIRST]
    assert {State.HALF_OPEN} == set(mine["state"] & State.MASK)
    assert len(np.unique(mine["key"])) > 0.9 * len(mine)
    for reader in readers:
        for number, action, frame in reader.seen:
            out = (asks if reader is readers[0] else asks[::-1])[number]
            assert (syscall.REDIRECT, out[34:36]) == (action, frame[34:36])
            assert frame[:6].hex(":") == frames.server_mac(frames.destination(frame))


def test_counters_of_a_server(switch):
    """
    New connections, packets and bytes of both directions, by record.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    play(switch, WEB4, ">S <SA >A >PA")
    index = switch.configuration.backend_index(
        *next(iter(switch.configuration.backends().values()))
    )
    row = switch.dataplane.counters.by_backend()[index]

    assert (1, 3, 120, 1, 40) == tuple(
        int(row[name])
        for name in ("connections", "packets_in", "bytes_in", "packets_out", "bytes_out")
    )


def test_a_udp_client_is_a_connection_too(switch):
    """
    It stays with its server, and is forgotten after a while.
    """
    servers = [DNS4.server, DNS4.second]
    switch.publish(switch.service(DNS4.service, servers), timeouts=Timeouts(udp=30))
    first = where(switch.run(DNS4.asks()))
    switch.publish(switch.service(DNS4.service, servers, slots=[first == DNS4.server]))

    assert first == where(switch.run(DNS4.asks()))

    switch.age(100)
    assert first != where(switch.run(DNS4.asks()))
