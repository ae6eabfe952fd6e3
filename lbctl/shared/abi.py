"""Generated from bpf_src/lb/abi.h by `make abi`.  Do not edit."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Verdict(IntEnum):
    """``enum lb_verdict``."""

    CONTINUE = 0
    TO_BACKEND = 1
    TO_BACKEND_NEW = 2
    TO_BACKEND_UNTRACKED = 3
    TO_BACKEND_ICMP = 4
    TO_CLIENT = 5
    TO_KERNEL = 6
    TO_KERNEL_OTHER_MAC = 7
    ECHO_REPLY = 8
    RESET = 9
    RESET_DOWN = 10
    TOO_BIG_REPLY = 11
    DROP_MALFORMED = 12
    DROP_FRAGMENT = 13
    DROP_OPTIONS = 14
    DROP_NO_SERVICE = 15
    DROP_NO_CONNECTION = 16
    DROP_NO_BACKEND = 17
    DROP_TTL_EXPIRED = 18
    DROP_NO_ROUTE = 19
    DROP_NO_NEIGHBOR = 20
    DROP_NOT_ATTACHED = 21
    DROP_TOO_BIG = 22
    DROP_TUPLE_CLASH = 23
    DROP_RESET_WITHHELD = 24
    DROP_UNANSWERABLE = 25
    DROP_INTERNAL = 26
    TO_PSEUDO = 27
    FROM_PSEUDO = 28
    TO_APP = 29
    DROP_APP_GONE = 30
    VERDICT_MAX = 31


VERDICT_NOTES = {
    Verdict.CONTINUE: 'The stage has no objection; run the next.  Never counted.',
    Verdict.TO_BACKEND: 'A packet of a known connection went to its back-end.',
    Verdict.TO_BACKEND_NEW: 'The first packet of a new connection went to the back-end of its slot.',
    Verdict.TO_BACKEND_UNTRACKED: 'Went by the slot table alone, for the connection table had no room.  Make it larger.',
    Verdict.TO_BACKEND_ICMP: 'An ICMP error about a connection (path MTU, unreachable) went to its back-end.',
    Verdict.TO_CLIENT: 'A reply of a back-end went to its client, from the VIP.',
    Verdict.TO_KERNEL: 'Not for a VIP and of no connection: the kernel has it, untouched.',
    Verdict.TO_KERNEL_OTHER_MAC: "The frame is for another station's MAC (or for all): the kernel has it, untouched.",
    Verdict.ECHO_REPLY: 'An echo request (ping) for a VIP was answered.',
    Verdict.RESET: 'A TCP packet without service or connection was answered by a reset.',
    Verdict.RESET_DOWN: 'Its server died and the pool resets: the client was told, so that it tries again at once.',
    Verdict.TOO_BIG_REPLY: 'A packet too big for the way to its receiver was answered with the size that fits.',
    Verdict.DROP_MALFORMED: 'Headers that contradict each other or end too early, for a VIP.  The sender is broken.',
    Verdict.DROP_FRAGMENT: 'A fragment for a VIP: its ports are not known.  Make the sender use path MTU discovery.',
    Verdict.DROP_OPTIONS: 'IP options or extension headers, for a VIP.',
    Verdict.DROP_NO_SERVICE: "For a VIP's address, but no service has that port and protocol.",
    Verdict.DROP_NO_CONNECTION: 'For a service, but of no connection and starting none; the pool says drop.',
    Verdict.DROP_NO_BACKEND: 'No active back-end.  `lbctl pool show` says which are down or draining.',
    Verdict.DROP_TTL_EXPIRED: 'The hop limit ran out: a routing loop, or a traceroute.',
    Verdict.DROP_NO_ROUTE: 'No route to the back-end.  `lbctl route list` has what the switch knows.',
    Verdict.DROP_NO_NEIGHBOR: "The next hop's MAC is not known.  Is the host up?  `lbctl neighbor list`.",
    Verdict.DROP_NOT_ATTACHED: 'The next hop is behind a NIC without a switching processor.  `lbctl attach` it.',
    Verdict.DROP_TOO_BIG: 'Larger than the way to its receiver takes, and its sender allows fragments: never made here.',
    Verdict.DROP_TUPLE_CLASH: "The client's address and port already has a connection to that very server.",
    Verdict.DROP_RESET_WITHHELD: "A server refused a first SYN; withheld, so that the client's next finds another server.",
    Verdict.DROP_UNANSWERABLE: 'A packet that must not be answered: a reset for an unknown connection.',
    Verdict.DROP_INTERNAL: 'The tables contradict each other.  A bug: please report it with `lbctl status -o json`.',
    Verdict.TO_PSEUDO: 'For an address of a pseudo interface: programs on the switch have it.',
    Verdict.FROM_PSEUDO: 'From a program on the switch, by a pseudo interface: it left by the routing table.',
    Verdict.TO_APP: "For a VIP that a network application has: it went into the application's buffers.",
    Verdict.DROP_APP_GONE: 'For a network application that does not run, or not on the queue that the packet came by.',
}



class Stage(IntEnum):
    """``enum lb_stage``."""

    ARRIVE = 0
    PARSE = 1
    SERVICE = 2
    CONNECTION = 3
    SELECT = 4
    ROUTE = 5
    REWRITE = 6
    APP = 7
    PSEUDO = 8
    ICMP = 9
    RESET = 10
    TOO_BIG = 11
    FINISH = 12
    MAX = 13


TRACE = np.dtype({
    "names": ['key', 'reached', 'verdict', 'service', 'server', 'backend', 'connection', 'slots', 'slot', 'previous', 'mtu', 'delivered', 'buffer', 'in_nic', 'out_nic'],
    "formats": ['<u8', '<u4', '<u4', '<u2', '<u2', '<u2', '<u2', '<u4', '<u4', '<u2', '<u2', '<u1', '<u1', '<u1', '<u1'],
    "offsets": [0, 8, 12, 16, 18, 20, 22, 24, 28, 32, 34, 36, 37, 38, 39],
    "itemsize": 40,
})


class Liked(IntEnum):
    """``enum lb_liked``."""

    FRAME = 1
    HOST = 2
    PORT = 4
    BACKEND = 8
    SERVICE = 16
    ALL = 31


FILTER = np.dtype({
    "names": ['nics', 'verdicts', 'snap', 'host', 'port', 'protocol', 'spare', 'asks', 'missed'],
    "formats": ['<u8', '<u4', '<u4', '(4,)>u4', '>u2', '<u1', '<u1', '<u4', '<u8'],
    "offsets": [0, 8, 12, 16, 32, 34, 35, 36, 40],
    "itemsize": 48,
})

CAPTURED = np.dtype({
    "names": ['time', 'came', 'leaves', 'came_taken', 'leaves_taken', 'service', 'backend', 'verdict', 'in_nic', 'out_nic', 'action', 'liked'],
    "formats": ['<u8', '<u4', '<u4', '<u2', '<u2', '<u2', '<u2', '<u1', '<u1', '<u1', '<u1', '<u4'],
    "offsets": [0, 8, 12, 16, 18, 20, 22, 24, 25, 26, 27, 28],
    "itemsize": 32,
})

ABI_VERSION = 4
WAYS = 4
SLOTS_PER_LINE = 32
NICS_MAX = 64
PSEUDO_FIRST = 56
APPS_MAX = 32
APP_QUEUES = 64
IFINDEX_MAX = 32768
FORGET_MAX = 128
AGE_FUTURE = 61440
VERDICTS = 32
NONE = 65535
SNAP = 2048


class Role(IntEnum):
    """``enum lb_role``."""

    NONE = 0
    SERVICE = 1
    BACKEND = 2
    ADDRESS = 3
    APP = 4



class ServiceFlag(IntEnum):
    """``enum lb_service_flag``."""

    DSR = 1
    ANY_PORT = 2
    MULTIPLE = 4
    UNKNOWN_RESET = 8
    UNKNOWN_HASH = 16
    LOCAL = 32
    SHARED = 64
    ORPHAN = 128
    BY_ADDRESS = 256
    RESET_DOWN = 512
    RULES = 1024
    PSEUDO = 2048
    APP_RESET = 4096
    APP_KERNEL = 8192


SERVICE = np.dtype({
    "names": ['address', 'port', 'protocol', 'role', 'index', 'flags', 'first_line', 'slots'],
    "formats": ['(4,)>u4', '>u2', '<u1', '<u1', '<u2', '<u2', '<u4', '<u4'],
    "offsets": [0, 16, 18, 19, 20, 22, 24, 28],
    "itemsize": 32,
})

RUN = np.dtype({
    "names": ['first_line', 'slots'],
    "formats": ['<u4', '<u4'],
    "offsets": [0, 4],
    "itemsize": 8,
})

RULE_KEY = np.dtype({
    "names": ['prefix_length', 'service', 'buffer', 'port', 'spare', 'client'],
    "formats": ['<u4', '<u2', '<u2', '>u2', '<u2', '(4,)>u4'],
    "offsets": [0, 4, 6, 8, 10, 12],
    "itemsize": 28,
})

SLOTS = np.dtype({
    "names": ['backend'],
    "formats": ['(32,)<u2'],
    "offsets": [0],
    "itemsize": 64,
})


class BackendState(IntEnum):
    """``enum lb_backend_state``."""

    FREE = 0
    ACTIVE = 1
    DRAINING = 2
    DOWN = 3
    REMOVED = 4


BACKEND = np.dtype({
    "names": ['address', 'vip', 'port', 'vip_port', 'protocol', 'state', 'service', 'next_hop', 'flags', 'sum_address', 'sum_transport', 'shared', 'spare'],
    "formats": ['(4,)>u4', '(4,)>u4', '>u2', '>u2', '<u1', '<u1', '<u2', '<u2', '<u2', '<u2', '<u2', '<u2', '(14,)<u1'],
    "offsets": [0, 16, 32, 34, 36, 37, 38, 40, 42, 44, 46, 48, 50],
    "itemsize": 64,
})


class ConnectionState(IntEnum):
    """``enum lb_connection_state``."""

    FREE = 0
    HALF_OPEN = 1
    ESTABLISHED = 2
    CLOSING = 3
    CLOSED = 4
    UDP = 5
    MASK = 7
    FIN_CLIENT = 8
    FIN_SERVER = 16
    ANSWERED = 32
    WITHHELD = 64
    SPENT = 128



class ConnectionKey(IntEnum):
    """``enum lb_connection_key``."""

    FREE = 0
    LOCKED = 1
    FIRST = 2


CONNECTION = np.dtype({
    "names": ['key', 'backend', 'next_hop', 'last_used', 'state', 'route_version'],
    "formats": ['<u8', '<u2', '<u2', '<u2', '<u1', '<u1'],
    "offsets": [0, 8, 10, 12, 14, 15],
    "itemsize": 16,
})

CONNECTION_SET = np.dtype({
    "names": ['way'],
    "formats": [(CONNECTION, (4,))],
    "offsets": [0],
    "itemsize": 64,
})

CONNECTION_DETAIL = np.dtype({
    "names": ['client', 'client_port', 'service_port', 'created', 'server_isn', 'last_hop', 'last_hop_source', 'last_hop_nic', 'spare'],
    "formats": ['(4,)>u4', '>u2', '>u2', '<u4', '<u4', '(6,)<u1', '(6,)<u1', '<u2', '(6,)<u1'],
    "offsets": [0, 16, 18, 20, 24, 28, 34, 40, 42],
    "itemsize": 48,
})

FORGOTTEN = np.dtype({
    "names": ['key', 'index', 'if_expired'],
    "formats": ['<u8', '<u4', '<u4'],
    "offsets": [0, 8, 12],
    "itemsize": 16,
})


class NextHopState(IntEnum):
    """``enum lb_next_hop_state``."""

    UNRESOLVED = 0
    RESOLVED = 1
    NOT_ATTACHED = 2
    NO_ROUTE = 3


NEXT_HOP = np.dtype({
    "names": ['destination_mac', 'source_mac', 'mtu', 'nic', 'state'],
    "formats": ['(6,)<u1', '(6,)<u1', '<u2', '<u1', '<u1'],
    "offsets": [0, 6, 12, 14, 15],
    "itemsize": 16,
})

ROUTE_KEY = np.dtype({
    "names": ['prefix_length', 'family', 'address'],
    "formats": ['<u4', '<u4', '(4,)>u4'],
    "offsets": [0, 4, 8],
    "itemsize": 24,
})

NIC = np.dtype({
    "names": ['mac', 'slot'],
    "formats": ['(6,)<u1', '<u2'],
    "offsets": [0, 6],
    "itemsize": 8,
})

COUNTER = np.dtype({
    "names": ['packets', 'bytes'],
    "formats": ['<u8', '<u8'],
    "offsets": [0, 8],
    "itemsize": 16,
})

BACKEND_COUNTER = np.dtype({
    "names": ['packets_in', 'bytes_in', 'packets_out', 'bytes_out', 'connections', 'retries', 'resets', 'answers'],
    "formats": ['<u8', '<u8', '<u8', '<u8', '<u8', '<u8', '<u8', '<u8'],
    "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
    "itemsize": 64,
})

REASONS = np.dtype({
    "names": ['packets'],
    "formats": ['(32,)<u8'],
    "offsets": [0],
    "itemsize": 256,
})

HASH_KEYS = np.dtype({
    "names": ['base', 'base_mapped', 'address', 'ports', 'udp'],
    "formats": ['<u8', '<u8', '(4,)<u8', '<u8', '<u8'],
    "offsets": [0, 8, 16, 48, 56],
    "itemsize": 64,
})

CONTROL = np.dtype({
    "names": ['active', 'layout', 'generation', 'timeout', 'route_version', 'spare', 'zero', 'hash'],
    "formats": ['<u4', '<u4', '(2,)<u8', '(8,)<u2', '<u2', '(3,)<u2', '<u8', (HASH_KEYS, (2,))],
    "offsets": [0, 4, 8, 24, 40, 42, 48, 56],
    "itemsize": 184,
})
