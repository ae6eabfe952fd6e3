"""
The host: what lbctld needs of the machine before it can begin, and how to get it.

Privileges, a network namespace, a BPF file system, and to be the only one of its name.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import re
import resource
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lbctl.errors import Conflict, LbctlError, NotFound, NotPermitted
from lbctl.switching import pins

if TYPE_CHECKING:
    from collections.abc import Iterator

NETNS = Path("/run/netns")  # where `ip netns` keeps its names
BPFFS = Path("/sys/fs/bpf")
CLONE_NEWNET = 0x40000000
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # of mallopt(3)
LARGE = 1 << 17  # bytes; larger blocks are mapped, and unmapped when they are freed
CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 12, 21, 38, 39
NEEDED = {"CAP_NET_ADMIN": CAP_NET_ADMIN, "CAP_PERFMON": CAP_PERFMON, "CAP_BPF": CAP_BPF}
INCLUDED = {CAP_PERFMON, CAP_BPF}  # in CAP_SYS_ADMIN
OLDEST = (5, 12)  # Linux whose programs can swap and set bits atomically, and see what was there

_libc = ctypes.CDLL(None, use_errno=True)


def limit_heaps() -> None:
    """
    Have glibc give memory back that is not needed any more.

    By default each thread has a heap of its own, and what was once large stays in it.
    """
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(M_ARENA_MAX, 1)
        _libc.mallopt(M_MMAP_THRESHOLD, LARGE)


def raise_limits() -> None:
    """Allow as many open files as there may be: one for each agent, and each check under way."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def require_kernel(release: str | None = None) -> None:
    """Refuse a kernel whose verifier takes none of our programs; by its number, *release*."""
    release = release or platform.release()
    found = re.match(r"(\d+)\.(\d+)", release)
    if found and (int(found[1]), int(found[2])) < OLDEST:
        wanted = "{}.{}".format(*OLDEST)
        raise LbctlError(f"lbctld needs Linux {wanted}, and this is {release}; upgrade the kernel")


def require_privileges(status: Path = Path("/proc/self/status")) -> None:
    """Refuse to go on without the capabilities that BPF programs and NICs ask for."""
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    held = int(fields["CapEff"], 16)
    if held >> CAP_SYS_ADMIN & 1:
        held |= sum(1 << number for number in INCLUDED)
    missing = [name for name, number in NEEDED.items() if not held >> number & 1]
    if missing:
        raise NotPermitted(
            f"lbctld lacks {', '.join(missing)}; run it as root (sudo lbctld), "
            f"or give its systemd unit these capabilities"
        )


def enter_netns(name: str) -> None:
    """
    Go into a network namespace, by name or path; before any thread has started.

    By setns alone: the mounts stay, and with them /sys/fs/bpf.
    """
    path = Path(name) if "/" in name else NETNS / name
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"there is no network namespace {name!r}; see `ip netns list`") from None
    except OSError as err:
        raise LbctlError(f"network namespace {name!r}: {err.strerror}") from err
    try:
        if _libc.setns(descriptor, CLONE_NEWNET):
            raise LbctlError(f"network namespace {name!r}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)


def require_bpffs(pin_dir: Path, mounts: Path = Path("/proc/self/mountinfo")) -> None:
    """See to it that *pin_dir* is on a BPF file system: mount the usual one if it is missing."""
    pin_dir = Path(os.path.realpath(pin_dir))
    if file_system(pin_dir, mounts) == "bpf":
        return
    if not pin_dir.is_relative_to(BPFFS):
        raise LbctlError(
            f"{pin_dir}: not on a BPF file system, so tables cannot be kept there; "
            f"choose a --pin-dir under {BPFFS}"
        )
    if _libc.mount(b"bpf", bytes(BPFFS), b"bpf", 0, b"mode=0700"):
        raise LbctlError(
            f"{BPFFS}: cannot mount the BPF file system ({os.strerror(ctypes.get_errno())}); "
            f"run `mount -t bpf bpf {BPFFS}`"
        )


def remove_pins(pin_dir: Path) -> None:
    """Remove what an instance has pinned; its programs leave the NICs with their last pins."""
    with suppress(FileNotFoundError):
        for path in pin_dir.iterdir():
            if path.name not in pins.CONTENT:
                raise LbctlError(
                    f"{path}: not of lbctl, so nothing was removed; choose another --pin-dir"
                )
    pins.remove(pin_dir)


def file_system(path: Path, mounts: Path) -> str:
    """The type of the file system that *path* is or would be on."""
    best, kind = Path("/"), ""
    for line in mounts.read_text().splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].encode().decode("unicode_escape"))
        if path.is_relative_to(point) and point.is_relative_to(best):  # the last one lies on top
            best, kind = point, after.split()[0]
    return kind


@contextmanager
def only_one(state_dir: Path, name: str) -> Iterator[None]:
    """Hold the lock of the instance *name*.  Raises Conflict when another lbctld holds it."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as err:
        raise LbctlError(f"{err.filename}: {err.strerror}; choose another --state-dir") from err
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
            raise Conflict(
                f"lbctld {name!r} is running already (pid {holder}); "
                f"stop it, or choose another --name"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
