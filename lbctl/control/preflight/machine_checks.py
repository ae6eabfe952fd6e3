"""
The checks of the machine: its kernel, its limits, and what lbctl is built with.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control.preflight.finding import Told, error, known, note, warning

if TYPE_CHECKING:
    from lbctl.control.preflight.facts import Machine

OLDEST = (5, 12)  # compare-and-swap in programs
NO_LOCK = (5, 11)  # maps count as memory of a cgroup since
FEATURES = (6, 3)  # NICs tell what they can do for XDP since
ENOUGH = 1 << 30  # bytes
SETTING = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}


def kernel_too_old(machine: Machine) -> Told | None:
    """The programs need what came with Linux 5.12."""
    if machine.kernel >= OLDEST:
        return None
    return error(
        f"runs Linux {_release(machine.kernel)}, which is older than {_release(OLDEST)}",
        "its verifier does not take the switching processor",
        "apt install linux-image-amd64 && reboot",
    )


def kernel_tells_little(machine: Machine) -> Told | None:
    """Before Linux 6.3 nobody can tell what a driver does for XDP."""
    if machine.kernel >= FEATURES:
        return None
    return note(
        f"runs Linux {_release(machine.kernel)}: its NICs do not tell what they do for XDP",
        f"that is since {_release(FEATURES)}; whether frames can be redirected to a NIC is not "
        f"checked",
        "lbctl drops --watch",
    )


def no_bpffs(machine: Machine) -> Told | None:
    """Tables and programs are pinned in the BPF file system."""
    if known(machine.bpffs, "the mounts cannot be read"):
        return None
    return warning(
        "has no BPF file system at /sys/fs/bpf",
        "tables and programs are kept there; lbctld mounts it where it may",
        "mount -t bpf bpf /sys/fs/bpf",
    )


def memory_lock(machine: Machine) -> Told | None:
    """Before Linux 5.11 tables count as locked memory."""
    if machine.kernel >= NO_LOCK:
        return None
    limit = known(machine.memory_lock, "the limit cannot be read")
    if limit >= ENOUGH:
        return None
    return warning(
        f"lets lbctld lock {limit >> 20} MiB of memory",
        f"before Linux {_release(NO_LOCK)} tables count as locked memory, and these are larger",
        "ulimit -l unlimited",
    )


def no_bcc(machine: Machine) -> Told | None:
    """The compiler of the switching processor."""
    if known(machine.bcc, "the folder of bcc cannot be read"):
        return None
    return error(
        "has no bcc for this Python",
        "it compiles the switching processor; what PyPI calls bcc is something else",
        "apt install python3-bpfcc",
    )


def no_forwarding(machine: Machine) -> Told | None:
    """What NAT servers send on their own is forwarded by the kernel."""
    off = [v for v in sorted(machine.gateway_of) if not machine.forwarding.get(v, True)]
    if not off:
        return None
    names = " and ".join(f"IPv{version}" for version in off)
    return note(
        f"does not forward {names}",
        "the switch is the gateway of nat servers: what they send on their own (updates, name "
        "queries) ends here",
        f"sysctl -w {' '.join(f'{SETTING[version]}=1' for version in off)}",
    )


def _release(kernel: tuple[int, int]) -> str:
    return "{}.{}".format(*kernel)


CHECKS = (kernel_too_old, kernel_tells_little, no_bpffs, memory_lock, no_bcc, no_forwarding)
