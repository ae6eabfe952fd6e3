"""The user-level network interface alive: real rings, veth pairs, and a program that redirects."""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import socket
import time
from uuid import uuid4

import numpy as np
import pytest

from lbctl import netif
from lbctl.errors import Conflict, NotFound, UsageError
from lbctl.netif.headers import UDP4
from lbctl.netif.sockets import Rings
from lbctl.testbed import namespaces
from tests.support import features, xdp

pytestmark = pytest.mark.usefixtures("cables")

PATIENCE = 20.0
OURS, THEIRS = "10.0.0.2", "10.0.0.1"
OUR_PORT = 7
MULTI_BUFFER = features.Feature(
    "AF_XDP packets of several frames", (6, 6), lambda: features.running_kernel() >= (6, 6)
)


@pytest.fixture
def cables():
    """
    Two veth pairs in a namespace of their own, which this thread is in: na0 - fa0, na1 - fa1.

    Far ends have an address and a neighbor each; nobody answers for it but the test.
    """
    name = f"lbn{uuid4().hex[:8]}"
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    namespaces.create(name)
    try:
        namespaces.sysctl(name, {"net.ipv6.conf.all.disable_ipv6": 1})
        for number in range(2):
            namespaces.ip(
                name,
                [
                    f"link add na{number} type veth peer name fa{number}",
                    f"link set na{number} up mtu 3400",
                    f"link set fa{number} up mtu 3400",
                ],
            )
        namespaces.ip(
            name,
            [
                f"address add {THEIRS}/24 dev fa0",
                f"neighbor replace {OURS} lladdr 02:00:00:00:00:99 dev fa0 nud permanent",
            ],
        )
        nics = ("na0", "fa0", "na1", "fa1")
        namespaces.offloads(name, nics, tx_checksum=False, gro=True)
        namespaces.enter(name)
        yield name
    finally:
        with open(outside, closefd=True) as file:  # noqa: PTH123 - a descriptor
            assert not namespaces.ctypes.CDLL(None).setns(file.fileno(), 0)
        namespaces.delete(name)


@contextlib.contextmanager
def opened(*nics, **options):
    """An interface on NICs, with the program on each."""
    with contextlib.ExitStack() as stack:
        programs = [stack.enter_context(xdp.redirecting(nic)) for nic in nics]
        interface = stack.enter_context(netif.direct({nic: [0] for nic in nics}, **options))
        for port, program in zip(interface.ports, programs, strict=True):
            program.give(port)
        yield interface


@contextlib.contextmanager
def client():
    """A UDP socket at the far end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        plug.settimeout(PATIENCE)
        plug.bind((THEIRS, 0))
        yield plug


@contextlib.contextmanager
def raw(nic):
    """A packet socket on a far end."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as plug:
        plug.settimeout(PATIENCE)
        plug.bind((nic, 0))
        yield plug


def gather(port, count):
    """Receive until there are so many packets, in batches."""
    batches, got, deadline = [], 0, time.monotonic() + PATIENCE
    while got < count:
        assert time.monotonic() < deadline, f"{got} of {count} packets came"
        port.wait(PATIENCE)
        batches.append(port.receive())
        got += batches[-1].packets
    return batches


def all_home(interface):
    """Wait until no frame is on its way out."""
    deadline = time.monotonic() + PATIENCE
    while any("send" in owner for owner in interface.umem.owners()):
        assert time.monotonic() < deadline, interface.umem.owners()
        for port in interface.ports:
            port.flush()


def test_packets_are_received_rewritten_and_sent_back():
    """
    An echo server: a client's socket, with all its checks, takes the answers for true.
    """
    with opened("na0", frames=512) as interface, client() as plug:
        (port,) = interface.ports
        questions = [b"%d" % number * 20 for number in range(100)]
        for question in questions:
            plug.sendto(question, (OURS, OUR_PORT))
        for batch in gather(port, 100):
            assert netif.checksums_hold(batch, UDP4).all()
            lines = batch.lines(UDP4)
            netif.turn_around(lines)
            netif.assign(lines, source_port=OUR_PORT + 1, ttl=9)
            batch.write(lines)
            assert len(lines) == port.transmit(batch)
        answers = [plug.recvfrom(100) for _ in questions]

        assert [(question, (OURS, OUR_PORT + 1)) for question in questions] == answers
        counted = port.statistics()
        assert (100, 100, 0, 0) == counted[:4]
        assert 0 == counted.lost
        all_home(interface)
        assert 512 == interface.umem.free + interface.umem.owners()["port 0, to receive"]


def test_a_frame_goes_from_nic_to_nic_without_a_copy():
    """
    Two NICs, one packet memory: what came by one leaves by the other, from the same address.
    """
    with opened("na0", "na1", frames=512) as interface, client() as plug, raw("fa1") as far:
        plug.sendto(b"across", (OURS, OUR_PORT))
        (batch,) = gather(interface.ports[0], 1)
        (address,) = batch.addresses.tolist()
        content = batch.data

        assert 1 == interface.ports[1].transmit(batch)

        assert content == far.recv(4096)
        assert interface.umem.owner_of(address) in ("the free pool", "port 1, to send")
        all_home(interface)
        assert "the free pool" == interface.umem.owner_of(address)
        assert 1 == interface.ports[0].statistics().received
        assert 1 == interface.ports[1].statistics().transmitted


def test_a_jumbo_packet_comes_and_goes_in_several_frames():
    """
    It is larger than a frame; the batch says what belongs together, and it leaves whole.
    """
    features.require(MULTI_BUFFER)
    with opened("na0", "na1", frames=512) as interface, client() as plug, raw("fa1") as far:
        data = bytes(range(256)) * 12
        plug.sendto(data, (OURS, OUR_PORT))
        (batch,) = gather(interface.ports[0], 1)

        assert interface.ports[0].grant.multi_buffer
        assert 1 == batch.packets
        assert [True, False] == batch.starts.tolist()
        assert [42 + len(data)] == batch.packet_lengths.tolist()
        assert data == batch.data[42:]
        assert 2 == interface.ports[1].transmit(batch)
        assert data == far.recv(4096)[42:]
        assert (0, 0) == (interface.ports[1].statistics().tx_invalid, len(batch))


def test_packets_can_be_made_and_sent():
    """
    From nothing: frames of the pool, filled and with checksums; a socket takes them.
    """
    with opened("na0", frames=512) as interface, client() as plug:
        plug.sendto(b"like this", (OURS, OUR_PORT))
        (model,) = gather(interface.ports[0], 1)
        netif.turn_around(lines := model.lines(UDP4))
        model.write(lines)
        batch = interface.pack([model.data] * 50)
        lines = batch.lines(UDP4)
        lines["identification"] = np.arange(50)
        lines["checksum"] = lines["ip_checksum"] = 0
        batch.write(lines)
        netif.fill_checksums(batch, UDP4)

        assert 50 == interface.ports[0].transmit(batch)
        assert [b"like this"] * 50 == [plug.recv(100) for _ in range(50)]


def test_a_slow_application_loses_and_knows_it():
    """
    What finds the receive ring full is counted under that name, what found no frame under its own.
    """
    rings = Rings(rx=16, tx=16, fill=64, completion=16)
    with opened("na0", frames=128, rings=rings) as interface, client() as plug:
        for _ in range(100):
            plug.sendto(b"much", (OURS, OUR_PORT))
        (port,) = interface.ports
        counted = port.statistics()

        assert 16 + counted.lost == 100
        assert counted.rx_ring_full > 0
        assert 16 == sum(batch.packets for batch in gather(port, 16))
        assert 100 == counted.lost + port.statistics().received


def test_a_ring_that_waits_to_be_called_is_called():
    """
    In copy mode the kernel sends when it is called, and says so; transmit does that.
    """
    with opened("na0", frames=512) as interface, client() as plug, raw("fa0") as far:
        plug.sendto(b"ping", (OURS, OUR_PORT))
        (port,) = interface.ports
        (batch,) = gather(port, 1)
        content = batch.data
        calls, kick = [], port._plug.kick
        port._plug.kick = lambda: calls.append(port._tx.waiting) or kick()
        while far.recv(4096) != content:
            pass

        assert port._tx.need_wakeup
        port.transmit(batch)

        assert [1] == calls
        assert content == far.recv(4096)


def test_selectors_and_asyncio_wait_for_a_port():
    """
    Its descriptor is readable while there are packets, and not before.
    """

    async def one(port):
        came = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(port, came.set_result, None)
        await asyncio.wait_for(came, PATIENCE)
        asyncio.get_running_loop().remove_reader(port)
        return port.receive()

    with opened("na0", frames=512) as interface, client() as plug:
        (port,) = interface.ports
        with selectors.DefaultSelector() as selector:
            selector.register(port, selectors.EVENT_READ)
            assert [] == selector.select(0)
            assert not port.wait(0)
            plug.sendto(b"one", (OURS, OUR_PORT))
            assert selector.select(PATIENCE)
            assert [port] == interface.wait(PATIENCE)
            assert 1 == len(port.receive())
            assert [] == selector.select(0)
        plug.sendto(b"two", (OURS, OUR_PORT))
        assert 1 == len(asyncio.run(one(port)))


def test_packet_by_packet():
    """
    For those who do not need speed: iteration sleeps until there is one.
    """
    with opened("na0", frames=512) as interface, client() as plug:
        (port,) = interface.ports
        for number in range(3):
            plug.sendto(b"%d" % number, (OURS, OUR_PORT))
        packets = iter(port)

        assert [b"0", b"1", b"2"] == [next(packets).data[42:] for _ in range(3)]


def test_a_queue_has_one_user():
    """
    The second one is told, and may have it when the first has gone.
    """
    with opened("na0", frames=64), pytest.raises(Conflict, match=r"NIC 'na0' queue 0: another"):
        netif.direct({"na0": [0]}, frames=64)
    with netif.direct({"na0": [0]}, frames=64) as interface:
        assert "na0" == interface.ports[0].nic


def test_what_is_not_there_is_told():
    """
    A NIC, or a queue of it.
    """
    with pytest.raises(NotFound, match=r"NIC 'nowhere': there is none"):
        netif.direct({"nowhere": [0]})
    with pytest.raises(UsageError, match=r"NIC 'na0' queue 9: it has no such queue"):
        netif.direct({"na0": [9]}, frames=64)


def test_a_packet_too_long_for_the_nic_is_refused():
    """
    In Python, before the kernel drops it in silence.
    """
    with opened("na0", frames=512) as interface:
        (port,) = interface.ports
        batch = interface.pack([bytes(3400 + 19)])

        with pytest.raises(netif.FrameError, match="longer than the NIC's 3418"):
            port.transmit(batch)
        assert 2 == port.statistics().invalid
