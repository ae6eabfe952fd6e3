"""Rules that come and go: both buffers, a new process, more than fit, and removed VIPs."""

from __future__ import annotations

import numpy as np
import pytest

from lbctl.errors import LbctlError
from lbctl.shared import abi
from lbctl.shared.abi import Verdict
from tests.packets.test_rules import around, first, own_or_rule
from tests.packets.world import BOTH, TCP, WEB4, establish, reset, where
from tests.support import frames
from tests.support.progrun import answered, passed, sent


def rules_of(switch, buffer):
    """How many rules a buffer has."""
    keys = b"".join(switch.rules())
    return int((np.frombuffer(keys, abi.RULE_KEY)["buffer"] == "AB".index(buffer)).sum())


@BOTH
def test_old_rules_go(switch, talk):
    """
    They hold for nobody from the next generation on, and are gone from both buffers after two.
    """
    for name in ("net", "one", "neighbor", "all"):
        own_or_rule(switch, talk, name)
        expected = talk.server if name == "neighbor" else talk.second
        assert expected == where(switch.run(talk.asks(*talk.start)))
        switch.forget()
    for left in (1, 0):
        switch.publish(switch.service(talk.service, [talk.server, talk.second], slots=[0]))

        assert left == len(switch.rules())
        assert first(talk) == switch.run(talk.asks(*talk.start))
        switch.forget()


def test_an_index_that_another_service_had_before(switch):
    """
    The rules of a removed service are not those of the one that has its number now.
    """
    own_or_rule(switch, WEB4, "net")
    own_or_rule(switch, WEB4, "net")
    other = WEB4.at_vip(20)
    for _ in range(2):
        switch.publish(
            switch.service(
                other.service,
                [other.server, other.second],
                slots=[0],
                rules={around(other, "neighbor"): [1]},
            )
        )
        assert first(other) == switch.run(other.asks("S"))
        switch.forget()


@BOTH
def test_a_takeover(switch, talk):
    """
    A new process finds the rules of the old one, in both buffers: packets still follow them.
    """
    own_or_rule(switch, talk, "one")
    own_or_rule(switch, talk, "net")
    switch.dataplane.close()
    switch.reopen()

    assert first(talk, talk.second) == switch.run(talk.asks(*talk.start))
    assert (1, 1) == tuple(rules_of(switch, buffer) for buffer in "AB")
    for left in (1, 0):
        switch.publish(switch.service(talk.service, [talk.server, talk.second], slots=[0]))
        assert left == len(switch.rules())
    switch.forget()
    assert first(talk) == switch.run(talk.asks(*talk.start))


def test_the_same_rules_with_other_slots_after_a_takeover(switch):
    """
    What a rule led to before is not known to the new process, which must not take it for granted.
    """
    servers, other = [WEB4.server, WEB4.second], WEB4.at_vip(5)
    before = switch.service(other.service, [other.server], slots=[0] * 320)
    for crowd in ([before], [before], [], []):
        rules = {around(WEB4, "net"): [1] * 64}
        mine = switch.service(WEB4.service, servers, slots=[0], rules=rules)
        switch.publish(*crowd, mine)
        switch.dataplane.close()
        switch.reopen()

        assert first(WEB4, WEB4.second) == switch.run(WEB4.asks("S"))
        switch.forget()


def many(switch, count, start=0):
    """Make a service with that many rules, all of which lead to the second server."""
    rules = {f"clients 198.51.{n >> 8}.{n & 255}/32": [1] for n in range(start, start + count)}
    return switch.service(WEB4.service, [WEB4.server, WEB4.second], slots=[0], rules=rules)


def test_as_many_as_fit(switch):
    """
    In each of both buffers, and all of them others than before; again, and after a takeover.
    """
    room = switch.capacity.rules
    for turn in range(4):
        switch.publish(many(switch, room, turn * room))
        switch.publish(many(switch, room, turn * room))
        assert 2 * room == len(switch.rules())
        switch.dataplane.close()
        switch.reopen()


def test_more_than_fit(switch):
    """
    An error that changes nothing and says what would help.
    """
    own_or_rule(switch, WEB4, "net")
    room, before = switch.capacity.rules, switch.rules()
    other = WEB4.at_vip(20)
    half = switch.service(other.service, [], rules={"clients 198.51.100.0/24": []})
    with pytest.raises(LbctlError, match=rf"^rules: {room + 1} are wanted and {room} fit; start "):
        switch.publish(many(switch, room), half)

    assert before == switch.rules()
    assert 1 == switch.configuration.generation
    assert first(WEB4, WEB4.second) == switch.run(WEB4.asks("S"))


@TCP
@pytest.mark.parametrize("slots", [[0], []], ids=["own slots", "no own slots"])
def test_a_removed_vip_that_had_rules(switch, talk, slots):
    """
    Its connections finish.  What is new is answered as for any VIP that is not there.
    """
    rules = {around(talk, "net"): [1]}
    servers = [talk.server, talk.second]
    switch.publish(switch.service(talk.service, servers, slots=slots, rules=rules))
    talk = talk._replace(server=talk.second)
    establish(switch, talk)
    other = talk.asks_from(40001)._replace(vip=frames.at_port(talk.vip, 81))
    for _ in range(3):
        switch.publish(switch.service(other.service, [other.server]))
        new = talk.asks_from(40002)

        assert sent(talk.asked("PA")) == switch.run(talk.asks("PA"))
        assert sent(talk.heard("A"), Verdict.TO_CLIENT) == switch.reply(talk.says("A"))
        assert answered(reset(new.client, new.vip, "S", 1000, 0), Verdict.RESET) == switch.run(
            new.asks("S", seq=1000)
        )
        assert answered(reset(new.client, new.vip, "A", 5, 6), Verdict.RESET) == switch.run(
            new.asks("A", seq=5, ack=6)
        )
    switch.publish(switch.service("203.0.113.99:80/tcp", []))
    assert passed(new.asks("S", seq=1000)) == switch.run(new.asks("S", seq=1000))
