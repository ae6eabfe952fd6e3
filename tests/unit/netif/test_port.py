"""The port and its batches, over rings without a kernel."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from lbctl import netif
from lbctl.errors import LbctlError, NotFound
from lbctl.netif import Route, testing
from lbctl.netif.status import COUNTERS, Page

PACKET = bytes(range(60))


@pytest.fixture
def fake():
    """Two ports."""
    with testing.interface({"eth0": [0], "eth1": [3]}) as interface:
        yield interface


@pytest.fixture
def port(fake):
    """The first of them."""
    return fake.ports[0]


def test_a_port_says_where_it_is(fake):
    """
    NIC, queue and MAC; the interface finds it by these.
    """
    one = fake.port("eth1", 3)

    assert (1, "eth1", 3, bytes.fromhex("020000000002"), 1500) == (
        *(one.number, one.nic, one.queue, one.mac, one.mtu),
    )
    with pytest.raises(NotFound, match="NIC 'eth1' queue 0: this application has no port"):
        fake.port("eth1")


def test_lines_are_columns(fake, port):
    """
    A copy of each packet's beginning; written back, they are in the packets.
    """
    fake.deliver(port, [PACKET, PACKET[::-1]])
    batch = port.receive()
    lines = batch.lines([("a", "u1"), ("b", ">u2"), ("rest", "V61")])

    assert [0, 59] == lines["a"].tolist()
    lines["b"] = [0x1234, 0x5678]
    assert [PACKET, PACKET[::-1]] == batch.contents()
    batch.write(lines)
    assert [b"\x12\x34", b"\x56\x78"] == [content[1:3] for content in batch.contents()]


def test_a_view_is_in_place(fake, port):
    """
    Of one packet's bytes, and no further.
    """
    fake.deliver(port, [PACKET])
    batch = port.receive()

    batch.view(0)[:2] = 255

    assert b"\xff\xff" + PACKET[2:] == batch.data
    assert 60 == len(batch.view(0))


def test_headers_come_off_and_go_on(fake, port):
    """
    Packets begin later or earlier; not before their frame, nor after their end.
    """
    fake.deliver(port, [PACKET])
    batch = port.receive()

    batch.advance(20)
    assert PACKET[20:] == batch.data
    batch.advance(-30)
    assert (70, PACKET) == (len(batch.data), batch.data[10:])
    for count in (60, -257):
        with pytest.raises(netif.FrameError, match=f"cannot begin {count} bytes later"):
            batch.advance(count)
    assert 1 == port.transmit(batch)
    assert PACKET == fake.sent(port)[0][10:]


@pytest.mark.parametrize(
    ("length", "complaint"),
    [
        (1793, "1793 bytes go beyond its frame of 2048"),
        (1519, "1519 bytes is longer than the NIC's 1518"),
        (13, "13 bytes is shorter than its header"),
    ],
)
def test_a_wrong_length_is_refused(fake, port, length, complaint):
    """
    At once, counted, and the batch is as it was.
    """
    fake.deliver(port, [PACKET, PACKET])
    batch = port.receive()
    batch.lengths[1] = length

    with pytest.raises(netif.FrameError, match=complaint):
        port.transmit(batch)

    assert (2, []) == (port.statistics().invalid, fake.sent(port))
    batch.lengths[1] = 60
    assert 2 == port.transmit(batch)


@pytest.mark.parametrize(
    ("addresses", "complaint"),
    [
        ([1 << 40], "not of this packet memory"),
        ([256], "owned by port 0, to receive"),
        ([255 * 2048 + 256], "owned by the free pool"),
    ],
)
def test_a_frame_of_others_is_refused(fake, addresses, complaint):
    """
    By whose it is.
    """
    with pytest.raises(netif.FrameError, match=complaint):
        fake.batch(addresses, [60])


def test_a_frame_twice_is_refused(fake, port):
    """
    Nothing of that batch is taken.
    """
    (address,) = fake.allocate(1).release().tolist()

    with pytest.raises(netif.FrameError, match="the same frame is named twice"):
        fake.batch([address, address + 64], [60, 60])
    with pytest.raises(netif.FrameError, match="one each"):
        fake.batch([address], [60, 60])
    with pytest.raises(netif.FrameError, match="go beyond its frame"):
        fake.batch([address], [2000])
    assert 1 == port.transmit(fake.batch([address], [60]))


def test_another_memory_is_refused(port):
    """
    A batch of another interface.
    """
    with testing.interface() as other, pytest.raises(netif.FrameError, match="of another packet"):
        port.transmit(other.allocate(1))
    assert 1 == port.statistics().invalid


def test_a_full_ring_refuses_the_rest(fake, port):
    """
    It stays in the batch, and is counted.
    """
    fake.nics[0].paused = True
    batch = fake.allocate(70)

    assert (64, 6) == (port.transmit(batch), len(batch))
    assert 6 == port.statistics().refused
    fake.nics[0].paused = False
    assert 6 == port.transmit(batch)
    assert 70 == len(fake.sent(port)) == port.statistics().transmitted


def test_losses_are_counted_by_their_names(fake, port):
    """
    The receive ring was full, or there was no frame.
    """
    assert 64 == fake.deliver(port, [PACKET] * 70)
    assert 6 == port.statistics().rx_ring_full == port.statistics().lost

    held = [fake.allocate(128), port.receive()]
    assert 0 == fake.umem.free
    assert 0 == fake.deliver(port, [PACKET])
    assert 1 == port.statistics().fill_empty
    del held
    port.receive()
    assert 1 == fake.deliver(port, [PACKET])


def test_iteration_drops_what_is_left(fake, port):
    """
    Each packet a batch of its own.
    """
    fake.deliver(port, [PACKET, b"x" * 20, PACKET])
    packets = iter(port)

    assert PACKET == next(packets).data
    assert 1 == port.transmit(next(packets))
    assert PACKET == next(packets).data
    packets.close()
    assert {"the free pool": 128, "port 0, to receive": 64, "port 1, to receive": 64} == (
        fake.umem.owners() if port.flush() and not port.receive() else {}
    )


def test_waiting_ends_with_a_packet(fake, port):
    """
    The interface tells by which ports; asyncio waits as well.
    """
    assert (False, []) == (port.wait(0), fake.wait(0))
    fake.deliver(fake.ports[1], [PACKET])
    assert [fake.ports[1]] == fake.wait()

    async def come():
        loop, came = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(port, came.set)
        loop.call_soon(fake.deliver, port, [PACKET])
        await came.wait()

    asyncio.run(come())
    assert 1 == len(port.receive())
    assert not port.wait(0)


def test_the_status_page_has_heartbeat_and_counters(fake, port):
    """
    The heartbeat at each receive, the counters from time to time, the last at the end.
    """
    fake.deliver(port, [PACKET])
    port.receive()
    port.receive()
    page = fake.page

    assert 2 == page.heartbeat
    fake.close()
    assert 1 == page.counters(0)["received"]
    assert list(COUNTERS) == list(page.counters(1))


def test_a_closed_interface_says_so(fake, port):
    """
    Whatever is done with it; closing it again is nothing.
    """
    batch = fake.allocate(1)
    fake.close()
    fake.close()

    for use in (port.receive, lambda: port.transmit(batch), port.wait, fake.wait):
        with pytest.raises(LbctlError, match="this interface is closed"):
            use()


def test_routes_of_a_test(fake):
    """
    What the test put there, or NotFound.
    """
    fake.routes["203.0.113.1"] = Route("eth0", "02:00:00:00:00:09", "02:00:00:00:00:01", 1500)

    assert "eth0" == fake.route("203.0.113.1").nic
    with pytest.raises(NotFound, match=r"203\.0\.113\.2: no route"):
        fake.route("203.0.113.2")


def test_a_status_page_that_can_shrink_is_refused(tmp_path):
    """
    Or is of another size: a read of it could kill.
    """
    with (tmp_path / "page").open("wb+") as file:
        np.zeros(4096, np.uint8).tofile(file)
        with pytest.raises(LbctlError, match="the status page"):
            Page(file.fileno(), 1)
