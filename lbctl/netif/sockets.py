"""
The sockets: make the AF_XDP sockets of an application on one shared packet memory.

What lbctld does on behalf of an application, or a privileged program for itself: memory, sockets,
ring sizes, bind.  It keeps nothing: who made them hands the descriptors over and closes.  Numbers
and layouts are those of <linux/if_xdp.h>.  Making sockets needs CAP_NET_RAW; they belong to the
network namespace of the calling thread.

The first socket registers the memory, the others share it (XDP_SHARED_UMEM), and each has its own
fill and completion ring, so that a frame may come in by one NIC and leave by another.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import re
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

from lbctl.errors import Conflict, LbctlError, NotFound, NotPermitted, UsageError
from lbctl.netif import memory, options
from lbctl.netif.options import AF_XDP, SOL_XDP

if TYPE_CHECKING:
    from collections.abc import Sequence

_TX_BUDGET = 9  # XDP_MAX_TX_SKB_BUDGET, Linux 6.17: packets that one wakeup sends in copy mode
_SHARED_UMEM, _COPY, _NEED_WAKEUP, _USE_SG = 1, 2, 8, 16
_PATIENCE, _PAUSE = 2.0, 0.01  # seconds that a queue may take to be free again
_FRAME_SIZES = (2048, 4096)
# What to ask for, best first: the kernel takes zero-copy by itself where the driver has it, but
# all NICs of one memory must agree; packets of several frames came with Linux 6.6.
_VARIANTS = (_USE_SG, _USE_SG | _COPY, 0, _COPY)
_UNKNOWN = (errno.EINVAL, errno.EOPNOTSUPP)
_libc = ctypes.CDLL(None, use_errno=True)


class Place(NamedTuple):
    """Where a socket receives and sends: a NIC of this namespace and one of its queues."""

    nic: str
    ifindex: int
    queue: int

    @classmethod
    def of(cls, nic: str, queue: int = 0) -> Self:
        """Look the NIC up; NotFound if there is none."""
        try:
            return cls(nic, socket.if_nametoindex(nic), queue)
        except OSError:
            raise NotFound(f"NIC {nic!r}: there is none; `ip link` shows them") from None

    def __str__(self) -> str:
        return f"NIC {self.nic!r} queue {self.queue}"


class Rings(NamedTuple):
    """How many descriptors each ring of a port holds: powers of two."""

    rx: int
    tx: int
    fill: int
    completion: int

    @classmethod
    def fitting(cls, frames: int, ports: int) -> Self:
        """
        Choose sizes for so many frames.

        Fill and rx rings of all ports hold half of the frames at most; the rest is for the
        application and for sending.
        """
        share = max(frames // (4 * ports), 2)
        size = min(1 << share.bit_length() - 1, 2048)
        return cls(size, size, size, size)


@dataclass
class Endpoints:
    """
    The sockets of an application, one a place, and the descriptor of their memory.

    *bound*: if not, `bind` is still to be called, when the rings are mapped.
    """

    umem: int
    sockets: list[socket.socket]
    places: tuple[Place, ...]
    zero_copy: list[bool] = field(default_factory=list)
    multi_buffer: bool = False
    bound: bool = False

    def descriptors(self) -> list[int]:
        """The memory's, then each socket's; open until `close`."""
        return [self.umem, *(plug.fileno() for plug in self.sockets)]

    def close(self) -> None:
        """Let go of all of them here; whoever was given copies keeps theirs."""
        os.close(self.umem)
        _close(self.sockets)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def mapped_when_bound() -> bool:
    """Whether this kernel maps the fill and completion rings of a bound socket (Linux 6.4)."""
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    return found is not None and (int(found[1]), int(found[2])) >= (6, 4)


def create(  # noqa: PLR0913 - all of them are what the caller decides
    places: Sequence[Place],
    frames: int,
    frame_size: int = 2048,
    rings: Rings | None = None,
    *,
    name: str = "app",
    bind: bool = True,
    busy_poll: int = 0,
) -> Endpoints:
    """
    Make memory and sockets for these places, with the best mode that all of them have.

    *frames* buffers of *frame_size* bytes (2048 or 4096); *rings*: Rings.fitting unless given;
    *busy_poll*: microseconds to look for packets before sleeping, where a NIC has a NAPI context.
    Raises NotPermitted, NotFound, UsageError, Conflict (another program has that queue) or
    LbctlError; nothing stays open then.
    """
    if frame_size not in _FRAME_SIZES:
        raise UsageError(f"frame size {frame_size}: it is 2048 or 4096")
    if not places or len(set(places)) < len(places):
        raise UsageError("an application needs a NIC's queue, and each of them once")
    rings = rings or Rings.fitting(frames, len(places))
    umem = memory.create(frames * frame_size, f"lbctl-frames-{name}")
    try:
        return _create(umem, tuple(places), (frames, frame_size), rings, busy_poll, bind=bind)
    except BaseException:
        os.close(umem)
        raise


def _create(  # noqa: PLR0913
    umem: int,
    places: tuple[Place, ...],
    shape: tuple[int, int],
    rings: Rings,
    busy_poll: int,
    *,
    bind: bool,
) -> Endpoints:
    def make() -> Endpoints:
        return Endpoints(umem, _sockets(umem, len(places), shape, rings, busy_poll), places)

    if not bind:
        return make()
    for variant in _VARIANTS:
        made = make()
        try:
            _bind(made.sockets, places, variant)
        except OSError as error:
            _close(made.sockets)
            if error.errno not in _UNKNOWN or variant == _VARIANTS[-1]:
                raise _explained(error) from error
        except BaseException:
            _close(made.sockets)
            raise
        else:
            return _finished(made, variant)
    raise AssertionError  # the last variant returns or raises


def bind_mapped(umem: int, sockets: Sequence[int], places: Sequence[Place]) -> Endpoints:
    """
    Bind sockets that were made with `bind=False`, and whose rings the application has mapped.

    They are the caller's to close.  Several NICs are bound in copy mode: a socket that is bound
    cannot be bound again when the next NIC turns out to have no zero-copy.
    """
    plugs = [adopt(os.dup(number)) for number in sockets]
    made = Endpoints(os.dup(umem), plugs, tuple(places))
    try:
        variant = _COPY if len({place.ifindex for place in places}) > 1 else 0
        _bind(made.sockets, made.places, variant)
    except OSError as error:
        made.close()
        raise _explained(error) from error
    except BaseException:
        made.close()
        raise
    return _finished(made, variant)


def _close(plugs: Sequence[socket.socket]) -> None:
    for plug in plugs:
        plug.close()


def _finished(made: Endpoints, variant: int) -> Endpoints:
    made.bound, made.multi_buffer = True, bool(variant & _USE_SG)
    made.zero_copy = [options.is_zero_copy(plug) for plug in made.sockets]
    return made


def _sockets(
    umem: int, count: int, shape: tuple[int, int], rings: Rings, busy_poll: int
) -> list[socket.socket]:
    """Make them with their rings; the first has the memory."""
    plugs: list[socket.socket] = []
    try:
        for _ in range(count):
            plugs.append(socket.socket(AF_XDP, socket.SOCK_RAW | socket.SOCK_CLOEXEC))
            if len(plugs) == 1:
                _register(plugs[0], umem, *shape)
            for option, size in zip(
                (options.RX_RING, options.TX_RING, options.FILL_RING, options.COMPLETION_RING),
                rings,
                strict=True,
            ):
                plugs[-1].setsockopt(SOL_XDP, option, size)
            _tune(plugs[-1], rings.tx, busy_poll)
    except OSError as error:
        _close(plugs)
        raise _explained(error) from error
    return plugs


def _register(plug: socket.socket, umem: int, frames: int, frame_size: int) -> None:
    """Register the memory; the kernel holds its pages from then on, mapped here or not."""
    with mmap.mmap(umem, frames * frame_size) as area:
        start = ctypes.c_char.from_buffer(area)
        try:
            words = struct.pack("=QQIIII", ctypes.addressof(start), len(area), frame_size, 0, 0, 0)
            plug.setsockopt(SOL_XDP, options.UMEM_REG, words)
        finally:
            del start


def _tune(plug: socket.socket, budget: int, busy_poll: int) -> None:
    """Ask for what makes it faster; a kernel that lacks it does without."""
    with suppress(OSError):
        plug.setsockopt(SOL_XDP, _TX_BUDGET, max(budget, 32))
    if busy_poll:
        options.prefer_busy_poll(plug, busy_poll)


def adopt(descriptor: int) -> socket.socket:
    """Make a socket object of an AF_XDP descriptor, which it owns from then on."""
    return socket.socket(AF_XDP, socket.SOCK_RAW, 0, descriptor)


class _Refused(OSError):
    place: Place | None = None  # where the kernel refused


def _bind(plugs: Sequence[socket.socket], places: Sequence[Place], variant: int) -> None:
    """Bind all; the first decides the mode, which the others take over."""
    for number, (plug, place) in enumerate(zip(plugs, places, strict=True)):
        first = number == 0
        flags = _NEED_WAKEUP | variant if first else _SHARED_UMEM
        owner = 0 if first else plugs[0].fileno()
        packed = struct.pack("=HHIII", AF_XDP, flags, place.ifindex, place.queue, owner)
        deadline = time.monotonic() + _PATIENCE
        while _libc.bind(plug.fileno(), packed, len(packed)):
            code = ctypes.get_errno()
            if code != errno.EBUSY or time.monotonic() > deadline:
                error = _Refused(code, os.strerror(code))
                error.place = place
                raise error
            # the kernel takes a queue from a dead socket a moment after its end
            time.sleep(_PAUSE)


def _explained(error: OSError) -> LbctlError:
    """What the kernel's number means here."""
    where = getattr(error, "place", None) or "AF_XDP"
    kinds: dict[int | None, tuple[type[LbctlError], str]] = {
        errno.EPERM: (NotPermitted, "needs CAP_NET_RAW; let lbctld do it, or use `sudo`"),
        errno.EAFNOSUPPORT: (LbctlError, "this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)"),
        errno.EBUSY: (Conflict, "another program has its buffers; end that, or take another queue"),
        errno.ENODEV: (NotFound, "there is none; `ip link` shows them"),
        errno.ENETDOWN: (LbctlError, "it is down; `ip link set dev NIC up`"),
        errno.EINVAL: (UsageError, "it has no such queue; `ethtool -l NIC` shows how many"),
        errno.ENOBUFS: (LbctlError, "locked memory is short; raise `ulimit -l`, or ask for less"),
        errno.ENOMEM: (LbctlError, "memory is short; ask for fewer frames"),
    }
    kind, advice = kinds.get(error.errno, (LbctlError, error.strerror or str(error)))
    return kind(f"{where}: {advice}")
