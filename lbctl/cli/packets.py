"""The packets: read the frames of a capture, pcap or pcapng, as they were captured."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import dpkt  # type: ignore[import-untyped]

from lbctl.errors import LbctlError, NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

ETHERNET = 1  # LINKTYPE_ETHERNET
STDIN = "-"


def frames_of(name: str) -> Iterator[bytes]:
    """
    Yield the Ethernet frames of the file *name*; `-` is standard input.

    Raises NotFound without such a file, UsageError where it holds something else, and LbctlError
    where it ends within a packet: after those before it.
    """
    # read at once: standard input cannot be read twice, as finding out the form takes
    file = io.BytesIO(_content(name))
    try:
        reader = dpkt.pcap.UniversalReader(file)
    except (ValueError, dpkt.Error, struct.error) as err:
        raise UsageError(
            f"--pcap {name}: neither pcap nor pcapng; make one with `tcpdump -w` or `lbctl capture`"
        ) from err
    if reader.datalink() != ETHERNET:
        raise UsageError(
            f"--pcap {name}: its frames are not Ethernet (link type {reader.datalink()}); "
            f"capture on one NIC, `tcpdump -i eth0`, not on `any`"
        )
    try:
        for _, frame in reader:
            yield bytes(frame)
    except (ValueError, dpkt.Error, struct.error) as err:
        raise LbctlError(f"--pcap {name}: it ends within a packet; use --limit") from err


def _content(name: str) -> bytes:
    if name == STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except FileNotFoundError:
        raise NotFound(f"--pcap {name}: there is no such file") from None
    except OSError as err:
        raise LbctlError(f"--pcap {name}: {err.strerror}") from err
