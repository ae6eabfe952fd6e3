"""The broker: who gets what, and what becomes of those that end, hang or are changed."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from lbctl.control.broker import grants, reception
from lbctl.control.broker.caller import Caller
from lbctl.control.broker.running import FOR_GOOD, Peer
from lbctl.netif.sockets import Endpoints
from lbctl.netif.status import Page
from lbctl.netif.wire import Grant
from tests.unit.control.broker.rig import BUSY, DNS, VOIP, Client, Rig, nic, until

EVERYWHERE = {(0, slot, queue) for slot in (0, 1) for queue in (0, 1)}


def holders(inode):
    """How many descriptors of this process are of that file."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found += link.stat().st_ino == inode
    return found


def page_of(client):
    """Its status page."""
    return Page(client.descriptors[1], len(client.descriptors) - 2)


def state(rig, name="voip"):
    """What others see."""
    return rig.broker.running(name)


def test_a_claim_brings_memory_page_and_a_socket_for_each_queue(rig, client):
    """
    Packets find them, and the pseudo interface has none.
    """
    one = client()
    grant = Grant.decode(one.claim()["app"])

    assert ["eth0", "eth0", "eth1", "eth1"] == [port.nic for port in grant.ports]
    assert [0, 1, 0, 1] == [port.queue for port in grant.ports]
    assert grant.descriptors == len(one.descriptors)
    assert EVERYWHERE == rig.table.filled.keys()
    assert {os.fstat(fd).st_ino for fd in one.descriptors[2:]} == set(rig.table.filled.values())
    assert [10, 10, 11, 11] == page_of(one).ports["ifindex"].tolist()


def test_it_keeps_no_descriptor_of_what_it_gave(rig, client):
    """
    Else an application's death would not be seen.
    """
    one = client()
    one.claim()
    inodes = {os.fstat(one.descriptors[0]).st_ino, *rig.table.filled.values()}
    assert 5 == len(inodes)

    until(lambda: {1} == {holders(inode) for inode in inodes}, "there are more")


def test_an_end_is_noticed_counted_and_told(rig, client):
    """
    Its places are empty, and it can begin again at once.
    """
    one = client()
    one.claim()
    one.close()
    again = client().claim()

    assert "app" in again
    assert 1 == state(rig).exits
    assert ["runs", "has ended", "runs"] == [text.partition(":")[0] for text in rig.events()]


def test_a_second_claim_says_who_has_it(rig, client):
    """
    And the first goes on.
    """
    client().claim()
    answer = client().claim()

    assert f"app 'voip' is running already: pid {os.getpid()}" in answer["error"]
    assert 4 == answer["exit_code"]
    assert EVERYWHERE == rig.table.filled.keys()


def test_queues_of_another_are_refused_by_name(rig, client):
    """
    With what to type.
    """
    rig.change(VOIP, DNS)
    client().claim()
    answer = client().claim("dns")

    assert "NIC 'eth0' queue 0 belongs to app 'voip'" in answer["error"]
    assert "lbctl app set dns --queue" in answer["error"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "fax"}, "there is no app 'voip'"),
        ({"nics": ["eth7"]}, "NIC 'eth7' is not attached; run `lbctl attach eth7`"),
        ({"queues": [5]}, "NIC 'eth0' has no queue 5, its last is 1"),
    ],
)
def test_what_cannot_be_given_is_refused(rig, client, change, words):
    """
    In one line; nothing is put anywhere.
    """
    rig.change({**VOIP, **change})
    answer = client().claim()

    assert words in answer["error"]
    assert {} == rig.table.filled


def test_what_the_kernel_refuses_is_passed_on(rig, client):
    """
    And the next try works.
    """
    rig.kernel.fail = BUSY
    one = client()
    assert {"error": str(BUSY), "exit_code": 4} == one.claim()
    rig.kernel.fail = None

    assert "app" in one.claim()


@pytest.mark.parametrize("harmless", [{"hung_after": 1}, {"on_exit": "drop"}])
def test_some_changes_disturb_nobody(rig, client, harmless):
    """
    What is not in the grant.
    """
    one = client()
    one.claim()
    rig.change({**VOIP, **harmless})

    assert "error" in one.claim()  # an answer means that the change was seen
    assert EVERYWHERE == rig.table.filled.keys()
    assert state(rig).pid == os.getpid()


@pytest.mark.parametrize("apps", [(), (DNS,), ({**VOIP, "frames": 128},)])
def test_removed_or_changed_it_is_told_and_let_go(rig, client, apps):
    """
    And its sockets are not taken back.
    """
    one = client()
    one.claim()
    rig.change(*apps)

    assert "by the administrator" in one.hear()["removed"]
    assert one.ended()
    assert {} == rig.table.filled
    assert FOR_GOOD == page_of(one).header["evicted"][0]
    assert 3 == client().resume(one.descriptors)["exit_code"]


def test_a_nic_takes_its_ports_with_it(rig, client):
    """
    The others go on; when it comes back in another slot, the application is asked for its socket.
    """
    one = client()
    one.claim()
    gone = rig.nics.pop(1)
    rig.broker.follow(rig.configuration)
    until(lambda: rig.table.filled.keys() == {(0, 0, 0), (0, 0, 1)}, "its ports are left")
    assert not page_of(one).evicted

    rig.nics.append(nic("eth1", 1))
    rig.nics[-1].slot = 5
    assert gone.ifindex == rig.nics[-1].ifindex
    rig.broker.follow(rig.configuration)
    until(lambda: page_of(one).evicted, "it is not asked")
    assert {"resumed": True} == one.resume(one.descriptors)
    assert {(0, 0, 0), (0, 0, 1), (0, 5, 0), (0, 5, 1)} == rig.table.filled.keys()
    assert not page_of(one).evicted


def test_a_hung_one_loses_its_packets_and_gets_them_back(rig, client):
    """
    Once it has looked again and asks.
    """
    one = client()
    one.claim()
    rig.packets[0] = 5
    until(lambda: step(rig) and state(rig).hung, "nobody notices")
    assert {} == rig.table.filled
    assert page_of(one).evicted
    assert 1 == state(rig).hung_count

    assert {"resumed": True} == one.resume(one.descriptors)
    assert EVERYWHERE == rig.table.filled.keys()
    assert not state(rig).hung
    assert 0 == state(rig).exits


def step(rig):
    """Let time pass."""
    rig.now += 1
    return True


def test_after_a_restart_it_is_known_again(tmp_path, monkeypatch):
    """
    What it had is still where it was: an ending lbctld takes nothing away.
    """
    rig = Rig(tmp_path / "x.apps", monkeypatch, VOIP)
    with rig.started():
        one = Client(rig.path)
        one.claim()
    assert one.ended()
    assert EVERYWHERE == rig.table.filled.keys()
    assert [] == [text for text in rig.events() if "ended" in text]

    other = Rig(tmp_path / "x.apps", monkeypatch, VOIP)
    other.kernel.made = rig.kernel.made
    with other.started():
        again = Client(other.path)
        assert {"resumed": True} == again.resume(one.descriptors)
        assert rig.table.filled == other.table.filled
        assert os.getpid() == state(other).pid
        again.close()
    one.close()


def test_one_that_does_not_come_back_is_taken_for_hung(tmp_path, monkeypatch):
    """
    It was stopped when lbctld was restarted, and packets go to it still.
    """
    rig = Rig(tmp_path / "x.apps", monkeypatch, VOIP)
    rig.table.filled[0, 0, 0] = 7
    with rig.started():

        def lost():
            rig.packets[0] = rig.packets.get(0, 0) + 1
            return step(rig) and not rig.table.filled

        until(lost, "nobody notices")
    assert [text for text in rig.events() if "has not come back" in text]


@pytest.mark.usefixtures("rig")
@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_descriptors_are_no_resume(client, count):
    """
    Nor are such as are no sockets of this kind.
    """
    one = client()
    one.claim()
    one.plug.close()
    answer = client().resume(one.descriptors[:count])
    assert "descriptors came" in answer["error"]

    answer = client().resume([*one.descriptors[:2], one.descriptors[0]])
    assert "no AF_XDP socket" in answer["error"]


@pytest.fixture
def stranger(monkeypatch):
    """Whoever connects is a user of no application."""

    class Stranger(Caller):
        def __init__(self, plug):
            super().__init__(plug)
            self.peer = Peer(self.peer.pid, 4242)

    monkeypatch.setattr(reception, "Caller", Stranger)


@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize(
    "wish",
    [
        {"want": "app", "name": "voip"},
        {"want": "resume", "name": "voip"},
        {"want": "route", "address": "192.0.2.1"},
    ],
)
def test_strangers_get_nothing(rig, client, wish):
    """
    They may connect, and are told why not.
    """
    answer = client().ask(wish)

    assert 6 == answer["exit_code"]
    assert "4242" in answer["error"]
    assert {} == rig.table.filled


@pytest.mark.usefixtures("rig", "stranger")
def test_a_user_has_only_so_many_connections(client, monkeypatch):
    """
    The next one is refused, until one of them ends.
    """
    monkeypatch.setattr(reception, "MOST_OF_USER", 2)
    silent = [client() for _ in range(2)]
    for one in silent:
        one.claim()
    refused = client()
    assert "too many connections" in refused.hear()["error"]
    assert refused.ended()

    silent.pop().close()
    until(lambda: accepted(client()), "there is no room again")


def accepted(one):
    """Whether a connection is served, be it by a refusal of what it wants."""
    with suppress(ConnectionError):
        return "too many" not in one.claim()["error"]
    return False


def test_on_an_old_kernel_packets_come_once_it_has_mapped_its_rings(rig, client, monkeypatch):
    """
    It asks for the sockets to be bound; before that nothing goes to it, and nobody minds.
    """
    monkeypatch.setattr(grants.sockets, "mapped_when_bound", lambda: False)
    monkeypatch.setattr(
        grants.sockets,
        "bind_mapped",
        lambda umem, plugs, where: Endpoints(
            os.dup(umem), [socket.socket(fileno=os.dup(plug)) for plug in plugs], where, [True] * 4
        ),
    )
    one = client()
    grant = Grant.decode(one.claim()["app"])
    rig.broker.follow(rig.configuration)
    assert not grant.bound
    assert {} == rig.table.filled
    assert "does not have it" in client().ask({"want": "bind", "name": "voip"})["error"]

    assert {"bound": True} == one.ask({"want": "bind", "name": "voip"}, one.descriptors)
    assert EVERYWHERE == rig.table.filled.keys()
    assert not page_of(one).evicted
    assert [True] * 4 == [port.zero_copy for port in state(rig).ports]
