"""The owners: whatever an application does, every frame has one owner, and no packet changes."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from lbctl.netif import testing
from lbctl.netif.batch import SHORTEST
from lbctl.netif.frames import BATCH, LOOSE, FrameError

FRAMES, RING = 40, 8
PORTS = st.integers(0, 1)
PACKETS = st.lists(
    st.builds(
        lambda fill, size: bytes([fill]) * size,
        st.integers(0, 255),
        st.sampled_from([14, 60, 1792, 1793, 4000]),
    ),
    max_size=6,
)


class Application(RuleBasedStateMachine):
    """An application with two ports, against lists of packets."""

    batches = Bundle("batches")
    loose = Bundle("loose")

    def __init__(self):
        super().__init__()
        self.fake = testing.interface({"eth0": [0], "eth1": [0]}, FRAMES, ring=RING, mtu=9000)
        self.umem = self.fake.umem
        self.waiting = [[], []]  # packets that a port has not been asked for
        self.inside = [[], []]  # packets in the transmit ring
        self.live, self.held = [], 0

    @rule(number=PORTS, packets=PACKETS)
    def deliver(self, number, packets):
        """A NIC receives."""
        for packet in packets:
            if self.fake.nics[number].deliver(packet):
                self.waiting[number].append(packet)

    @rule(target=batches, number=PORTS, most=st.integers(1, 5))
    def receive(self, number, most):
        """The application takes what came, in order."""
        batch = self.fake.ports[number].receive(most)
        contents, self.waiting[number] = (
            self.waiting[number][: batch.packets],
            self.waiting[number][batch.packets :],
        )
        assert contents == batch.contents()
        assert bool(contents) or not self.waiting[number]
        return self._know(batch, contents)

    @rule(target=batches, packets=PACKETS)
    def pack(self, packets):
        """It makes packets, if there are frames for all of them."""
        try:
            batch = self.fake.pack(packets)
        except FrameError:
            return multiple()
        assert packets == batch.contents()
        return self._know(batch, packets)

    @rule(number=PORTS, known=consumes(batches))
    def transmit(self, number, known):
        """It sends what there is room for; the rest is still its own."""
        batch, contents = known
        before = len(batch)
        count = self.fake.ports[number].transmit(batch)
        assert before - len(batch) == count
        self.inside[number] += contents[: len(contents) - batch.packets]
        assert contents[len(contents) - batch.packets :] == batch.contents()
        self._remove(known)
        if len(batch):
            batch.drop()
        elif contents:
            self._refuses(batch, number)

    @rule(target=batches, known=consumes(batches), data=st.data())
    def divide(self, known, data):
        """It makes two batches of one."""
        batch, contents = known
        packets = data.draw(st.lists(st.booleans(), min_size=len(contents), max_size=len(contents)))
        mask = np.array(packets, np.bool_)[np.cumsum(batch.starts) - 1] if packets else []
        taken = batch.take(np.asarray(mask, np.bool_))
        self._remove(known)
        known[0] = None  # hypothesis may keep it, and with it the batch
        chosen = [content for content, yes in zip(contents, packets, strict=True) if yes]
        others = [content for content, yes in zip(contents, packets, strict=True) if not yes]
        assert chosen == taken.contents()
        assert others == batch.contents()
        return multiple(self._know(taken, chosen), self._know(batch, others))

    @rule(known=consumes(batches))
    def drop(self, known):
        """It gives frames back."""
        known[0].drop()
        self._remove(known)
        self._refuses(known[0], 0)

    @rule(known=consumes(batches))
    def forget(self, known):
        """It loses a batch, whose frames go back by themselves."""
        self._remove(known)
        known[0] = None

    @rule(target=loose, known=consumes(batches))
    def release(self, known):
        """It keeps frames by address."""
        batch, contents = known
        lengths = batch.lengths.copy()
        chained = batch.packets < len(batch)
        addresses = batch.release()
        self._remove(known)
        self._refuses(batch, 0)
        self.held += len(addresses)
        return addresses, lengths, None if chained else contents

    @rule(target=batches, kept=consumes(loose))
    def claim(self, kept):
        """It makes a batch of those again."""
        addresses, lengths, contents = kept
        batch = self.fake.batch(addresses, lengths)
        self.held -= len(addresses)
        if contents is None and min(lengths, default=SHORTEST) < SHORTEST:
            batch.drop()  # the end of a packet of several frames is no packet by itself
            return multiple()
        assert contents is None or contents == batch.contents()
        if len(addresses):
            with pytest.raises(FrameError, match="owned by a batch"):
                self.fake.batch(addresses, lengths)
        return self._know(batch, batch.contents())

    @rule(number=PORTS)
    def pause(self, number):
        """A NIC sends nothing, or sends again."""
        self.fake.nics[number].paused ^= True

    def _know(self, batch, contents):
        known = [batch, contents]
        self.live.append(known)
        return known

    def _remove(self, known):
        self.live = [other for other in self.live if other is not known]

    def _refuses(self, batch, number):
        invalid = self.fake.ports[number].statistics().invalid
        with pytest.raises(FrameError, match="not the application's"):
            self.fake.ports[number].transmit(batch)
        assert invalid + 1 == self.fake.ports[number].statistics().invalid
        with pytest.raises(FrameError, match="not the application's"):
            batch.release()

    @invariant()
    def frames_are_all_there(self):
        """Each frame has the owner that the model says."""
        gc.collect(0)
        assert sum(len(batch) for batch, _ in self.live) == (self.umem.owner == BATCH).sum()
        assert self.held == (self.umem.owner == LOOSE).sum()
        assert self.umem.free == (self.umem.owner == 0).sum()
        assert sum(self.umem.owners().values()) == FRAMES

    @invariant()
    def packets_leave_in_order(self):
        """What was sent is what was given, in order."""
        for number, port in enumerate(self.fake.ports):
            sent = self.fake.sent(port)
            assert self.inside[number][: len(sent)] == sent
            del self.inside[number][: len(sent)]

    def teardown(self):
        """Let go of everything."""
        self.live.clear()
        self.fake.close()


TestApplication = Application.TestCase
TestApplication.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
