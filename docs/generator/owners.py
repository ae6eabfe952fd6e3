"""The owners: what each table is for, who writes it and who reads it, and why it is so large."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Owner(NamedTuple):
    """*size*: how many entries in words; *entries*: the same from the capacity's macros."""

    purpose: str
    key: str
    size: str
    entries: Callable[[Mapping[str, int]], int]
    writes: str
    reads: str


PER_CPU = "CPUs x "
OWNERS: dict[str, Owner] = {
    "control": Owner(
        "What every packet reads first: the active buffer, the timeouts, the keys of the hashes.",
        "0",
        "1",
        lambda _: 1,
        "control processor: when it publishes; `route_version` when a prefix changes",
        "switching processors, each packet",
    ),
    "services": Owner(
        "The directory: who is this address and port? A perfect hash table by hash and displace.",
        "buffer x D + place",
        "2 x D",
        lambda m: 2 << m["LB_DIRECTORY_BITS"],
        "control processor, the spare half",
        "switching processors, the active half",
    ),
    "displacements": Owner(
        "What makes the directory's second hash free of collisions, for each group of keys.",
        "buffer x G + group",
        "2 x G",
        lambda m: 2 << m["LB_GROUP_BITS"],
        "control processor, the spare half",
        "switching processors, the active half",
    ),
    "slots": Owner(
        "Runs of indices of back-ends, 32 to a line; a service's begins at its `first_line`.",
        "buffer x L + line",
        "2 x L",
        lambda m: 2 * m["LB_SLOT_LINES"],
        "control processor, the spare half",
        "switching processors, the active half, for new connections",
    ),
    "backends": Owner(
        "A record for each server of each VIP, with all that rewriting needs in both directions.",
        "buffer x `--backends` + index",
        "2 x `--backends`",
        lambda m: 2 * m["LB_BACKENDS"],
        "control processor, the spare half",
        "switching processors, the active half",
    ),
    "rules": Owner(
        "Which new connections of a service have a run of slots of their own, by longest prefix.",
        "`lb_rule_key`",
        "2 x `--rules` + 1",
        lambda m: 2 * m["LB_RULES"] + 1,
        "control processor, entries of the spare buffer",
        "switching processors, for new connections of services with rules",
    ),
    "connections": Owner(
        "The connection table, hot part: sets of four entries, one cache line each. A client has "
        "two sets, by its fingerprint.",
        "set",
        "S",
        lambda m: 1 << m["LB_SET_BITS"],
        "switching processors; the control processor frees entries through a program of its own",
        "switching processors; the control processor, to list, count and sweep",
    ),
    "details": Owner(
        "The same connections, cold part: what only slow paths need.",
        "set x 4 + way",
        "4 x S",
        lambda m: 4 << m["LB_SET_BITS"],
        "switching processors, for new connections and handshakes",
        "switching processors, on slow paths; the control processor, to list",
    ),
    "routes": Owner(
        "Prefix to the index of a next hop, by longest prefix.",
        "`lb_route_key`",
        "`--routes`",
        lambda m: m["LB_ROUTES"],
        "routing daemon",
        "switching processors, for the clients of new connections",
    ),
    "next_hops": Owner(
        "How to get to a host: MACs, NIC, MTU. Back-ends and connections name them by index, so a "
        "changed MAC is one store.",
        "index",
        "`--next-hops`",
        lambda m: m["LB_NEXT_HOPS"],
        "routing daemon",
        "switching processors, each packet that is sent on",
    ),
    "nics": Owner(
        "The NICs that have a switching processor, and the switch's ends of pseudo interfaces.",
        "ifindex",
        "32768",
        lambda _: 32768,
        "control processor, when a NIC is attached or detached, or its MAC changes",
        "switching processors, each packet",
    ),
    "exits": Owner(
        "Where a packet can leave: slot of a NIC to its device. The kernel keeps it.",
        "slot of the NIC",
        "64",
        lambda _: 64,
        "control processor, when a NIC is attached or detached",
        "switching processors, when a packet leaves by another NIC than it came by",
    ),
    "apps": Owner(
        "Where packets for an application go: its AF_XDP socket of that NIC and queue. A place "
        "empties by itself when the socket is closed.",
        "(application x 64 + slot of the NIC) x 64 + queue",
        "32 x 64 x 64",
        lambda _: 32 * 64 * 64,
        "control processor, when an application starts, hangs, or runs again",
        "switching processors, packets for an application",
    ),
    "verdicts": Owner(
        "Packets and bytes by verdict and NIC.",
        "(CPU x 64 + slot of the NIC) x 32 + verdict",
        "CPUs x 64 x 32",
        lambda m: m["LB_CPUS"] * 64 * 32,
        "switching processors",
        "control processor, summed over CPUs",
    ),
    "traffic": Owner(
        "Packets, bytes and connections by back-end and direction.",
        "CPU x `--backends` + index",
        "CPUs x `--backends`",
        lambda m: m["LB_CPUS"] * m["LB_BACKENDS"],
        "switching processors; the control processor sets a new back-end's to zero",
        "control processor, summed over CPUs",
    ),
    "reasons": Owner(
        "All but the usual verdicts, by service and by back-end.",
        "CPU x (`--services` + `--backends`) + index; back-ends behind services",
        "CPUs x (`--services` + `--backends`)",
        lambda m: m["LB_CPUS"] * (m["LB_SERVICES"] + m["LB_BACKENDS"]),
        "switching processors; the control processor sets a new one's to zero",
        "control processor, summed over CPUs",
    ),
}
