"""The meanings of the keys of the YAML form that are about programs on the switch, and its CPUs."""

from __future__ import annotations

# Class, then key: what it is for, and how it may look in YAML.
PROGRAMS: dict[str, dict[str, tuple[str, str]]] = {
    "Pseudo": {
        "name": (
            "Its name, as `ip link` has it. The end that the switch keeps ends in `-s`.",
            "lb0",
        ),
        "addresses": (
            (
                "Its addresses; without a length they stand alone. What a pool or an application "
                "serves of them stays theirs."
            ),
            "[203.0.113.1/32]",
        ),
        "mtu": (
            "Bytes of the largest IP packet; nothing: the smallest of the attached NICs.",
            "1400",
        ),
    },
    "App": {
        "name": ("What commands and the program itself call it.", "voip"),
        "vips": ("What is sent to it, and to nobody else.", "[203.0.113.20:5060/udp]"),
        "nics": ("Where it receives; nothing: at all that are attached.", "[eth1]"),
        "queues": ("From which of their queues; nothing: from all.", "[0, 1]"),
        "user": ("Who may run it, beside root: a name, or a number in quotes.", "voip"),
        "on_exit": (
            (
                "While it does not run: `reset` answers TCP by a reset and drops the rest, `drop` "
                "drops all, `kernel` lets the kernel have it."
            ),
            "kernel",
        ),
        "frames": ("How many packets its memory holds.", "16384"),
        "frame_size": ("Bytes of memory for each of them: 2048 or 4096.", "4096"),
        "hung_after": (
            (
                "Seconds in which it must look at packets that wait for it; else it is as if it "
                "did not run, until it looks again. 0: never."
            ),
            "2",
        ),
    },
    "Processor": {
        "name": ("What commands call it.", "fast"),
        "role": (
            (
                "What it is for: `switching` packets of NICs, `control` (lbctld), or "
                "`application`: the programs in `apps`."
            ),
            "switching",
        ),
        "cpus": ("Its CPUs, by number. NICs' queues are dealt to them in turn.", "[2, 3]"),
        "nics": ("The NICs whose queues it serves; for `switching` only.", "[eth1, eth2]"),
        "apps": ("The applications that run there; for `application` only.", "[]"),
        "polling": (
            (
                "How it learns of packets: `interrupt`; `threaded`: by a kernel thread of its own; "
                "`busy`: whoever uses a queue polls it."
            ),
            "threaded",
        ),
    },
}
