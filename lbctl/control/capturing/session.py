"""
The session: one capture from beginning to end, and that there is one at a time.

However it ends, the plain program is back on the NICs before the next one can begin.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from lbctl.control.capturing.forms import Form, Lines, Pcapng
from lbctl.control.capturing.names import Names
from lbctl.control.journal import iso
from lbctl.errors import Conflict, NotFound

if TYPE_CHECKING:
    from lbctl.control.capturing.wanted import Wanted
    from lbctl.control.controller import Controller
    from lbctl.switching.capture import Capture

BATCH = 512  # packets that are read at once
GLANCE = 0.2  # seconds between two looks whether it is over
NEWS = 1.0  # seconds between two times that missed packets are told

log = logging.getLogger(__name__)


class Session:
    """A capture that runs.  `read` may be called in another thread than the rest."""

    def __init__(self, controller: Controller, wanted: Wanted, who: str, number: int) -> None:
        self.number, self.who, self.wanted = number, who, wanted
        self.since = time.time()
        self.captured = self.missed = 0
        self.stopped = False  # the plain program is back
        self.behind = False  # there was more to be read than one takes at once
        self.reason = ""  # why it ought to end, once it ought to
        self._controller, self._names = controller, Names()
        self._lock = threading.Lock()  # of what `read` needs
        self._seen: object = None  # what the names were taken from
        self._told = 0.0
        self._told_missed = 0
        self._capture: Capture | None = None
        self._form: Form | None = None

    @property
    def media(self) -> str:
        """What `read` gives."""
        return self._running()[1].media

    @property
    def descriptor(self) -> int:
        """What tells that there is something to read."""
        return self._running()[0].descriptor

    @property
    def full(self) -> bool:
        """Whether as many packets are captured as were asked for."""
        return self.wanted.count is not None and self.captured >= self.wanted.count

    def start(self) -> None:
        """Put the program on the NICs.  Raises LbctlError, with nothing changed."""
        controller, plane = self._controller, self._controller.dataplane
        self.wanted.check(controller)
        capture = plane.new_capture()
        try:
            with controller.still:
                plane.start_capture(capture)
        except BaseException:
            capture.close()
            raise
        self._capture, self._form = capture, self._made()
        self.since = time.time()
        self._refresh(capture, self._form)
        self._tell(f"started by {self.who}")

    def head(self) -> bytes:
        """What comes before the first packet."""
        return self._running()[1].head()

    def over(self) -> bool:
        """Whether it ought to end; `reason` says why."""
        capture, _ = self._running()
        seconds = self.wanted.seconds
        if capture.failure:
            self.reason = self.reason or capture.failure
        elif seconds is not None and time.time() - self.since >= seconds:
            self.reason = self.reason or "its time is over"
        return bool(self.reason)

    def read(self) -> bytes:
        """What was captured since the last call: up to BATCH packets."""
        with self._lock:
            if self._capture is None or self._form is None:
                return b""
            self._refresh(self._capture, self._form)
            count = self.wanted.count
            room = BATCH if count is None else min(BATCH, count - self.captured)
            records = self._capture.ring.read(room)
            self.captured += len(records)
            self.behind = len(records) == BATCH
            return self._form.packets(records) + self._news(self._capture, self._form)

    def stop(self) -> None:
        """Put the plain program back; what is in the ring can be read still."""
        with self._controller.still:
            self._controller.dataplane.stop_capture()
        self.stopped = True

    def close(self) -> bytes:
        """End it, whatever has been done before; gives what comes last."""
        self.stop()
        capture, form = self._running()
        with self._lock:
            self._capture = self._form = None
            self.missed = int(capture.filter["missed"][0])
            capture.close()
        why = self.reason or "all are captured"
        passed = time.time() - self.since
        self._tell(
            f"ended after {passed:.0f} s: {self.captured} packets captured, {self.missed} missed; "
            f"started by {self.who}, {why}"
        )
        return form.status(self.missed, self.reason)

    def _running(self) -> tuple[Capture, Form]:
        if self._capture is None or self._form is None:
            raise RuntimeError("a capture has a start and an end")
        return self._capture, self._form

    def _made(self) -> Form:
        """The form that is wanted."""
        if self.wanted.form == "json":
            return Lines(self._names)
        self._names.refresh(self._controller)
        comment = f"lbctl capture: {self.wanted.words()}; started by {self.who}"
        return Pcapng(self._names, comment, self.wanted.bytes, self._received)

    def _received(self) -> Counter[int]:
        """Packets that came to each NIC, by slot."""
        found: Counter[int] = Counter()
        for count in self._controller.dataplane.counters.by_nic():
            found[count.nic] += count.packets
        return found

    def _refresh(self, capture: Capture, form: Form) -> None:
        """Follow changes of the configuration: names, and what is marked."""
        nics = tuple((nic.slot, nic.name) for nic in self._controller.dataplane.attached())
        seen = self._controller.current.number, self._controller.publications.count, nics
        if seen != self._seen:
            self._seen = seen
            self._names.refresh(self._controller)
            self.wanted.write(capture, self._controller)
            form.forget()

    def _news(self, capture: Capture, form: Form) -> bytes:
        """The statistics, when packets were missed since they were told."""
        self.missed = int(capture.filter["missed"][0])
        if self.missed == self._told_missed or time.monotonic() - self._told < NEWS:
            return b""
        self._told, self._told_missed = time.monotonic(), self.missed
        return form.status(self.missed)

    def _tell(self, text: str) -> None:
        self._controller.watch.tell("capture", self.wanted.words(), text)


class Capturing:
    """The captures of one switch: at most one at a time."""

    def __init__(self, controller: Controller) -> None:
        self.current: Session | None = None
        self._controller = controller
        self._lock = threading.Lock()
        self._number = 0

    def begin(self, wanted: Wanted, who: str) -> Session:
        """Start a capture.  Raises Conflict while there is another one."""
        with self._lock:
            if other := self.current:
                raise Conflict(
                    f"a capture of {other.wanted.words()} is running since {iso(other.since)}, "
                    f"started by {other.who}; wait, or end it: `lbctl capture --stop`"
                )
            self._number += 1
            self.current = session = Session(self._controller, wanted, who, self._number)
        try:
            session.start()
        except BaseException:
            self.current = None
            raise
        return session

    def end(self, session: Session) -> bytes:
        """Be done with a capture; gives what comes last."""
        try:
            return session.close()
        finally:
            self.current = None

    def stop(self, who: str, number: int | None = None) -> Session:
        """Have the capture end, or only the one of that number.  Raises NotFound."""
        session = self.current
        if session is None or number not in (None, session.number):
            raise NotFound("no capture is running; `lbctl events --kind capture` has those before")
        session.reason = session.reason or f"stopped by {who}"
        return session
