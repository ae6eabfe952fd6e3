"""What a daemon says about CPUs."""

from __future__ import annotations

FREE = {"processors": [], "queues": [], "apps": []}
PLAN = {
    "source": "configuration",
    "applied": False,
    "only_own": False,
    "processors": [
        {
            "name": "fast",
            "role": "switching",
            "cpus": [1],
            "nics": ["eth1", "veth0"],
            "apps": [],
            "polling": "interrupt",
        },
    ],
    "cpus": [
        {"cpu": 0, "role": "any", **FREE},
        {
            "cpu": 1,
            "role": "switching",
            "processors": ["fast"],
            "queues": ["eth1 0", "eth1 1", "veth0 0"],
            "apps": [],
        },
    ],
    "irqs": [41, 42],
    "settings": [
        {
            "kind": "irq",
            "which": "IRQ 41",
            "now": "0-1",
            "wanted": "1",
            "state": "change",
            "why": "served by this CPU",
        },
        {
            "kind": "spread",
            "which": "eth1 RSS table",
            "now": " ".join("01" * 64),
            "wanted": " ".join("0" * 128),
            "state": "change",
            "why": "every queue gets the same",
        },
        {
            "kind": "irq",
            "which": "IRQ 42",
            "now": "0",
            "wanted": "0",
            "state": "set",
            "why": "disk: not on a dedicated CPU",
        },
        {
            "kind": "irq",
            "which": "veth0 interrupts",
            "now": None,
            "wanted": "1",
            "state": "cannot",
            "why": "veth has no interrupts; `polling: threaded` pins a thread",
        },
    ],
    "remarks": ["the frequency of CPUs cannot be set here"],
}
ANSWERS = {
    "plan_cpus": PLAN,
    "apply_cpus": {
        "changed": ["IRQ 41: 0-1 -> 1", "lbctld: 0-1 -> 0"],
        "cannot": ["IRQ 43: the kernel or the driver keeps it as it is"],
        "gone": [],
        "remarks": ["the frequency of CPUs cannot be set here"],
    },
    "restore_cpus": {
        "changed": ["IRQ 41: 1 -> 0-1"],
        "cannot": [],
        "gone": ["eth2 rx 0 RPS"],
        "remarks": [],
    },
}
