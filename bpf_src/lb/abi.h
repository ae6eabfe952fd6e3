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

#include "lb/verdicts.h"
#include "lb/inspection.h"

enum lb_abi {
	LB_ABI_VERSION = 4,
	LB_WAYS = 4,            /* connections in one set: 64 bytes, one cache line */
	LB_SLOTS_PER_LINE = 32, /* slots packed into one element, for the same reason */
	LB_NICS_MAX = 64,       /* NICs that one switch can serve, */
	LB_PSEUDO_FIRST = 56,   /* of which the slots from here on are for pseudo interfaces */
	LB_APPS_MAX = 32,       /* network applications */
	LB_APP_QUEUES = 64,     /* queues of a NIC that these can have */
	LB_IFINDEX_MAX = 32768, /* the largest ifindex that a NIC may have, plus one */
	LB_FORGET_MAX = 128,    /* connections forgotten in one go */
	LB_AGE_FUTURE = 0xf000, /* ages from here on are clocks that differ */
	LB_VERDICTS = 32,       /* room for verdicts per NIC */
	LB_NONE = 0xffff,       /* no service, no back-end, no connection */
	LB_SNAP = 2048,         /* bytes of a frame that a capture can take */
};

/* What an address and port mean to the switch. */
enum lb_role {
	LB_ROLE_NONE,
	LB_ROLE_SERVICE, /* a VIP: packets to it go forward */
	LB_ROLE_BACKEND, /* a server of a NAT service: packets from it are replies */
	LB_ROLE_ADDRESS, /* the address of a VIP, whatever the port */
	LB_ROLE_APP,     /* a VIP that a network application has */
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
	LB_SERVICE_PSEUDO = 2048,    /* the address of a pseudo interface: the rest goes there */
	LB_SERVICE_APP_RESET = 4096, /* while the application does not run; neither: drop */
	LB_SERVICE_APP_KERNEL = 8192,
};

/* Who is this address and port?  Placed so that no two collide: see directory.h. */
struct lb_service {
	__be32 address[4];
	__be16 port;   /* 0: any */
	__u8 protocol; /* 0: any */
	__u8 role;
	__u16 index; /* of the service, of the back-end; of a pseudo interface's address the next hop */
	__u16 flags;
	__u32 first_line; /* where its run in the slot table begins; of an application: its number */
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
