"""The broker: who gets what, and what becomes of those that end, hang or are changed."""

from __future__ import annotations

import os

import pytest

from lbctl.control.broker.running import FOR_GOOD
from lbctl.netif.status import Page
from lbctl.netif.wire import Grant
from tests.unit.control.broker.rig import BUSY, DNS, VOIP, Client, Rig, nic, until

EVERYWHERE = {(0, slot, queue) for slot in (0, 1) for queue in (0, 1)}


def open_descriptors():
    """How many this process has."""
    return len(os.listdir("/proc/self/fd"))


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
    one.ask({"want": "app", "name": "nobody"})
    before = open_descriptors()
    one.claim()

    until(lambda: open_descriptors() == before + len(one.descriptors), "there are more")
    assert rig.broker.running("voip").pid == os.getpid()


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
        ({"user": str(os.getuid() + 1)}, None),
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

    if words is None and os.getuid() == 0:
        assert "app" in answer  # root may do all
        return
    assert (words or "may run it") in answer["error"]
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


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_descriptors_are_no_resume(rig, client, count):
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


def test_many_silent_connections_of_a_user_are_enough(rig, client, monkeypatch):
    """
    The next one is refused; root is not.
    """
    monkeypatch.setattr("lbctl.control.broker.reception.MOST_OF_USER", 2)
    silent = [client() for _ in range(2)]
    for one in silent:
        one.ask({"want": "app", "name": "nobody"})
    answer = client().claim() if os.getuid() == 0 else client().hear()

    assert ("app" in answer) if os.getuid() == 0 else ("too many" in answer["error"])
