"""A broker in a thread of its own, over a kernel that is made up, and applications as sockets."""

# ruff: noqa: D102 - each method does what the real one says

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from types import SimpleNamespace

import numpy as np

from lbctl.control.broker import Broker, grants, listening
from lbctl.control.broker import broker as module
from lbctl.errors import Conflict
from lbctl.model import Configuration
from lbctl.netif import memory, wire
from lbctl.netif.sockets import Endpoints
from lbctl.shared import abi
from lbctl.shared.abi import Verdict

PATIENCE = 10.0  # seconds; for what takes a fraction of one
UID = os.getuid()
VOIP = {"name": "voip", "vips": ["203.0.113.20:5060/udp"], "user": str(UID), "frames": 64}
DNS = {"name": "dns", "vips": ["203.0.113.21:53/udp"], "user": str(UID), "frames": 64}


def until(condition, what):
    """Wait for something to become true and give it back."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.005)
    return found


def nic(name, slot):
    """An attached NIC; its ifindex is its slot and 10."""
    mac = bytes([2, 0, 0, 0, 0, slot])
    return SimpleNamespace(name=name, ifindex=slot + 10, slot=slot, mac=mac, is_pseudo=slot >= 56)


class Table:
    """The configuration table, and the table of applications."""

    def __init__(self):
        self.app_table = self
        self.filled = {}  # (application, slot, queue) -> inode of the socket
        self.numbers = {}

    def app_number(self, vip):
        return self.numbers.get(vip)

    def service_index(self, vip):
        return self.numbers.get(vip)

    def put(self, number, slot, queue, descriptor):
        self.filled[number, slot, queue] = os.fstat(descriptor).st_ino

    def remove(self, number, slot, queue):
        self.filled.pop((number, slot, queue), None)

    def clear(self, number):
        self.filled = {key: inode for key, inode in self.filled.items() if key[0] != number}


class Kernel:
    """Makes sockets that are none, and lets each queue have one owner."""

    def __init__(self, monkeypatch):
        self.made = []
        self.fail = None
        monkeypatch.setattr(grants.sockets, "create", self.create)
        monkeypatch.setattr(grants.sockets, "mapped_when_bound", lambda: True)
        monkeypatch.setattr(grants, "_is_xdp", self.is_xdp)

    def create(self, places, frames, frame_size, _rings, *, name, bind):
        if self.fail:
            raise self.fail
        umem = memory.create(frames * frame_size, name)
        plugs = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in places]
        self.made += [os.fstat(plug.fileno()).st_ino for plug in plugs]
        return Endpoints(umem, plugs, tuple(places), [False] * len(plugs), bound=bind)

    def is_xdp(self, descriptor):
        return os.fstat(descriptor).st_ino in self.made


class Hardware:
    """NICs with two queues."""

    def queues(self, _name):
        return 2

    def mtu(self, _name):
        return 1500


class Rig:
    """The controller as the broker sees it, and the broker in its thread."""

    def __init__(self, path, monkeypatch, *apps):
        self.path, self.now, self.told = path, 0.0, []
        self.kernel, self.table = Kernel(monkeypatch), Table()
        self.nics = [nic("eth0", 0), nic("eth1", 1), nic("lb0-s", 60)]
        self.packets = {}  # by index of the service
        self.still = threading.Lock()
        self.watch = SimpleNamespace(tell=lambda *event: self.told.append(event))
        counters = SimpleNamespace(of_service=self.of_service)
        self.routing = SimpleNamespace()
        self.dataplane = SimpleNamespace(
            attached=lambda: list(self.nics), configuration=self.table, counters=counters
        )
        monkeypatch.setattr(module, "GLANCE", 0.005)
        self.configure(*apps)
        self.broker = Broker(self, Hardware(), lambda: self.now)

    def configure(self, *apps):
        """Make these the configured applications."""
        self.configuration = Configuration.model_validate({"apps": apps})
        for number, app in enumerate(self.configuration.apps):
            self.table.numbers |= dict.fromkeys(app.vips, number)

    def change(self, *apps):
        """The same while the broker runs."""
        self.configure(*apps)
        self.broker.follow(self.configuration)

    def of_service(self, index):
        counts = np.zeros(abi.VERDICTS, np.uint64)
        counts[Verdict.TO_APP] = self.packets.get(index, 0)
        return counts

    @contextlib.contextmanager
    def started(self):
        """The broker, answering."""
        with listening(self.path) as listener:
            up = threading.Event()
            thread = threading.Thread(target=lambda: asyncio.run(self._run(listener, up)))
            thread.start()
            try:
                assert up.wait(PATIENCE)
                yield self
            finally:
                self.loop.call_soon_threadsafe(self.task.cancel)
                thread.join()

    async def _run(self, listener, up):
        self.loop = asyncio.get_running_loop()
        self.task = asyncio.create_task(self.broker.run(listener))
        self.loop.call_soon(up.set)
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    def events(self):
        """What was told of applications."""
        return [text for _, _, text in self.told]


class Client:
    """An application's end of a connection."""

    def __init__(self, path):
        self.plug = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.plug.settimeout(PATIENCE)
        try:
            self.plug.connect(str(path))
        except OSError:
            self.plug.close()
            raise
        self.descriptors = []

    def ask(self, message, descriptors=()):
        """Send a message, and return the answer."""
        wire.send(self.plug, message, descriptors)
        return self.hear()

    def hear(self):
        """What comes next; descriptors are kept."""
        message, descriptors = wire.receive(self.plug)
        self.descriptors += descriptors
        return message

    def claim(self, name="voip"):
        """Ask for an application."""
        return self.ask({"want": "app", "name": name})

    def resume(self, descriptors, name="voip"):
        """Bring sockets back."""
        return self.ask({"want": "resume", "name": name}, descriptors)

    def ended(self):
        """Whether the broker has closed the connection."""
        try:
            return not self.plug.recv(1 << 17)
        except ConnectionResetError:
            return True

    def close(self):
        """End as a process ends."""
        wire.close(self.descriptors)
        self.descriptors = []
        self.plug.close()


BUSY = Conflict("NIC 'eth0' queue 0: another program has its buffers")
