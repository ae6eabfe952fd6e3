"""The meanings of the keys of the YAML form, each with an example that the model accepts."""

from __future__ import annotations

from generator.program_meanings import PROGRAMS

# Class, then key: what it is for, and how it may look in YAML.
MEANINGS: dict[str, dict[str, tuple[str, str]]] = {
    "Configuration": {
        "version": ("Version of this form. There is one so far.", "1"),
        "nics": ("The NICs that switching processors serve.", "[{name: eth1}]"),
        "pools": ("The services, with their back-ends.", "[{name: web}]"),
        "agents": (
            "Who tells the load of servers.",
            "[{address: 10.0.1.11:8407, key_file: /etc/lbctl/agent.key}]",
        ),
        "pseudo": (
            "What programs on the switch use like a NIC.",
            "[{name: lb0, addresses: [203.0.113.1/32]}]",
        ),
        "apps": (
            "Programs on the switch with packet buffers of their own.",
            "[{name: voip, vips: [203.0.113.20:5060/udp]}]",
        ),
        "processors": (
            "Which CPUs do what; nothing: that is left as the machine has it.",
            "[{name: fast, cpus: [2, 3], nics: [eth1]}]",
        ),
        "settings": ("What holds for the whole switch.", "{timeouts: {established: 7200}}"),
    },
    "Nic": {
        "name": ("Its name, as `ip link` has it.", "eth1"),
        "mode": (
            (
                "How the program sits on it. `native` is quick; `generic` works on any NIC; `auto` "
                "takes native where it can."
            ),
            "native",
        ),
    },
    "Pool": {
        "name": ("What commands call it.", "web"),
        "vips": (
            "What clients connect to. A VIP has one pool, or one application.",
            "[203.0.113.10:80/tcp]",
        ),
        "forward": (
            (
                "`nat`: MAC, address and port are rewritten, and replies come back through the "
                "switch. `dsr`: the MAC only, and servers answer past the switch."
            ),
            "dsr",
        ),
        "scheduler": (
            (
                "Who gets a new connection: [choose a scheduler](../howto/choose-a-scheduler.md). "
                "A name that is not in the list is that of a plugin."
            ),
            "least-load",
        ),
        "on_unknown": (
            (
                "A TCP packet of no connection, and no SYN: `reset` answers it by a reset, `drop` "
                "drops it, `hash` gives it to the back-end of its slot."
            ),
            "hash",
        ),
        "on_down": (
            (
                "Connections of a back-end that died: `keep` lets them wait for it, `reset` tells "
                "their clients at once."
            ),
            "reset",
        ),
        "table_size": (
            (
                "Slots of the Maglev table; a prime. More slots make shares more exact, and cost "
                "2 bytes each, twice."
            ),
            "65537",
        ),
        "backends": (
            "The servers.",
            "[{address: 10.0.1.11:8080}, {address: 10.0.1.12:8080, weight: 2}]",
        ),
        "health": (
            "How they are checked; nothing: not at all. See [checks](#checks).",
            "{check: http, path: /healthz}",
        ),
        "passive": (
            (
                "Whether what the data path sees keeps new connections from a server. See "
                "[passive](#passive)."
            ),
            "{failures: 3}",
        ),
        "balance": ("How shares move. See [balance](#balance).", "{slow_start: 30}"),
        "quorum": ("With fewer back-ends that are well the pool is down.", "2"),
        "panic": (
            (
                "With a smaller part of the back-ends well all are asked, for they cannot all be "
                "dead. 0: never."
            ),
            "0.3",
        ),
        "backup": ("The pool that serves while this one is down.", "sorry"),
        "rules": (
            "Connections that the servers of another pool serve. See [rule](#rule).",
            "[{clients: 198.51.100.0/24, pool: staff}]",
        ),
    },
    "Backend": {
        "address": (
            "Where the server listens. With `dsr` the port is that of the VIP.",
            "10.0.1.11:8080",
        ),
        "weight": ("The share that it should have, beside the others'; 0 is none.", "2"),
        "state": (
            (
                "What you want of it: `active`, `draining` (no new connections) or `maintenance` "
                "(none, and no checks). `down` is for what checks find; as a wish it is like "
                "`maintenance`."
            ),
            "draining",
        ),
    },
    "Rule": {
        "clients": ("From these clients; nothing: from all.", "198.51.100.0/24"),
        "port": ("To this port, where the VIP has port `*`; nothing: to any.", "443"),
        "pool": ("Whose servers serve them.", "staff"),
    },
    "Check": {
        "interval": ("Seconds from one look to the next.", "1"),
        "timeout": ("Seconds for all of a look; never longer than the interval.", "0.5"),
        "rise": ("Successes in a row that bring a server back.", "2"),
        "fall": ("Failures in a row that take it out.", "2"),
        "jitter": (
            (
                "Part of the interval by which looks come sooner or later, so that they do not "
                "march in step."
            ),
            "0.2",
        ),
        "port": ("Where to ask; nothing: the back-end's port.", "8081"),
        "to_vip": ("Ask for the VIP, at that server; for `dsr` only.", "true"),
    },
    "HttpCheck": {
        "path": ("What to get.", "/healthz"),
        "host": (
            "Header Host, and the name asked for by TLS; nothing: address and port.",
            "example.org",
        ),
        "status": ("Answers that mean well.", '"200-299,404"'),
        "body": ("Text that must be in the first 64 KiB of the answer.", "ready"),
        "verify": ("With `https`: the certificate, against the system's authorities.", "true"),
    },
    "UdpCheck": {
        "send": (
            r"The datagram; `\xNN`, `\n`, `\r`, `\t`, `\0` and `\\` stand for bytes.",
            r"'\x00\x01'",
        ),
        "expect": ("What must be somewhere in the answer; nothing: any answer.", "pong"),
    },
    "GrpcCheck": {
        "service": ("Which service must be SERVING; empty: the server as a whole.", "shop.Cart"),
    },
    "ScriptCheck": {
        "command": (
            "The program by its absolute path, and its arguments; no shell sees them.",
            "/usr/local/lib/lbctl/replica-is-current --slack 5",
        ),
    },
    "Passive": {
        "failures": ("So many connections that came to nothing,", "3"),
        "ratio": ("which are at least this part of all new ones,", "0.25"),
        "window": ("within so many seconds:", "5"),
        "inhibit": ("then there are no new connections for so many seconds.", "10"),
        "inhibit_max": ("Each time twice as long as before, up to so many.", "600"),
    },
    "Balance": {
        "interval": ("Seconds between two looks.", "2"),
        "smoothing": ("Time constant of the averages, in seconds.", "5"),
        "dead_band": ("A smaller change of a share is made only if it is wanted for long.", "0.02"),
        "step": ("The most that a share moves in an interval.", "0.05"),
        "floor": ("The least that a server keeps, as a part of its configured share.", "0.1"),
        "slow_start": (
            "Seconds in which a new or recovered server comes to its share, from a tenth of it.",
            "30",
        ),
    },
    "Agent": {
        "address": ("Where it listens; for `push`, the name that it sends.", "10.0.1.11:8407"),
        "kind": ("How it tells: see [read the load](../howto/read-load.md).", "node-exporter"),
        "path": ("What to get over HTTP; nothing: what its kind has.", "/metrics"),
        "key_file": (
            "The key that it signs with; `lbctl` and `push` need one.",
            "/etc/lbctl/agent.key",
        ),
        "interval": ("Seconds between two questions.", "2"),
        "timeout": ("Seconds to wait for an answer.", "0.5"),
        "stale": ("Seconds after which its last word begins to fade.", "20"),
        "backends": (
            "Whose load it tells; none: of all back-ends at its own IP address.",
            "[10.0.1.11:8080]",
        ),
    },
    **PROGRAMS,
    "Settings": {
        "timeouts": ("When connections are forgotten. See [timeouts](#timeouts).", "{udp: 30}"),
        "resource_manager": (
            (
                "Who asks the agents: `local` is lbctld, `remote` a "
                "[resource manager](../howto/read-load.md#on-another-computer) on another computer."
            ),
            "remote",
        ),
    },
    "Timeouts": {
        "half_open": ("The server has not answered the SYN, or the client not the answer.", "5"),
        "established": ("A connection in use. What TCP sends to keep it alive counts too.", "7200"),
        "closing": ("One side has finished.", "60"),
        "closed": ("Both have, or one has reset.", "5"),
        "udp": ("A flow of UDP.", "30"),
    },
}
