"""
The checks of the machine.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from lbctl.control.preflight.machine_checks import CHECKS
from tests.unit.control.preflight.made import MACHINE, judged

CASES = {
    "all is well": ({}, {}),
    "an old kernel": (
        {"kernel": (5, 10), "memory_lock": 64 << 10},
        {
            "kernel_too_old": ("error", "apt install linux-image-amd64 && reboot"),
            "kernel_tells_little": ("note", "lbctl drops --watch"),
            "memory_lock": ("warning", "ulimit -l unlimited"),
        },
    ),
    "a middling kernel, where no memory need be locked": (
        {"kernel": (6, 1), "memory_lock": 0},
        {"kernel_tells_little": ("note", "lbctl drops --watch")},
    ),
    "no BPF file system": (
        {"bpffs": False},
        {"no_bpffs": ("warning", "mount -t bpf bpf /sys/fs/bpf")},
    ),
    "no bcc": ({"bcc": ""}, {"no_bcc": ("error", "apt install python3-bpfcc")}),
    "nothing is known": (
        {"bpffs": None, "bcc": None, "forwarding": {}, "gateway_of": frozenset({4})},
        {"no_bpffs": "?", "no_bcc": "?"},
    ),
    "the gateway of servers does not forward": (
        {"forwarding": {4: False, 6: False}, "gateway_of": frozenset({4, 6})},
        {
            "no_forwarding": (
                "note",
                "sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
            )
        },
    ),
    "nobody's gateway need not forward": ({"forwarding": {4: False}}, {}),
}


@pytest.mark.parametrize(("changes", "expected"), CASES.values(), ids=CASES)
def test_machine(changes, expected):
    """
    What is said of such a machine.
    """
    assert expected == judged(CHECKS, replace(MACHINE, **changes))
