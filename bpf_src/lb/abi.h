/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between the switching processors (C) and the control processor
 * (Python).  lbctl/shared/abi.py is generated from this file by `make abi`.
 *
 * Fixed-width types.  __beN is network order, anything else is host order.
 * No implicit padding.  An address is 128 bits; IPv4 is mapped, ::ffff:a.b.c.d.
 * A changed layout bumps LB_ABI_VERSION in the same commit.
 */
#ifndef LB_ABI_H
#define LB_ABI_H

enum lb_abi {
	LB_ABI_VERSION = 3,
	LB_WAYS = 4,            /* connections in one set: 64 bytes, one cache line */
	LB_SLOTS_PER_LINE = 32, /* slots packed into one element, for the same reason */
	LB_NICS_MAX = 64,       /* NICs that one switch can serve */
	LB_IFINDEX_MAX = 32768, /* the largest ifindex that a NIC may have, plus one */
	LB_FORGET_MAX = 128,    /* connections forgotten in one go */
	LB_AGE_FUTURE = 0xf000, /* ages from here on are clocks that differ */
	LB_VERDICTS = 32,       /* room for verdicts per NIC */
	LB_NONE = 0xffff,       /* no service, no back-end, no connection */
	LB_SNAP = 2048,         /* bytes of a frame that a capture can take */
};

/*
 * What became of a packet: also the index into the `verdicts` counters.  The
 * comment behind each is its documentation: what it means, then what to do.
 */
enum lb_verdict {
	/* The stage has no objection; run the next.  Never counted. */
	LB_CONTINUE,
	/* A packet of a known connection went to its back-end. */
	LB_TO_BACKEND,
	/* The first packet of a new connection went to the back-end of its slot. */
	LB_TO_BACKEND_NEW,
	/* Went by the slot table alone, for the connection table had no room.  Make it larger. */
	LB_TO_BACKEND_UNTRACKED,
	/* An ICMP error about a connection (path MTU, unreachable) went to its back-end. */
	LB_TO_BACKEND_ICMP,
	/* A reply of a back-end went to its client, from the VIP. */
	LB_TO_CLIENT,
	/* Not for a VIP and of no connection: the kernel has it, untouched. */
	LB_TO_KERNEL,
	/* The frame is for another station's MAC (or for all): the kernel has it, untouched. */
	LB_TO_KERNEL_OTHER_MAC,
	/* An echo request (ping) for a VIP was answered. */
	LB_ECHO_REPLY,
	/* A TCP packet without service or connection was answered by a reset. */
	LB_RESET,
	/* Its server died and the pool resets: the client was told, so that it tries again at once. */
	LB_RESET_DOWN,
	/* A packet too big for the way to its receiver was answered with the size that fits. */
	LB_TOO_BIG_REPLY,
	/* Headers that contradict each other or end too early, for a VIP.  The sender is broken. */
	LB_DROP_MALFORMED,
	/* A fragment for a VIP: its ports are not known.  Make the sender use path MTU discovery. */
	LB_DROP_FRAGMENT,
	/* IP options or extension headers, for a VIP. */
	LB_DROP_OPTIONS,
	/* For a VIP's address, but no service has that port and protocol. */
	LB_DROP_NO_SERVICE,
	/* For a service, but of no connection and starting none; the pool says drop. */
	LB_DROP_NO_CONNECTION,
	/* No active back-end.  `lbctl pool show` says which are down or draining. */
	LB_DROP_NO_BACKEND,
	/* The hop limit ran out: a routing loop, or a traceroute. */
	LB_DROP_TTL_EXPIRED,
	/* No route to the back-end.  `lbctl route list` has what the switch knows. */
	LB_DROP_NO_ROUTE,
	/* The next hop's MAC is not known.  Is the host up?  `lbctl neighbor list`. */
	LB_DROP_NO_NEIGHBOR,
	/* The next hop is behind a NIC without a switching processor.  `lbctl attach` it. */
	LB_DROP_NOT_ATTACHED,
	/* Larger than the way to its receiver takes, and its sender allows fragments: never made here. */
	LB_DROP_TOO_BIG,
	/* The client's address and port already has a connection to that very server. */
	LB_DROP_TUPLE_CLASH,
	/* A server refused a first SYN; withheld, so that the client's next finds another server. */
	LB_DROP_RESET_WITHHELD,
	/* A packet that must not be answered: a reset for an unknown connection. */
	LB_DROP_UNANSWERABLE,
	/* The tables contradict each other.  A bug: please report it with `lbctl status -o json`. */
	LB_DROP_INTERNAL,
	LB_VERDICT_MAX,
};

/* What an address and port mean to the switch. */
enum lb_role {
	LB_ROLE_NONE,
	LB_ROLE_SERVICE, /* a VIP: packets to it go forward */
	LB_ROLE_BACKEND, /* a server of a NAT service: packets from it are replies */
	LB_ROLE_ADDRESS, /* the address of a VIP, whatever the port */
};

enum lb_service_flag {
	LB_SERVICE_DSR = 1,           /* rewrite the MACs only */
	LB_SERVICE_ANY_PORT = 2,      /* port `*`: ports are kept, and tell connections apart */
	LB_SERVICE_MULTIPLE = 4,      /* several back-ends: a retry may find another */
	LB_SERVICE_UNKNOWN_RESET = 8, /* on_unknown; neither: drop */
	LB_SERVICE_UNKNOWN_HASH = 16,
	LB_SERVICE_LOCAL = 32,   /* the address is the switch's own too: the rest is the kernel's */
	LB_SERVICE_SHARED = 64,  /* a back-end of several services */
	LB_SERVICE_ORPHAN = 128, /* of a removed VIP: it lives until its last connection is gone */
	LB_SERVICE_BY_ADDRESS = 256, /* the slot is chosen by the client's address alone */
	LB_SERVICE_RESET_DOWN = 512, /* connections of a server that is down are reset */
	LB_SERVICE_RULES = 1024,     /* some connections have slots of their own: see lb_rule_key */
};

/* Who is this address and port?  Placed so that no two collide: see directory.h. */
struct lb_service {
	__be32 address[4];
	__be16 port;   /* 0: any */
	__u8 protocol; /* 0: any */
	__u8 role;
	__u16 index; /* of the service, or of the back-end */
	__u16 flags;
	__u32 first_line; /* where its run in the slot table begins */
	__u32 slots;      /* how long that is; 0: no active back-end */
};

/* Where a run of slots is, and how long; 0: it has no active back-end. */
struct lb_run {
	__u32 first_line;
	__u32 slots;
};

/* Which connections of a service have a run of their own: from these clients, to that port. */
struct lb_rule_key {
	__u32 prefix_length; /* of what follows; 64 and more */
	__u16 service;       /* its index */
	__u16 buffer;        /* 0 is A, 1 is B */
	__be16 port;         /* 0: any */
	__u16 spare;
	__be32 client[4];
};

/* A run of back-end indices. */
struct lb_slots {
	__u16 backend[LB_SLOTS_PER_LINE];
};

enum lb_backend_state {
	LB_BACKEND_FREE,
	LB_BACKEND_ACTIVE,
	LB_BACKEND_DRAINING,
	LB_BACKEND_DOWN,
	LB_BACKEND_REMOVED, /* kept until its last connection is gone */
};

/* One server of one service, with all that rewriting needs in either direction. */
struct lb_backend {
	__be32 address[4];
	__be32 vip[4];
	__be16 port; /* 0: keep the packet's */
	__be16 vip_port;
	__u8 protocol;
	__u8 state;
	__u16 service; /* index of the service */
	__u16 next_hop;
	__u16 flags;         /* of the service */
	__u16 sum_address;   /* one's complement difference VIP -> back-end: addresses, */
	__u16 sum_transport; /* and addresses with ports */
	__u16 shared;        /* which server it is, if several services have it: 1 and more */
	__u8 spare[14];
};

enum lb_connection_state {
	LB_STATE_FREE,
	LB_STATE_HALF_OPEN,
	LB_STATE_ESTABLISHED,
	LB_STATE_CLOSING, /* one side has finished */
	LB_STATE_CLOSED,  /* both have, or one has reset */
	LB_STATE_UDP,
	LB_STATE_MASK = 7,
	LB_STATE_FIN_CLIENT = 8, /* that side has finished or reset */
	LB_STATE_FIN_SERVER = 16,
	LB_STATE_ANSWERED = 32, /* the server answered the SYN */
	LB_STATE_WITHHELD = 64, /* a reset of this server was, instead of an answer */
	LB_STATE_SPENT = 128,   /* no reset will be: one was, or there is no other server */
};

enum lb_connection_key {
	LB_KEY_FREE,
	LB_KEY_LOCKED, /* being written */
	LB_KEY_FIRST,  /* of the values that stand for a client */
};

/* One connection, hot: both directions use this one entry. */
struct lb_connection {
	__u64 key;       /* fingerprint of the client; see fingerprint.h */
	__u16 backend;   /* which also names the service */
	__u16 next_hop;  /* of the client; 0: where its packets came from */
	__u16 last_used; /* in ticks */
	__u8 state;
	__u8 route_version; /* of the routing table when next_hop was looked up */
};

struct lb_connection_set {
	struct lb_connection way[LB_WAYS];
};

/* The same connection, cold: what only slow paths need. */
struct lb_connection_detail {
	__be32 client[4];
	__be16 client_port;
	__be16 service_port;     /* that the client connected to */
	__u32 created;           /* in ticks */
	__u32 server_isn;        /* initial sequence number, to know a real ACK of it */
	__u8 last_hop[6];        /* where the first packet came from: its source MAC, */
	__u8 last_hop_source[6]; /* the MAC it came to, */
	__u16 last_hop_nic;      /* and the NIC */
	__u8 spare[6];
};

/* A connection to be forgotten. */
struct lb_forgotten {
	__u64 key;
	__u32 index; /* of the entry: set * LB_WAYS + way */
	__u32 if_expired;
};

enum lb_next_hop_state {
	LB_NEXT_HOP_UNRESOLVED,
	LB_NEXT_HOP_RESOLVED,
	LB_NEXT_HOP_NOT_ATTACHED,
	LB_NEXT_HOP_NO_ROUTE,
};

/* How to get to a host, 16 bytes: a changed MAC is one store. */
struct lb_next_hop {
	__u8 destination_mac[6];
	__u8 source_mac[6];
	__u16 mtu;
	__u8 nic; /* slot in `nics` */
	__u8 state;
};

struct lb_route_key {
	__u32 prefix_length; /* of what follows */
	__u32 family;        /* 4 or 6: ::/0 is no route for IPv4 */
	__be32 address[4];
};

/* A NIC that has a switching processor, found by its ifindex. */
struct lb_nic {
	__u8 mac[6];
	__u16 slot;
};

struct lb_counter {
	__u64 packets;
	__u64 bytes;
};

struct lb_backend_counter {
	__u64 packets_in;
	__u64 bytes_in;
	__u64 packets_out;
	__u64 bytes_out;
	__u64 connections;
	__u64 retries; /* SYNs that clients sent again, for this server was silent */
	__u64 resets;  /* by the server, instead of an answer to a SYN */
	__u64 answers; /* of the server to SYNs */
};

/* How many packets of one service, or of one back-end, had each verdict but the usual ones. */
struct lb_reasons {
	__u64 packets[LB_VERDICTS];
};

/* The stages, and what ends the pipeline; switch.c has them on one screen. */
enum lb_stage {
	LB_STAGE_ARRIVE,
	LB_STAGE_PARSE,
	LB_STAGE_SERVICE,
	LB_STAGE_CONNECTION,
	LB_STAGE_SELECT,
	LB_STAGE_ROUTE,
	LB_STAGE_REWRITE,
	LB_STAGE_ICMP,
	LB_STAGE_RESET,
	LB_STAGE_TOO_BIG,
	LB_STAGE_FINISH,
	LB_STAGE_MAX,
};

/* What a stage made of a packet; each fills in what it finds out.  See trace.h. */
struct lb_trace {
	__u64 key;        /* connection: fingerprint of the client */
	__u32 reached;    /* 0: the packet did not come that far */
	__u32 verdict;    /* of the stage; of the packet, in the end */
	__u16 service;    /* service: index of the VIP's; LB_NONE, like those that follow */
	__u16 server;     /* service: index of the back-end that the sender seems to be */
	__u16 backend;    /* connection, select: its index */
	__u16 connection; /* connection, select: which of the eight entries, the first set's first */
	__u32 slots;      /* select: of the run that a new connection takes its slot from */
	__u32 slot;       /* select: which one it took */
	__u16 previous;   /* connection: index of the back-end that was asked before, plus one */
	__u16 mtu;        /* route: that the packet exceeds; else 0 */
	__u8 delivered;   /* connection, select: the verdict, if nothing comes between */
	__u8 buffer;      /* service */
	__u8 in_nic;      /* finish: slots */
	__u8 out_nic;
};

/* What the frame, as it came, told the filter. */
enum lb_liked {
	LB_LIKED_FRAME = 1, /* it may be wanted, */
	LB_LIKED_HOST = 2,  /* and not only if its back-end is */
};

/* Which packets a capture wants: those that have all of this. */
struct lb_filter {
	__u64 nics;       /* a bit for the slot of each NIC that they may come in by */
	__u32 verdicts;   /* a bit for each */
	__u32 snap;       /* bytes of a frame to take, at most LB_SNAP */
	__be32 host[4];   /* sender or receiver of the frame as it comes */
	__be16 port;      /* of either; 0: any */
	__u8 protocol;    /* 0: any */
	__u8 by_host;     /* 0: any host */
	__u32 by_service; /* 0: any; else those that are marked */
	__u64 missed;     /* packets for which there was no room */
};

/* A captured packet: this, then the frame as it came, then as it leaves. */
struct lb_captured {
	__u64 time;       /* CLOCK_MONOTONIC, ns */
	__u32 came;       /* length of the frame as it came, */
	__u32 leaves;     /* and as it leaves; 0: it does not */
	__u16 came_taken; /* bytes of either that follow */
	__u16 leaves_taken;
	__u16 service; /* its index, or LB_NONE */
	__u16 backend; /* the same */
	__u8 verdict;
	__u8 in_nic; /* slots */
	__u8 out_nic;
	__u8 action; /* XDP's */
	__u32 liked; /* enum lb_liked */
};

/* The keys of one of the two hash functions that make a fingerprint: see fingerprint.h. */
struct lb_hash_keys {
	__u64 base;
	__u64 base_mapped; /* the base and the constant words of a mapped address */
	__u64 address[4];
	__u64 ports;
	__u64 udp;
};

/* The single element of `control`: what every packet reads first. */
struct lb_control {
	__u32 active;        /* the buffer that packets read: 0 is A, 1 is B */
	__u32 layout;        /* LB_ABI_VERSION of whoever made these tables */
	__u64 generation[2]; /* of the two buffers */
	__u16 timeout[8];    /* ticks, by state */
	__u16 route_version; /* 1 to 255; connections with another look their route up */
	__u16 spare[3];
	__u64 zero; /* for ever, and the verifier does not know: see room.h */
	struct lb_hash_keys hash[2];
};

#endif
