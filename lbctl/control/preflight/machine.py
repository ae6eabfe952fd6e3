"""
The machine: find out what its kernel, its mounts and its limits are.

Every source is an argument, so that a test can say what it holds.
"""

from __future__ import annotations

import contextlib
import importlib.util
import platform
import re
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from lbctl.control import host
from lbctl.control.preflight.facts import Machine

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

MOUNTS, SETTINGS = Path("/proc/self/mountinfo"), Path("/proc/sys/net")
FORWARDING = {4: "ipv4/ip_forward", 6: "ipv6/conf/all/forwarding"}
LIBRARY = "libbcc.py"  # of the real bcc; what PyPI has under that name lacks it


def look(
    gateway_of: AbstractSet[int] = frozenset(), mounts: Path = MOUNTS, settings: Path = SETTINGS
) -> Machine:
    """All of it; *gateway_of*: the IP versions of servers whose gateway the switch is."""
    return Machine(
        kernel=release(platform.release()),
        bpffs=_has_bpffs(mounts),
        bcc=_bcc(),
        memory_lock=_memory_lock(),
        forwarding=dict(_forwarding(settings)),
        gateway_of=frozenset(gateway_of),
    )


def release(text: str) -> tuple[int, int]:
    """Major and minor number of a kernel's release."""
    match = re.match(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def rp_filter(nic: str, settings: Path = SETTINGS) -> int | None:
    """The reverse path filter that holds for a NIC: the greater of two settings."""
    try:
        names = (settings / "ipv4/conf" / name / "rp_filter" for name in ("all", nic))
        return max(int(path.read_text()) for path in names)
    except (OSError, ValueError):
        return None


def answers_for_others(nic: str, version: int, settings: Path = SETTINGS) -> bool:
    """Whether it answers ARP for whomever the kernel has a route to."""
    if version != 4:
        return False
    with contextlib.suppress(OSError, ValueError):
        names = (settings / "ipv4/conf" / name / "proxy_arp" for name in ("all", nic))
        return any(int(path.read_text()) for path in names)
    return False


def _forwarding(settings: Path) -> list[tuple[int, bool]]:
    found = []
    for version, name in FORWARDING.items():
        with contextlib.suppress(OSError, ValueError):
            found.append((version, bool(int((settings / name).read_text()))))
    return found


def _has_bpffs(mounts: Path) -> bool | None:
    try:
        return host.file_system(host.BPFFS, mounts) == "bpf"
    except OSError:
        return None


def _bcc() -> str | None:
    """Where bcc is; it is not imported, which would cost 100 MiB."""
    try:
        found = importlib.util.find_spec("bcc")
    except (ImportError, ValueError):
        return None
    places = (found.submodule_search_locations or ()) if found else ()
    return next((place for place in places if (Path(place) / LIBRARY).exists()), "")


def _memory_lock() -> int | None:
    most = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    return 1 << 62 if most == resource.RLIM_INFINITY else most
